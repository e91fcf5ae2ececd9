// Test cases: for a variant, an encoding with random operands, prefixes and addressing form, and a
// state that makes its memory operands fall near a border of the data pages.

import type { Row } from '../../src/x86/decode/row.ts'
import { dataSelector, Encoding, nearBorder, RSP, type Segments } from './encode.ts'
import {
  CODE,
  CODE_AT,
  CODE_BYTES,
  DATA,
  FPU,
  FS_BASE,
  GPR,
  GS_BASE,
  INSTRUCTION,
  INSTRUCTION_BYTES,
  MEMORY,
  MEMORY_BYTES,
  MODE,
  NUMBER,
  RECORD_BYTES,
  Records,
  RFLAGS,
  SELECTORS,
  START,
  WINDOWS,
} from './layout.ts'
import { baseOf, isStack32, type Mode, MODES } from './modes.ts'
import { Random } from './random.ts'
import { datum, type Halves, integer } from './values.ts'
import type { Variant } from './variants.ts'

const RAX = 0
const RCX = 1
const RDX = 2
const RBX = 3
const RBP = 5
const RSI = 6
const RDI = 7
const ES = 0
const CS = 1
const SS = 2
const DS = 3
const ARITHMETIC = 0x8d5
const DF = 0x400

/** Bases of FS and GS in 64-bit mode. */
const BASES = [0, 0x1000, DATA - 0x800, DATA, 0x4000_0000_0000]
const DATA_SEGMENTS = [ES, DS, 4, 5]

const halves: Halves = { lo: 0, hi: 0 }

/** Makes cases, from one seed. */
export class Generator {
  readonly #r: Random
  /** What fills registers and memory. */
  #fill: Random
  readonly #fillings: number
  readonly #encoding: Encoding
  readonly #segments: Segments = { selectors: new Uint16Array(6), fsBase: 0, gsBase: 0 }
  #records = Records.ofCount(0)
  #index = 0

  /** `fillings`: how many contents of registers and memory there are; 0 for ever new ones. */
  constructor(seed: number, fillings = 0) {
    this.#r = new Random(seed)
    this.#fill = this.#r
    this.#fillings = fillings
    this.#encoding = new Encoding(this.#r)
  }

