// An encoding of a variant: prefixes in some order, opcode, ModRM with an addressing form that
// leads to a wanted address, immediates. What registers the addressing form needs is noted.

import type { Row } from '../../src/x86/decode/row.ts'
import { DATA, MISSING, READ_ONLY } from './layout.ts'
import { baseOf, type Mode, MODES } from './modes.ts'
import type { Random } from './random.ts'
import { type Halves, integer } from './values.ts'
import type { Variant } from './variants.ts'

export const RSP = 4
const RBP = 5
const SS = 2
const DS = 3
const FS = 4
const OVERRIDES = [0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65]

/** The segment registers of a case, and the bases of FS and GS in 64-bit mode. */
export interface Segments {
  readonly selectors: Uint16Array
  fsBase: number
  gsBase: number
}

/** An address near a border of the data pages. */
export function nearBorder(r: Random): number {
  switch (r.below(6)) {
    case 0:
      return DATA - 16 + r.below(80)
    case 1:
      return MISSING - 64 + r.below(72)
    case 2:
      return READ_ONLY - 64 + r.below(100)
    default:
      return DATA + 4096 - 64 + r.below(100)
  }
}

const halves: Halves = { lo: 0, hi: 0 }

/** Encodes variants; after encode() its fields tell what was made. */
export class Encoding {
  readonly bytes: number[] = []
  addressSize: 16 | 32 | 64 = 64
  /** Effective operand size. */
  size: 16 | 32 | 64 = 32
  /** Segment prefix as a segment number, or -1. */
  override = -1
  /** Linear address of the memory operand, or -1. */
  target = -1
  /** Place of its displacement where that is relative to RIP, or -1. */
  relative = -1
  /** Register in ModRM.rm, or -1; and in ModRM.reg or the opcode. */
  rm = -1
  reg = -1
  /** Register in VEX.vvvv. */
  vvvv = 0
  /** Registers with a demanded value: how many of their low bits (0: any), and the value. */
  readonly fixedBits = new Uint8Array(16)
  readonly fixedValue = new Float64Array(16)
  readonly #r: Random
  #rex = 0
  #mode: Mode = MODES[0] as Mode
  #segments: Segments | undefined

  constructor(random: Random) {
    this.#r = random
  }

