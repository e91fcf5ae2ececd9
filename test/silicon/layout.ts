// A test of one instruction as bytes: the state before it, and after an execution the state then.
// Cases and outcomes lie in arrays of records of one size; runner.c has the same layout again.
//
//   case                                        outcome
//   000 number, 004 mode (MODES in modes.ts)    000 number, 004 exception vector (3: it ended)
//   008 where the code lies, as a linear        008 error code, 00c hash of the data pages
//       address                                     outside the windows
//   010 code, 16 bytes                          010 CR2, 018 RIP
//   020 general registers, 16 × 8               the same
//   0a0 RFLAGS, 0a8 FS base, 0b0 GS base        the same
//   0b8 selectors ES CS SS DS FS GS, 6 × 2      the same
//   0c4 RIP, 4 bytes
//   0d0 FPU as FXSAVE writes it, 512 bytes      the same
//   2d0 windows of the data pages, 768 bytes    the same

/** Two pages of code; they cannot be written. */
export const CODE = 0x20000000
export const CODE_BYTES = 8192
/** Three pages of data: two that can be written, one that can only be read. None around them. */
export const DATA = 0x10000000
export const DATA_BYTES = 12288
export const READ_ONLY = DATA + 8192
export const MISSING = DATA + 12288

/** Parts of the data pages that are set before and compared after, around the pages' borders. */
export const WINDOWS = [
  { at: DATA, bytes: 128 },
  { at: DATA + 4096 - 128, bytes: 256 },
  { at: DATA + 8192 - 128, bytes: 256 },
  { at: DATA + 12288 - 128, bytes: 128 },
] as const

export const RECORD_BYTES = 0x5d0
export const NUMBER = 0
export const MODE = 4
export const CODE_AT = 8
export const INSTRUCTION = 0x10
export const INSTRUCTION_BYTES = 16
export const GPR = 0x20
export const RFLAGS = 0xa0
export const FS_BASE = 0xa8
export const GS_BASE = 0xb0
export const SELECTORS = 0xb8
export const START = 0xc4
export const FPU = 0xd0
export const MEMORY = 0x2d0
export const MEMORY_BYTES = 768

export const VECTOR = 4
/** The vector of a case that did not come back. */
export const LOST = 0xff
export const ERROR_CODE = 8
export const REST = 0xc
export const CR2 = 0x10
export const RIP = 0x18

/** An array of cases or outcomes, seen as bytes and as words. */
export class Records {
  readonly u8: Uint8Array
  readonly u16: Uint16Array
  readonly u32: Uint32Array
  readonly view: DataView
  readonly count: number

  constructor(bytes: Uint8Array) {
    this.u8 = bytes
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    this.u16 = new Uint16Array(bytes.buffer, bytes.byteOffset, bytes.byteLength >>> 1)
    this.u32 = new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength >>> 2)
    this.count = Math.floor(bytes.length / RECORD_BYTES)
  }

  static ofCount(count: number): Records {
    return new Records(new Uint8Array(count * RECORD_BYTES))
  }

  /** The bytes of one record. */
  record(index: number): Uint8Array {
    return this.u8.subarray(index * RECORD_BYTES, (index + 1) * RECORD_BYTES)
  }

  /** A 64-bit field of a record, unsigned. */
  u64(index: number, field: number): bigint {
    return this.view.getBigUint64(index * RECORD_BYTES + field, true)
  }

  setU64(index: number, field: number, value: bigint): void {
    this.view.setBigUint64(index * RECORD_BYTES + field, BigInt.asUintN(64, value), true)
  }

  word(index: number, field: number): number {
    return this.view.getUint32(index * RECORD_BYTES + field, true)
  }

  setWord(index: number, field: number, value: number): void {
    this.view.setUint32(index * RECORD_BYTES + field, value, true)
  }

  /** Sets a 64-bit field to a whole number below 2^53 in size; negative ones wrap. */
  setNumber(index: number, field: number, value: number): void {
    const at = index * RECORD_BYTES + field
    this.view.setUint32(at, value >>> 0, true)
    this.view.setUint32(at + 4, Math.floor(value / 4294967296) >>> 0, true)
  }
}

/**
 * A hash of the data pages outside the windows, which are zero before. Position and value of
 * every word that is not zero count. `u32` and `at`: where the pages lie, in words.
 */
export function hashOfRest(u32: Uint32Array, at: number): number {
  let hash = 0
  let from = 0
  for (const window of WINDOWS) {
    const start = (window.at - DATA) >>> 2
    for (let i = from; i < start; i++) {
      const word = u32[at + i] as number
      if (word !== 0) hash = (Math.imul(hash ^ word, 0x01000193) + i) >>> 0
    }
    from = start + (window.bytes >>> 2)
  }
  return hash
}
