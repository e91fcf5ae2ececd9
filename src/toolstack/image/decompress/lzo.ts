// The .lzo file that kernels use (lzop 1.x header, method LZO1X), after Linux's
// Documentation/staging/lzo.rst for the bit stream. Checksums are skipped: kernels are made
// without them, and the size behind the payload is checked.

import { copyMatch } from './lz4.ts'
import { damaged, Output, type OutputSize } from './output.ts'

const MAGIC_SIZE = 9
const VERSION_WITH_LEVEL = 0x940
const FLAG_ADLER32_D = 0x1
const FLAG_ADLER32_C = 0x2
const FLAG_EXTRA_FIELD = 0x40
const FLAG_CRC32_D = 0x100
const FLAG_CRC32_C = 0x200
const FLAG_FILTER = 0x800
const MAX_BLOCK = 64 << 20

/**
 * Decompresses an lzop file; what follows the end mark is ignored.
 * @throws UserError when it is damaged, cut short, or grows beyond the limit
 */
export function decompressLzo(input: Uint8Array, size: OutputSize): Uint8Array<ArrayBuffer> {
  const reader = new BigEndian(input, MAGIC_SIZE)
  const flags = readHeader(reader)
  const out = new Output(size)
  const checksumBytes = (adler: number, crc: number): number =>
    (flags & adler ? 4 : 0) + (flags & crc ? 4 : 0)
  for (;;) {
    const plain = reader.u32()
    if (plain === 0) return out.finish()
    const packed = reader.u32()
    if (plain > MAX_BLOCK || packed > plain) damaged('lzo', 'A block has an impossible size.')
    reader.skip(checksumBytes(FLAG_ADLER32_D, FLAG_CRC32_D))
    if (packed < plain) reader.skip(checksumBytes(FLAG_ADLER32_C, FLAG_CRC32_C))
    const block = reader.bytes(packed)
    const before = out.length
    if (packed === plain) out.append(block)
    else lzo1x(block, out, before)
    if (out.length - before !== plain) damaged('lzo', 'A block does not have the size it claims.')
  }
}

/** Returns the flags. */
function readHeader(reader: BigEndian): number {
  const version = reader.u16()
  reader.skip(2)
  if (version >= VERSION_WITH_LEVEL) reader.skip(2)
  const method = reader.u8()
  if (method < 1 || method > 3) damaged('lzo', `Its method ${method} is not LZO1X.`)
  if (version >= VERSION_WITH_LEVEL) reader.skip(1)
  const flags = reader.u32()
  if ((flags & FLAG_FILTER) !== 0) reader.skip(4)
  reader.skip(version >= VERSION_WITH_LEVEL ? 12 : 8)
  reader.skip(reader.u8())
  reader.skip(4)
  if ((flags & FLAG_EXTRA_FIELD) !== 0) {
    reader.skip(reader.u32())
    reader.skip(4)
  }
  return flags
}

class BigEndian {
  readonly #bytes: Uint8Array
  #at: number

  constructor(bytes: Uint8Array, at: number) {
    this.#bytes = bytes
    this.#at = at
  }

  bytes(size: number): Uint8Array {
    this.skip(size)
    return this.#bytes.subarray(this.#at - size, this.#at)
  }

  skip(size: number): void {
    if (this.#at + size > this.#bytes.length) damaged('lzo', 'It ends in the middle.')
    this.#at += size
  }

  u8(): number {
    return this.bytes(1)[0] as number
  }

  u16(): number {
    return this.u8() * 256 + this.u8()
  }

  u32(): number {
    return this.u16() * 65536 + this.u16()
  }
}

/**
 * Decodes one LZO1X block behind `out.length`. Each instruction copies a match and then 0 to 3
 * literals; how many literals went before decides what the small opcodes mean.
 */
function lzo1x(block: Uint8Array, out: Output, windowStart: number): void {
  let at = 0
  const next = (): number => block[at++] ?? damaged('lzo', 'A block ends in the middle.')
  const next16 = (): number => next() | (next() << 8)
  /** A length that is `bits` ones and more, or zero for an extended one. */
  const lengthOf = (bits: number, mask: number): number => {
    if (bits !== 0) return bits
    let total = mask
    let byte = next()
    for (; byte === 0; byte = next()) total += 255
    return total + byte
  }
  const literals = (count: number): void => {
    if (at + count > block.length) damaged('lzo', 'Literals run over the end of a block.')
    out.append(block.subarray(at, at + count))
    at += count
  }
  const match = (distance: number, length: number): void => {
    if (distance > out.length - windowStart) {
      damaged('lzo', `A match reaches ${distance} bytes back, before the start of the block.`)
    }
    out.reserve(length)
    copyMatch(out.bytes, out.length, distance, length)
    out.length += length
  }

  /** Literals of the last instruction: 0 to 3, or 4 for a long run. */
  let state = 0
  const first = block[0] ?? 0
  if (first > 17) {
    at = 1
    literals(first - 17)
    state = Math.min(first - 17, 4)
  }
  for (;;) {
    const opcode = next()
    if (opcode < 16 && state === 0) {
      literals(lengthOf(opcode, 15) + 3)
      state = 4
      continue
    }
    let tail = opcode
    if (opcode >= 64) {
      const length = opcode >= 128 ? 5 + ((opcode >> 5) & 3) : 3 + ((opcode >> 5) & 1)
      match((next() << 3) + ((opcode >> 2) & 7) + 1, length)
    } else if (opcode >= 32) {
      const length = 2 + lengthOf(opcode & 31, 31)
      tail = next16()
      match((tail >> 2) + 1, length)
    } else if (opcode >= 16) {
      const length = 2 + lengthOf(opcode & 7, 7)
      tail = next16()
      const distance = 16384 + ((opcode & 8) << 11) + (tail >> 2)
      if (distance === 16384) {
        if (at !== block.length) damaged('lzo', 'Something follows the end mark of a block.')
        return
      }
      match(distance, length)
    } else if (state === 4) {
      match((next() << 2) + (opcode >> 2) + 2049, 3)
    } else {
      match((next() << 2) + (opcode >> 2) + 1, 2)
    }
    state = tail & 3
    literals(state)
  }
}
