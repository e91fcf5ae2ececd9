// iced-x86 as a second opinion on decoding: what it reads at a place, byte strings worth
// reading, and where it reads something else than our decoder.

import {
  Code,
  CpuidFeature,
  Decoder as IcedDecoder,
  DecoderOptions,
  EncodingKind,
  Instruction,
  Mnemonic,
  OpKind,
  Register,
} from 'iced-x86'
import { BASE_RIP, Decoded, Status } from '../../src/x86/decode/decoded.ts'
import { Decoder as OurDecoder } from '../../src/x86/decode/decoder.ts'
import type { Registry } from '../../src/x86/decode/define.ts'
import { isSameInstruction, isUnsupported } from './mnemonics.ts'
import { differingOperand } from './operands.ts'

export type Bitness = 16 | 32 | 64

/** Bytes set aside for one instruction in the arrays of this file. */
export const SLOT = 16

/** Reads instructions out of an array of slots. */
export class IcedReader {
  readonly instruction = new Instruction()
  readonly #decoder: IcedDecoder

  constructor(bytes: Uint8Array, bitness: Bitness) {
    this.#decoder = new IcedDecoder(bitness, bytes, DecoderOptions.None)
  }

  /** The mnemonic in upper case of what stands at `at`, or undefined if nothing valid does. */
  read(at: number): string | undefined {
    this.#decoder.position = at
    this.#decoder.ip = 0n
    this.#decoder.decodeOut(this.instruction)
    return this.instruction.isInvalid
      ? undefined
      : Mnemonic[this.instruction.mnemonic].toUpperCase()
  }

  /** Whether the instruction read last has an encoding that our decoder knows. */
  get isLegacy(): boolean {
    return this.instruction.encoding === EncodingKind.Legacy
  }

  /** CPUID features of the instruction read last, as iced names them. */
  get features(): string {
    const features = this.instruction.cpuidFeatures()
    return [...features].map((feature) => CpuidFeature[feature]).join('+')
  }

  get codeName(): string {
    return Code[this.instruction.code]
  }

  /**
   * Where the memory operand of the instruction read last lies, or undefined without one. iced
   * does not tell the address size where no register shows it, hence the second parameter.
   */
  memory(bitness: Bitness, addressSize: Bitness): string | undefined {
    const { instruction } = this
    for (let i = 0; i < instruction.opCount; i++) {
      if (instruction.opKind(i) !== OpKind.Memory) continue
      const base = Register[instruction.memoryBase]
      const index = Register[instruction.memoryIndex]
      const scale = index === 'None' ? 1 : instruction.memoryIndexScale
      const isRelative = base === 'RIP' || base === 'EIP'
      const displacement =
        instruction.memoryDisplacement - BigInt(isRelative ? instruction.length : 0)
      const segment = Register[instruction.memorySegment]
      return place(bitness, addressSize, segment, base, index, scale, displacement)
    }
    return undefined
  }
}

/**
 * A memory operand as text. What cannot matter is left out: the segments without a base in
 * 64-bit mode, and what a displacement has above the address size.
 */
function place(
  bitness: Bitness,
  addressSize: Bitness,
  segment: string,
  base: string,
  index: string,
  scale: number,
  displacement: bigint,
): string {
  const isFlat = bitness === 64 && segment !== 'FS' && segment !== 'GS'
  return [
    isFlat ? 'flat' : segment,
    base,
    index,
    scale,
    BigInt.asIntN(addressSize, displacement).toString(16),
  ].join(' ')
}

const GPR = 'AX CX DX BX SP BP SI DI'.split(' ')
const SEGMENTS = ['ES', 'CS', 'SS', 'DS', 'FS', 'GS']

/** Our memory operand in the form of {@link IcedReader.memory}. */
export function memoryOf(decoded: Decoded, bitness: Bitness): string {
  const { addressSize, base, index, scale, dispLo, dispHi } = decoded
  const name = (register: number) => {
    if (register < 0) return 'None'
    if (register === BASE_RIP) return addressSize === 64 ? 'RIP' : 'EIP'
    if (register >= 8) return addressSize === 64 ? `R${register}` : `R${register}D`
    return { 16: '', 32: 'E', 64: 'R' }[addressSize] + GPR[register]
  }
  const segment = SEGMENTS[decoded.segment] as string
  const displacement = (BigInt(dispHi) << 32n) | BigInt(dispLo >>> 0)
  const factor = index < 0 ? 1 : 1 << scale
  return place(bitness, addressSize, segment, name(base), name(index), factor, displacement)
}

/** Mulberry32: a small seeded generator of 32-bit numbers. */
export function generator(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return (t ^ (t >>> 14)) >>> 0
  }
}

const COMMON_PREFIXES = [
  0x66, 0x66, 0xf3, 0xf3, 0xf2, 0xf2, 0x67, 0xf0, 0x64, 0x65, 0x2e, 0x36, 0x3e, 0x26,
]

/** `count` slots of prefixes, an opcode of one of the four maps, and noise. */
export function randomSlots(seed: number, count: number): Uint8Array {
  const random = generator(seed)
  const bytes = new Uint8Array(count * SLOT)
  for (let slot = 0; slot < count; slot++) {
    const at = slot * SLOT
    for (let i = 0; i < SLOT; i++) bytes[at + i] = random()
    const shape = random()
    let p = at
    // Mostly none to three prefixes, now and then enough to pass the limit of 15 bytes.
    const prefixes = (shape & 63) === 0 ? 10 : Math.max(0, (shape & 7) - 4)
    for (let i = 0; i < prefixes; i++) {
      bytes[p++] = COMMON_PREFIXES[random() % COMMON_PREFIXES.length] as number
    }
    if (shape & 0x100) bytes[p++] = 0x40 | (random() & 15)
    const map = (shape >> 9) & 7
    if (map >= 3) bytes[p++] = 0x0f
    if (map === 6) bytes[p++] = 0x38
    if (map === 7) bytes[p++] = 0x3a
  }
  return bytes
}

