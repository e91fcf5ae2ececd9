// Test cases from the opcode table: for a row, an encoding with random operands, prefixes and
// addressing form, and a state that makes its memory operand fall near a border of the pages.

import type { Row } from '../../src/x86/decode/row.ts'
import { CODE, DATA, FPU_BYTES, MISSING, READ_ONLY, type TestCase, WINDOW_BYTES, WINDOWS } from './case.ts'
import { Random } from './random.ts'

const RSP = 4

/** Values that instructions like to get wrong. */
const CORNERS = [0n, 1n, 2n, 0x7fn, 0x80n, 0xffn, 0x7fffn, 0x8000n, 0xffffn, 0x7fffffffn, 0x80000000n]
  .concat([0xffffffffn, 0x100000000n, 0x7fffffffffffffffn, 0x8000000000000000n, 0xffffffffffffffffn])

const SINGLES = [0, 0x80000000, 0x3f800000, 0xbf800000, 0x7f800000, 0xff800000, 0x7fc00000, 0x7fa00000]
  .concat([1, 0x807fffff, 0x00800000, 0x7f7fffff, 0x4f000000, 0x3fffffff, 0x4b000001])
const DOUBLES = [0n, 1n << 63n, 0x3ff0000000000000n, 0xbff0000000000000n, 0x7ff0000000000000n]
  .concat([0xfff0000000000000n, 0x7ff8000000000000n, 0x7ff4000000000001n, 1n, 0x800fffffffffffffn])
  .concat([0x0010000000000000n, 0x7fefffffffffffffn, 0x41e0000000000000n, 0x43e0000000000000n])

interface Encoding {
  readonly bytes: Uint8Array
  /** Registers that the encoding demands. */
  readonly fixed: ReadonlyMap<number, bigint>
  readonly codeOffset: number
}

/** Makes cases for rows, from one seed. */
export class Generator {
  readonly #random: Random

  constructor(seed: number) {
    this.#random = new Random(seed)
  }