  /** `at`: linear address of the code, for RIP-relative operands. */
  encode(variant: Variant, segments: Segments, at: number): void {
    const r = this.#r
    const { row } = variant
    this.#mode = MODES[variant.mode] as Mode
    this.#segments = segments
    this.bytes.length = 0
    this.fixedBits.fill(0)
    this.target = this.relative = this.rm = this.reg = -1
    this.#prefixes(variant)
    if (row.vex) this.#vex(row, variant.size)
    else {
      if (row.map > 0) this.bytes.push(0x0f)
      if (row.map === 2) this.bytes.push(0x38)
      if (row.map === 3) this.bytes.push(0x3a)
    }
    const low = row.plusR ? r.below(8) : 0
    if (row.plusR) this.rm = low | (this.#rex & 1 ? 8 : 0)
    this.bytes.push(row.opcode + low)
    if (row.hasModrm) {
      const reg = row.reg >= 0 ? row.reg : this.#regField(row)
      this.reg = reg | (this.#rex & 4 ? 8 : 0)
      if (variant.isMemory) this.relative = this.#memory(reg, row.attributes.has('align'))
      else {
        const rm = row.rm >= 0 ? row.rm : r.below(8)
        this.rm = rm | (this.#rex & 1 ? 8 : 0)
        this.bytes.push(0xc0 | (reg << 3) | rm)
      }
    }
    this.#immediates(row, at)
    if (this.relative >= 0) {
      const displacement = this.target - this.#offsetBase(DS) - (at + this.bytes.length)
      for (let i = 0; i < 4; i++) this.bytes[this.relative + i] = (displacement >> (8 * i)) & 255
    }
  }

  /** Segment registers that do not exist are tried too, but not often. */
  #regField(row: Row): number {
    const r = this.#r
    return row.operands.some(({ kind }) => kind === 'S') && !r.oneIn(16) ? r.below(6) : r.below(8)
  }

  #prefixes({ row, size, lock, rep, isMemory }: Variant): void {
    const r = this.#r
    const { codeSize } = this.#mode
    const is64 = codeSize === 64
    const prefixes: number[] = []
    // Before VEX a prefix of these kinds is #UD.
    const isFree = !row.vex || r.oneIn(64)
    let has66 = row.prefix === '66' && isFree
    if (!has66 && isFree && size !== 64 && (size === 16) !== (codeSize === 16)) has66 = true
    // With REX.W the 66 prefix has no say.
    if (!has66 && size === 64 && row.prefix === 'any' && r.oneIn(8))
      has66 = !row.attributes.has('f64')
    if (has66) prefixes.push(0x66)
    this.size = size
    if (row.prefix === 'F3' && isFree) prefixes.push(0xf3)
    else if (row.prefix === 'F2' && isFree) prefixes.push(0xf2)
    else if (rep !== 0) prefixes.push(rep)
    const hasAddress = isMemory || row.operands.some(({ kind }) => 'XYO'.includes(kind))
    const has67 = hasAddress ? r.oneIn(6) : r.oneIn(40)
    if (has67) prefixes.push(0x67)
    this.addressSize = is64 ? (has67 ? 32 : 64) : (codeSize === 16) === has67 ? 32 : 16
    // AMD's processors read LOCK MOV CR0 as MOV CR8, and ignore LOCK where it is group 6.
    const canLock =
      !/^(VERR|VERW|SLDT|STR|LLDT|LTR)$/.test(row.name) &&
      !row.operands.some(({ kind }) => kind === 'C')
    if (lock || (canLock && isFree && r.oneIn(128))) prefixes.push(0xf0)
    this.override = -1
    if (hasAddress ? r.oneIn(4) : r.oneIn(40)) {
      this.override = r.below(6)
      prefixes.push(OVERRIDES[this.override] as number)
    }
    if (row.prefix === 'any' && rep === 0 && r.oneIn(32)) prefixes.push(r.oneIn(2) ? 0xf2 : 0xf3)
    if (prefixes.length > 0 && r.oneIn(32)) prefixes.push(r.pick(prefixes))
    if (r.oneIn(256)) while (prefixes.length < 14) prefixes.push(0x3e)
    for (let i = prefixes.length - 1; i > 0; i--) {
      const j = r.below(i + 1)
      const swapped = prefixes[i] as number
      prefixes[i] = prefixes[j] as number
      prefixes[j] = swapped
    }
    this.bytes.push(...prefixes)
    this.#rex = 0
    if (!is64) return
    if (row.vex) {
      this.#rex = r.below(8)
      if (isFree && r.oneIn(4)) this.bytes.push(0x48)
      return
    }
    // Before another prefix REX means nothing.
    if (r.oneIn(64)) this.bytes.splice(r.below(this.bytes.length + 1), 0, 0x40 | r.below(16))
    if (size === 64) this.#rex = 0x48 | r.below(8)
    else if (r.oneIn(3)) this.#rex = 0x40 | r.below(8)
    if (this.#rex) this.bytes.push(this.#rex)
    else while (isRex(this.bytes.at(-1))) this.bytes.pop()
  }

  /** A VEX prefix, now and then with a field that it should not have. */
  #vex(row: Row, size: 16 | 32 | 64): void {
    const r = this.#r
    const { l, w } = row.vex as NonNullable<Row['vex']>
    const usesW = row.operands.some(({ size: letter }) => letter === 'y')
    const wide = r.oneIn(64) ? r.below(2) : w >= 0 ? w : usesW ? (size === 64 ? 1 : 0) : r.below(2)
    const long = r.oneIn(64) ? r.below(2) : l >= 0 ? l : r.below(2)
    const usesVvvv = row.operands.some(({ kind }) => kind === 'B')
    this.vvvv = usesVvvv || r.oneIn(32) ? r.below(16) : 0
    const prefix = { any: 0, NP: 0, 66: 1, F3: 2, F2: 3 }[row.prefix]
    const last = ((~this.vvvv & 15) << 3) | (long << 2) | prefix
    if (row.map === 1 && wide === 0 && (this.#rex & 3) === 0 && r.oneIn(2)) {
      this.bytes.push(0xc5, (this.#rex & 4 ? 0 : 0x80) | last)
      return
    }
    this.bytes.push(0xc4, ((~this.#rex & 7) << 5) | row.map, (wide << 7) | last)
    if (this.#mode.codeSize !== 64) this.vvvv &= 7
  }

  /** What the base of the memory operand's segment adds; `segment`: the default. */
  #offsetBase(segment: number): number {
    const { selectors, fsBase, gsBase } = this.#segments as Segments
    const used = this.override >= 0 ? this.override : segment
    if (this.#mode.codeSize !== 64) return baseOf(selectors[used] as number)
    // ES, CS, SS and DS have no effect there.
    return used < FS ? 0 : used === FS ? fsBase : gsBase
  }

  /** Linear address to offset, for a string or moffs operand with this default segment. */
  offsetOf(linear: number, segment: number, isOverridable: boolean): number {
    if (isOverridable) return linear - this.#offsetBase(segment)
    const { selectors } = this.#segments as Segments
    return this.#mode.codeSize === 64 ? linear : linear - baseOf(selectors[segment] as number)
  }

  /** Selectors of code segments, right and wrong ones. */
  farSelector(): number {
    const r = this.#r
    const { selectors } = this.#segments as Segments
    const selector = r.pick([
      0x33,
      0x33,
      0x23,
      0x23,
      0x2b,
      0,
      0x10,
      0x0f,
      0x47,
      0x4f,
      0x3f,
      r.below(0x78),
    ])
    // Linux does not get back to a program that runs 64-bit code with a stack of its LDT.
    return (selectors[SS] as number) & 4 && (selector | 3) === 0x33 ? 0x23 : selector
  }

  #fix(register: number, value: number): void {
    this.fixedBits[register] = this.addressSize
    this.fixedValue[register] = value
  }

  #put(value: number, size: number): void {
    for (let i = 0; i < size; i++) this.bytes.push((value >> (8 * i)) & 255)
  }

  /** ModRM, SIB and displacement; gives the place of an RIP-relative displacement, or -1. */
  #memory(reg: number, isAligned: boolean): number {
    const r = this.#r
    this.target = nearBorder(r)
    if (isAligned && !r.oneIn(4)) this.target &= ~15
    if (this.addressSize === 16) {
      this.#memory16(reg)
      return -1
    }
    const is64 = this.#mode.codeSize === 64
    const form = r.below(8)
    if (form === 0) {
      this.bytes.push((reg << 3) | 5)
      if (is64) this.#put(0, 4)
      else this.#put(this.target - this.#offsetBase(DS), 4)
      return is64 ? this.bytes.length - 4 : -1
    }
    const mod = r.below(3)
    const displacement = mod === 0 ? 0 : mod === 1 ? r.below(256) - 128 : r.below(0x20000) - 0x10000
    const putDisplacement = () => this.#put(displacement, mod === 1 ? 1 : mod === 2 ? 4 : 0)
    const extend = (field: number, bit: number) => field | (this.#rex & bit ? 8 : 0)
    const offset = (base: number) =>
      this.target - this.#offsetBase(base === RSP || base === RBP ? SS : DS) - displacement
    if (form < 4) {
      const base = r.pick(mod === 0 ? [0, 1, 2, 3, 6, 7] : [0, 1, 2, 3, 5, 6, 7])
      this.bytes.push((mod << 6) | (reg << 3) | base)
      putDisplacement()
      this.#fix(extend(base, 1), offset(extend(base, 1)))
      return -1
    }
    const index = r.below(8)
    const scale = r.below(4)
    const indexRegister = extend(index, 2)
    const factor = indexRegister === RSP ? 0 : 1 << scale
    // Base 5 without a displacement of its own: none, but 32 bits of displacement.
    if (form === 4) {
      this.bytes.push((reg << 3) | 4, (scale << 6) | (index << 3) | 5)
      const value = r.below(0x1000) - 0x800
      if (factor !== 0) this.#fix(indexRegister, value)
      this.#put(this.target - this.#offsetBase(DS) - value * factor, 4)
      return -1
    }
    const base = r.pick(mod === 0 ? [0, 1, 2, 3, 4, 6, 7] : [0, 1, 2, 3, 4, 5, 6, 7])
    const baseRegister = extend(base, 1)
    this.bytes.push((mod << 6) | (reg << 3) | 4, (scale << 6) | (index << 3) | base)
    putDisplacement()
    const rest = offset(baseRegister)
    // Twice the same register: only some targets can be met.
    if (factor !== 0 && indexRegister === baseRegister) {
      this.#fix(baseRegister, Math.floor(rest / (1 + factor)))
      return -1
    }
    const value = r.below(0x1000) - 0x800
    if (factor !== 0) this.#fix(indexRegister, value)
    this.#fix(baseRegister, rest - value * factor)
    return -1
  }

  #memory16(reg: number): void {
    const r = this.#r
    const mod = r.below(3)
    const rm = r.below(8)
    this.bytes.push((mod << 6) | (reg << 3) | rm)
    const usesBp = rm === 2 || rm === 3 || (rm === 6 && mod !== 0)
    const offset = this.target - this.#offsetBase(usesBp ? SS : DS)
    if (mod === 0 && rm === 6) return this.#put(offset, 2)
    const displacement = mod === 0 ? 0 : mod === 1 ? r.below(256) - 128 : r.below(0x10000)
    this.#put(displacement, mod)
    const first = [3, 3, 5, 5, 6, 7, 5, 3][rm] as number
    const second = rm < 4 ? 6 + (rm & 1) : -1
    const value = second < 0 ? 0 : r.below(0x1000)
    if (second >= 0) this.#fix(second, value)
    this.#fix(first, offset - displacement - value)
  }

  #immediates(row: Row, at: number): void {
    const r = this.#r
    const wide = this.size === 64 ? 8 : this.size / 8
    for (const { kind, size } of row.operands) {
      if (kind === 'O') {
        this.target = nearBorder(r)
        const offset = this.target - this.#offsetBase(DS)
        this.#put(offset, Math.min(4, this.addressSize / 8))
        if (this.addressSize === 64) this.#put(Math.floor(offset / 4294967296), 4)
      }
      if (kind === 'A') {
        this.#put(at - this.#mode.codeBase + 32 + r.below(64), this.size === 16 ? 2 : 4)
        this.#put(this.farSelector(), 2)
      }
      if (kind === 'J') {
        // A branch back to itself would never end.
        if (size === 'b') this.#put(r.oneIn(2) ? r.below(128) : -20 - r.below(100), 1)
        else this.#put(r.below(512), this.size === 16 ? 2 : 4)
      }
      if (kind !== 'I') continue
      if (row.name === 'ENTER' && size === 'w') this.#put(r.below(64), 2)
      else if (row.name === 'INT') this.#put(softwareInterrupt(r), 1)
      else this.#immediate(size, wide)
    }
  }

  #immediate(size: string, wide: number): void {
    integer(this.#r, halves)
    const bytes = { b: 1, w: 2, d: 4, v: wide }[size] ?? Math.min(wide, 4)
    this.#put(halves.lo, Math.min(bytes, 4))
    if (bytes === 8) this.#put(halves.hi, 4)
  }
}

function isRex(byte: number | undefined): boolean {
  return byte !== undefined && byte >= 0x40 && byte < 0x50
}

/** Any vector but Linux's system call, which would be made. */
function softwareInterrupt(r: Random): number {
  const vector = r.oneIn(4) ? 3 + r.below(2) : r.below(256)
  return vector === 0x80 ? 0 : vector
}

/** Selectors of data segments, right and wrong ones. */
export function dataSelector(r: Random): number {
  return r.pick([0x2b, 0x2b, 0x2b, 0, 1, 3, 0x17, 0x1f, 0x27, 0x2f, 0x37, 0x3f, r.below(0x78)])
}