/**
 * Slots that cover the opcode space in order: every opcode of the four maps, with every
 * mandatory prefix, without and with REX.W, with every ModRM.reg as memory and every register
 * form.
 */
export function systematicSlots(bitness: Bitness): Uint8Array {
  const maps = [[], [0x0f], [0x0f, 0x38], [0x0f, 0x3a]]
  const modrms = [...Array(8).keys()].map((reg) => reg << 3)
  for (let modrm = 0xc0; modrm < 0x100; modrm++) modrms.push(modrm)
  const slots: number[][] = []
  for (const map of maps) {
    for (let opcode = 0; opcode < 256; opcode++) {
      if (map.length === 1 && (opcode === 0x38 || opcode === 0x3a)) continue
      for (const mandatory of [[], [0x66], [0xf3], [0xf2]]) {
        for (const rex of bitness === 64 ? [[], [0x48]] : [[]]) {
          for (const modrm of modrms) slots.push([...mandatory, ...rex, ...map, opcode, modrm])
        }
      }
    }
  }
  const bytes = new Uint8Array(slots.length * SLOT)
  for (const [i, slot] of slots.entries()) bytes.set(slot, i * SLOT)
  return bytes
}

/**
 * Slots of VEX encodings: every opcode of the three maps, with every VEX.pp, L and W, with
 * VEX.vvvv clear and not, with every ModRM.reg as memory and as register.
 */
export function vexSlots(): Uint8Array {
  const slots: number[][] = []
  for (const map of [1, 2, 3]) {
    for (let last = 0; last < 256; last++) {
      if (![0x78, 0x28].includes(last & 0x78)) continue
      for (let opcode = 0; opcode < 256; opcode++) {
        for (let reg = 0; reg < 64; reg += 8) {
          for (const modrm of [reg, 0xc0 | reg | 1])
            slots.push([0xc4, 0xe0 | map, last, opcode, modrm])
        }
      }
    }
  }
  const bytes = new Uint8Array(slots.length * SLOT)
  for (const [i, slot] of slots.entries()) bytes.set(slot, i * SLOT)
  return bytes
}

/** What {@link compare} found; each line once, with the first bytes that show it. */
export interface Comparison {
  /** Instructions that both read. */
  agreed: number
  /** We read it otherwise than iced does, or read what iced refuses. */
  readonly differences: Map<string, string>
  /** iced reads it, we refuse it, and no table says why, by mnemonic. */
  readonly missing: Map<string, { features: string; bytes: string }>
}

/** Decodes every slot twice, with all features that any row asks for. */
export function compare(registry: Registry, bytes: Uint8Array, bitness: Bitness): Comparison {
  const decoder = new OurDecoder(registry)
  const decoded = new Decoded()
  const features = new Set(registry.rows.flatMap((row) => row.features))
  const iced = new IcedReader(bytes, bitness)
  const comparison: Comparison = { agreed: 0, differences: new Map(), missing: new Map() }
  for (let at = 0; at < bytes.length; at += SLOT) {
    const theirs = iced.read(at)
    const status = decoder.decode(bytes, at, SLOT, bitness, features, decoded)
    const isOurs = status === Status.ok
    if (theirs === undefined && !isOurs) continue
    const hex = toHex(bytes.subarray(at, at + (isOurs ? decoded.length : 15)))
    if (theirs === undefined) {
      note(comparison.differences, `${ours(decoded)}, invalid for iced`, hex)
    } else if (!isOurs) {
      if (!iced.isLegacy || isUnsupported(theirs, iced.features)) continue
      note(comparison.missing, theirs, { features: iced.features, bytes: hex })
    } else {
      const difference = differenceOf(iced, theirs, decoded, bitness)
      if (difference) note(comparison.differences, difference, hex)
      else comparison.agreed++
    }
  }
  return comparison
}

function note<V>(map: Map<string, V>, key: string, value: V): void {
  if (!map.has(key)) map.set(key, value)
}

function ours({ row }: Decoded): string {
  return `${row.name} '${row.text}'`
}

function differenceOf(
  iced: IcedReader,
  theirs: string,
  decoded: Decoded,
  bitness: Bitness,
): string | undefined {
  if (!isSameInstruction(decoded.row.name, theirs)) return `${ours(decoded)} is ${iced.codeName}`
  if (decoded.length !== iced.instruction.length) return `${ours(decoded)}: length`
  if (decoded.lock !== iced.instruction.hasLockPrefix) return `${ours(decoded)}: LOCK`
  const operand = differingOperand(iced.instruction, decoded)
  if (operand !== undefined) return `${ours(decoded)}: operand ${operand} of ${iced.codeName}`
  const isOffset = decoded.row.operands.some(({ kind }) => kind === 'O')
  if (!decoded.isMemory && !isOffset) return undefined
  const place = iced.memory(bitness, decoded.addressSize)
  return place === memoryOf(decoded, bitness) ? undefined : `${ours(decoded)}: memory operand`
}

function toHex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join(' ')
}