  make(id: number, row: Row): TestCase {
    const r = this.#random
    const encoding = this.#encode(row)
    const gpr = BigUint64Array.from({ length: 16 }, () => this.#value())
    // String instructions and stacks: pointers into the data, small counts.
    const isString = row.operands.some(({ kind }) => kind === 'X' || kind === 'Y')
    if (isString) {
      gpr[6] = BigInt(this.#target())
      gpr[7] = BigInt(this.#target())
      gpr[1] = BigInt(r.below(20))
      gpr[3] = BigInt(this.#target())
    }
    if (r.below(8) !== 0) gpr[RSP] = BigInt(this.#target())
    if (r.below(8) !== 0 && row.name === 'LEAVE') gpr[5] = BigInt(this.#target())
    if (row.name === 'ENTER') gpr[5] = BigInt(this.#target())
    for (const [register, value] of encoding.fixed) gpr[register] = value
    const df = isString && r.below(3) === 0 ? 0x400 : 0
    const memory = new Uint8Array(WINDOWS.length * WINDOW_BYTES)
    for (let i = 0; i < memory.length; i += 8) this.#fillWord(memory, i)
    return {
      id,
      codeOffset: encoding.codeOffset,
      code: encoding.bytes,
      gpr,
      rflags: 0x202 | (r.next() & 0x8d5) | df,
      fpu: this.#fpu(row),
      memory,
    }
  }

  #fillWord(bytes: Uint8Array, at: number): void {
    const view = new DataView(bytes.buffer, bytes.byteOffset)
    view.setBigUint64(at, this.#dataWord(), true)
  }

  #dataWord(): bigint {
    const r = this.#random
    switch (r.below(5)) {
      case 0:
        return r.pick(DOUBLES)
      case 1:
        return BigInt(r.pick(SINGLES)) | (BigInt(r.pick(SINGLES)) << 32n)
      case 2:
        return this.#value()
      default:
        return r.bits64()
    }
  }

  /** A general register's value: random, a corner, or small. */
  #value(): bigint {
    const r = this.#random
    switch (r.below(4)) {
      case 0:
        return r.pick(CORNERS)
      case 1:
        return BigInt.asUintN(64, BigInt.asIntN(16, r.bits64()))
      case 2:
        return BigInt(r.below(70))
      default:
        return r.bits64()
    }
  }

  /** An address near a border of the data pages. */
  #target(): number {
    const r = this.#random
    const border = r.pick([DATA + 4096, DATA + 4096, READ_ONLY, MISSING])
    return border - 64 + r.below(border === MISSING ? 72 : 100)
  }

  #fpu(row: Row): Uint8Array {
    const r = this.#random
    const image = new Uint8Array(FPU_BYTES)
    const view = new DataView(image.buffer)
    const isX87 = row.attributes.has('x87')
    const isMmx = row.attributes.has('mmx')
    view.setUint16(0, isX87 ? 0x40 | (r.next() & 0xf00) | (r.below(4) ? 0x3f : r.next() & 0x3f) : 0x37f, true)
    // Exceptions that are pending and unmasked would be raised by the next x87 instruction.
    view.setUint16(2, isX87 || isMmx ? r.next() & 0x7f00 & ~0x8000 : 0, true)
    image[4] = isX87 ? (r.below(2) ? 0xff : r.next() & 0xff) : isMmx ? 0xff : 0
    view.setUint32(24, this.#mxcsr(), true)
    for (let i = 0; i < 8; i++) {
      view.setBigUint64(32 + i * 16, this.#dataWord(), true)
      view.setUint16(40 + i * 16, isX87 ? this.#x87Exponent(view, 32 + i * 16) : 0xffff, true)
    }
    for (let i = 0; i < 32; i++) view.setBigUint64(160 + i * 8, this.#dataWord(), true)
    return image
  }

  #mxcsr(): number {
    const r = this.#random
    if (r.below(2)) return 0x1f80 | (r.below(2) ? 0x20 : 0)
    const masks = r.below(4) ? 0x1f80 : r.next() & 0x1f80
    // Flags whose exceptions are unmasked stay clear.
    const flags = r.next() & 0x3f & (masks >> 7)
    return masks | flags | (r.next() & 0x6000) | (r.below(4) ? 0 : r.next() & 0x8040)
  }

  #x87Exponent(view: DataView, at: number): number {
    const r = this.#random
    const sign = r.below(2) << 15
    const kind = r.below(8)
    if (kind === 0) return sign
    if (kind === 1) return sign | 0x7fff
    if (kind > 2) view.setUint8(at + 7, view.getUint8(at + 7) | 0x80)
    return sign | (kind < 6 ? 0x3fff - 70 + r.below(140) : 1 + r.below(0x7ffe))
  }

  #encode(row: Row): Encoding {
    const r = this.#random
    const bytes: number[] = []
    const fixed = new Map<number, bigint>()
    const has = (kinds: string) => row.operands.some(({ kind }) => kinds.includes(kind))
    const canRepeat = row.attributes.has('rep') || row.attributes.has('repz')
    if (row.prefix === '66') bytes.push(0x66)
    else if (row.prefix === 'F3') bytes.push(0xf3)
    else if (row.prefix === 'F2') bytes.push(0xf2)
    else if (row.prefix === 'any') {
      // AMD's processors take the operand size of near branches from it, Intel's ignore it.
      if (r.below(4) === 0 && !row.attributes.has('f64')) bytes.push(0x66)
      if (canRepeat && r.below(2)) bytes.push(r.pick([0xf2, 0xf3]))
    } 
    if (row.prefix !== 'any' && row.prefix !== '66' && row.prefix !== 'NP' && has('G') && r.below(6) === 0) {
      bytes.unshift(0x66)
    }
    const isMemory = row.hasModrm && row.mod !== 'register' && (row.mod === 'memory' || r.below(2) === 0)
    const addressShort = (isMemory || has('XYO')) && r.below(12) === 0
    if (addressShort) bytes.unshift(0x67)
    if (row.attributes.has('lock') && isMemory && r.below(4) === 0) bytes.unshift(0xf0)
    if (r.below(16) === 0 && row.prefix === 'any') bytes.unshift(r.pick([0x2e, 0x36, 0x3e, 0x26]))
    const rex = r.below(3) ? 0x40 | r.below(16) : 0
    if (rex) bytes.push(rex)
    if (row.map > 0) bytes.push(0x0f)
    if (row.map === 2) bytes.push(0x38)
    if (row.map === 3) bytes.push(0x3a)
    bytes.push(row.opcode + (row.plusR ? r.below(8) : 0))
    let rip = -1
    if (row.hasModrm) {
      const reg = row.reg >= 0 ? row.reg : r.below(8)
      if (!isMemory) bytes.push(0xc0 | (reg << 3) | (row.rm >= 0 ? row.rm : r.below(8)))
      else {
        rip = this.#memoryOperand(bytes, reg, rex, fixed, addressShort)
      }
    }
    this.#immediates(bytes, row, rex, addressShort)
    const codeOffset = r.below(10) ? 64 + r.below(1024) : 4096 - 1 - r.below(8)
    if (rip >= 0) {
      const displacement = this.#target() - (CODE + codeOffset + bytes.length)
      for (let i = 0; i < 4; i++) bytes[rip + i] = (displacement >> (8 * i)) & 255
    }
    const code = new Uint8Array(16).fill(0xcc)
    code.set(bytes.slice(0, 16))
    return { bytes: code, fixed, codeOffset }
  }

  /** ModRM, SIB and displacement; gives the place of an RIP-relative displacement or -1. */
  #memoryOperand(
    bytes: number[],
    reg: number,
    rex: number,
    fixed: Map<number, bigint>,
    isShort: boolean,
  ): number {
    const r = this.#random
    const target = this.#target()
    const put32 = (value: number) => {
      for (let i = 0; i < 4; i++) bytes.push((value >> (8 * i)) & 255)
    }
    const wrap = (value: number) => (isShort && value < 0 ? BigInt(value >>> 0) : BigInt.asUintN(64, BigInt(value)))
    const form = r.below(8)
    if (form === 0 && !isShort) {
      bytes.push((reg << 3) | 5)
      put32(0)
      return bytes.length - 4
    }
    const mod = r.below(3)
    const displacement = mod === 0 ? 0 : mod === 1 ? r.below(256) - 128 : r.below(0x20000) - 0x10000
    const putDisplacement = () => {
      if (mod === 1) bytes.push(displacement & 255)
      if (mod === 2) put32(displacement)
    }
    if (form < 4) {
      const base = r.pick(mod === 0 ? [0, 1, 2, 3, 6, 7] : [0, 1, 2, 3, 5, 6, 7])
      bytes.push((mod << 6) | (reg << 3) | base)
      putDisplacement()
      fixed.set(base | (rex & 1 ? 8 : 0), wrap(target - displacement))
      return -1
    }
    const base = r.pick(mod === 0 ? [0, 1, 2, 3, 4, 6, 7] : [0, 1, 2, 3, 4, 5, 6, 7])
    const index = r.below(8)
    const scale = r.below(4)
    const indexRegister = index | (rex & 2 ? 8 : 0)
    const baseRegister = base | (rex & 1 ? 8 : 0)
    bytes.push((mod << 6) | (reg << 3) | 4, (scale << 6) | (index << 3) | base)
    putDisplacement()
    if (indexRegister === RSP) fixed.set(baseRegister, wrap(target - displacement))
    else if (indexRegister === baseRegister) {
      // Twice the same register: only some targets can be met.
      fixed.set(baseRegister, wrap(Math.floor((target - displacement) / (1 + (1 << scale)))))
    } else {
      const value = r.below(0x1000) - 0x800
      fixed.set(indexRegister, wrap(value))
      fixed.set(baseRegister, wrap(target - displacement - value * (1 << scale)))
    }
    return -1
  }

  /** Random immediates of the right sizes. */
  #immediates(bytes: number[], row: Row, rex: number, isShort: boolean): void {
    const r = this.#random
    const put = (size: number, value: bigint) => {
      for (let i = 0; i < size; i++) bytes.push(Number((value >> BigInt(8 * i)) & 255n))
    }
    const has66 = bytes.includes(0x66) && row.prefix !== '66'
    const wide = rex & 8 ? 8 : has66 ? 2 : 4
    for (const { kind, size } of row.operands) {
      if (kind === 'O') put(isShort ? 4 : 8, BigInt(this.#target()))
      if (kind !== 'I' && kind !== 'J') continue
      const value = row.name === 'ENTER' && size === 'w' ? BigInt(r.below(64)) : this.#value()
      // A branch back to itself would never end.
      if (kind === 'J' && size === 'b') put(1, BigInt(r.below(2) ? r.below(128) : -20 - r.below(100)))
      else if (size === 'b') put(1, value)
      else if (size === 'w') put(2, value)
      else if (size === 'd') put(4, value)
      else if (size === 'v') put(wide, value)
      else if (kind === 'J') put(4, BigInt(r.below(512)))
      else put(Math.min(wide, 4), value)
    }
  }
}