  /** Writes a case for a variant into `records`. */
  make(records: Records, index: number, number: number, variant: Variant): void {
    const r = this.#r
    const mode = MODES[variant.mode] as Mode
    this.#records = records
    this.#index = index
    if (this.#fillings > 0) this.#fill = new Random(1 + r.below(this.#fillings))
    records.setWord(index, NUMBER, number)
    records.setWord(index, MODE, variant.mode)
    this.#chooseSegments(mode)
    this.#code(variant, mode)
    this.#registers(variant, mode)
    this.#memory()
    this.#fpu(variant)
    prepare(variant.row, this.#encoding, r, this)
    const isString = variant.row.operands.some(({ kind }) => kind === 'X' || kind === 'Y')
    const df = r.oneIn(isString ? 3 : 8) ? DF : 0
    records.setNumber(index, RFLAGS, 0x202 | (r.next() & ARITHMETIC) | df)
  }

  #chooseSegments(mode: Mode): void {
    const r = this.#r
    const { selectors } = this.#segments
    for (const segment of DATA_SEGMENTS) selectors[segment] = r.pick(mode.data)
    selectors[CS] = mode.cs
    selectors[SS] = r.pick(mode.stack)
    const is64 = mode.codeSize === 64
    this.#segments.fsBase = is64 ? r.pick(BASES) : 0
    this.#segments.gsBase = is64 ? r.pick(BASES) : 0
    const at = (this.#index * RECORD_BYTES + SELECTORS) >>> 1
    this.#records.u16.set(selectors, at)
    this.#records.setNumber(this.#index, FS_BASE, this.#segments.fsBase)
    this.#records.setNumber(this.#index, GS_BASE, this.#segments.gsBase)
  }

  #code(variant: Variant, mode: Mode): void {
    const r = this.#r
    const place = r.below(40)
    let at = CODE + 64 + r.below(1024)
    if (place < 4) at = CODE + 4096 - 1 - r.below(12)
    if (place === 39) at = CODE + CODE_BYTES - 1 - r.below(12)
    const encoding = this.#encoding
    encoding.encode(variant, this.#segments, at)
    this.#records.setNumber(this.#index, CODE_AT, at)
    this.#records.setWord(this.#index, START, at - mode.codeBase)
    const { u8 } = this.#records
    const to = this.#index * RECORD_BYTES + INSTRUCTION
    for (let i = 0; i < INSTRUCTION_BYTES; i++) u8[to + i] = encoding.bytes[i] ?? 0xcc
  }

  #registers({ row }: Variant, mode: Mode): void {
    const r = this.#r
    const { u32 } = this.#records
    const at = (this.#index * RECORD_BYTES + GPR) >>> 2
    const is64 = mode.codeSize === 64
    for (let n = 0; n < 16; n++) {
      integer(this.#fill, halves)
      u32[at + n * 2] = is64 || n < 8 ? halves.lo : 0
      u32[at + n * 2 + 1] = is64 ? halves.hi : 0
    }
    const { fixedBits, fixedValue, addressSize } = this.#encoding
    const hasX = row.operands.some(({ kind }) => kind === 'X')
    const hasY = row.operands.some(({ kind }) => kind === 'Y')
    if (hasX || hasY) {
      const source = this.#encoding.offsetOf(nearBorder(r), DS, true)
      this.setRegister(RSI, addressSize, source)
      this.setRegister(RBX, addressSize, this.#encoding.offsetOf(nearBorder(r), DS, true))
      // MASKMOV's memory is at DS:rDI, that of the string instructions at ES:rDI.
      const to = hasY ? this.#encoding.offsetOf(nearBorder(r), ES, false) : source
      this.setRegister(RDI, addressSize, to)
      this.setRegister(RCX, addressSize, r.oneIn(8) ? r.below(0x4000) : r.below(20))
    }
    if (!r.oneIn(8)) this.#stackRegister(RSP, is64)
    if (row.name === 'LEAVE' || row.name === 'ENTER')
      if (!r.oneIn(8)) this.#stackRegister(RBP, is64)
    for (let n = 0; n < 16; n++) {
      const bits = fixedBits[n] as number
      if (bits !== 0) this.setRegister(n, bits, fixedValue[n] as number)
    }
  }

  #stackRegister(register: number, is64: boolean): void {
    const selector = this.#segments.selectors[SS] as number
    const offset = nearBorder(this.#r) - (is64 ? 0 : baseOf(selector))
    this.setRegister(register, is64 ? 64 : isStack32(selector) ? 32 : 16, offset)
  }

  /** Sets the low bits of a register; those above stay. */
  setRegister(register: number, bits: number, value: number): void {
    const { u16, u32 } = this.#records
    const at = (this.#index * RECORD_BYTES + GPR + register * 8) >>> 2
    if (bits === 16) u16[at * 2] = value
    else u32[at] = value >>> 0
    if (bits === 64) u32[at + 1] = Math.floor(value / 4294967296) >>> 0
  }

  /** Linear address of the top of the stack, or NaN where it is no small number. */
  get stackTop(): number {
    const selector = this.#segments.selectors[SS] as number
    const mode = MODES[this.#records.word(this.#index, MODE)] as Mode
    const lo = this.#records.word(this.#index, GPR + RSP * 8)
    const hi = this.#records.word(this.#index, GPR + RSP * 8 + 4)
    if (mode.codeSize === 64) return hi === 0 ? lo : Number.NaN
    return baseOf(selector) + (isStack32(selector) ? lo : lo & 0xffff)
  }

  /** Writes bytes of memory where a window has them. */
  poke(linear: number, bytes: number, value: number): void {
    const { u8 } = this.#records
    for (let i = 0; i < bytes; i++) {
      let to = this.#index * RECORD_BYTES + MEMORY
      for (const window of WINDOWS) {
        const offset = linear + i - window.at
        if (offset >= 0 && offset < window.bytes) {
          u8[to + offset] = i < 4 ? value >>> (8 * i) : Math.floor(value / 2 ** (8 * i))
        }
        to += window.bytes
      }
    }
  }

  /** Makes all that lies in the windows, and RAX, of one byte. */
  repeatByte(value: number): void {
    const { u8 } = this.#records
    const at = this.#index * RECORD_BYTES
    u8.fill(value, at + MEMORY, at + MEMORY + MEMORY_BYTES)
    u8.fill(value, at + GPR + RAX * 8, at + GPR + RAX * 8 + 8)
  }

  /** RIP of a place behind the instruction, where an INT3 stands. */
  placeToGo(): number {
    return this.#records.word(this.#index, START) + 32 + this.#r.below(64)
  }

  #memory(): void {
    const { u32 } = this.#records
    const at = (this.#index * RECORD_BYTES + MEMORY) >>> 2
    for (let i = 0; i < MEMORY_BYTES / 4; i += 2) {
      datum(this.#fill, halves)
      u32[at + i] = halves.lo
      u32[at + i + 1] = halves.hi
    }
  }

  #fpu({ row }: Variant): void {
    const r = this.#fill
    const { view, u8, u32 } = this.#records
    const at = this.#index * RECORD_BYTES + FPU
    u8.fill(0, at, at + 512)
    const isX87 = row.attributes.has('x87')
    const isMmx = row.attributes.has('mmx')
    const isSse = row.attributes.has('sse')
    const control = 0x40 | (r.next() & 0xf00) | (r.oneIn(4) ? r.next() & 0x3f : 0x3f)
    view.setUint16(at, isX87 ? control : 0x37f, true)
    // Exceptions that are pending and unmasked would be raised by the next x87 instruction.
    if (isX87 || isMmx) view.setUint16(at + 2, r.next() & 0x7f00, true)
    u8[at + 4] = isX87 ? (r.oneIn(2) ? 0xff : r.next() & 0xff) : isMmx ? 0xff : 0
    view.setUint32(at + 24, isSse || isX87 ? this.#mxcsr() : 0x1f80, true)
    for (let i = 0; i < 8; i++) {
      datum(r, halves)
      u32[(at + 32 + i * 16) >>> 2] = halves.lo
      u32[(at + 36 + i * 16) >>> 2] = halves.hi
      view.setUint16(at + 40 + i * 16, isX87 ? this.#x87Exponent(at + 39 + i * 16) : 0xffff, true)
    }
    const words = isSse || isMmx || isX87 ? 64 : 2
    for (let i = 0; i < words; i += 2) {
      datum(r, halves)
      u32[((at + 160) >>> 2) + i] = halves.lo
      u32[((at + 160) >>> 2) + i + 1] = halves.hi
    }
  }

  #mxcsr(): number {
    const r = this.#fill
    if (r.oneIn(2)) return 0x1f80 | (r.oneIn(2) ? 0x20 : 0)
    const masks = r.oneIn(4) ? r.next() & 0x1f80 : 0x1f80
    // Flags whose exceptions are unmasked stay clear.
    const flags = r.next() & 0x3f & (masks >> 7)
    return masks | flags | (r.next() & 0x6000) | (r.oneIn(4) ? r.next() & 0x8040 : 0)
  }

  /** Sign and exponent for a significand whose top byte lies at `top`. */
  #x87Exponent(top: number): number {
    const r = this.#fill
    const { u8 } = this.#records
    const sign = r.below(2) << 15
    const kind = r.below(8)
    if (kind === 0) return sign
    if (kind === 1) return sign | 0x7fff
    if (kind > 2) u8[top] = (u8[top] as number) | 0x80
    return sign | (kind < 6 ? 0x3fff - 70 + r.below(140) : 1 + r.below(0x7ffe))
  }
}

/** Puts values that make sense where some instructions look for selectors, flags and addresses. */
function prepare(row: Row, encoding: Encoding, r: Random, out: Generator): void {
  const { name } = row
  const step = encoding.size / 8
  const top = out.stackTop
  switch (name) {
    case 'XSAVE':
    case 'XSAVEC':
    case 'XSAVEOPT':
    case 'XRSTOR':
      // The components that both have: x87 and SSE.
      out.setRegister(RAX, 64, r.below(4))
      out.setRegister(RDX, 64, 0)
      return
    case 'CMPS':
    case 'SCAS':
      // Random elements are seldom equal. What lies outside the windows is zero.
      if (r.oneIn(4)) return
      out.repeatByte(r.oneIn(2) ? 0 : r.below(256))
      for (let i = r.below(3); i > 0; i--) out.poke(nearBorder(r), 1, r.below(256))
      return
    case 'POPF':
      // TF, NT, AC and ID would stay with the runner.
      out.poke(top, 8, r.next() & (ARITHMETIC | DF | 0x1b3200))
      return
    case 'RETF':
      if (r.oneIn(6)) return
      out.poke(top, step, out.placeToGo())
      out.poke(top + step, step, encoding.farSelector())
      return
    case 'IRET':
      out.poke(top, step, out.placeToGo())
      out.poke(top + step, step, encoding.farSelector())
      out.poke(top + 2 * step, step, 0x202 | (r.next() & (ARITHMETIC | DF)))
      out.poke(top + 3 * step, step, nearBorder(r))
      out.poke(top + 4 * step, step, r.oneIn(3) ? dataSelector(r) : 0x2b)
      return
    case 'RET':
      if (!r.oneIn(4)) out.poke(top, 8, out.placeToGo())
      return
    case 'CALL':
    case 'JMP':
      if (r.oneIn(6)) return
      if (row.operands[0]?.size === 'p') {
        out.poke(encoding.target, step, out.placeToGo())
        out.poke(encoding.target + step, 2, encoding.farSelector())
      } else if (encoding.target >= 0) out.poke(encoding.target, 8, out.placeToGo())
      else if (encoding.rm >= 0) out.setRegister(encoding.rm, 64, out.placeToGo())
      return
    case 'LDS':
    case 'LES':
    case 'LSS':
    case 'LFS':
    case 'LGS':
      out.poke(encoding.target + step, 2, dataSelector(r))
      return
    case 'POP':
      out.poke(top, 2, dataSelector(r))
      return
    case 'MOV':
    case 'LAR':
    case 'LSL':
    case 'VERR':
    case 'VERW':
    case 'ARPL': {
      const selector = r.oneIn(3) ? encoding.farSelector() : dataSelector(r)
      if (name === 'MOV' && r.oneIn(2)) return
      if (encoding.target >= 0) out.poke(encoding.target, 2, selector)
      else if (encoding.rm >= 0) out.setRegister(encoding.rm, 16, selector)
      return
    }
  }
}
