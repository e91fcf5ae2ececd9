// Random instructions of the kinds that programs are full of: integer arithmetic, moves, shifts,
// stack, flags, strings, scalar and packed floating point; their memory operands lie in the data
// pages, near borders more often than not.

import type { Random } from '../silicon/random.ts'
import {
  encode,
  immediateOf,
  little,
  load,
  type Memory,
  type Rm,
  RSP,
  type Size,
} from './encoder.ts'
import * as L from './layout.ts'
import type { Item } from './program.ts'

const RCX = 1
const RBX = 3
const RBP = 5
const RSI = 6
const RDI = 7

/** A program's instructions are made in one mode, with registers of fixed use. */
export class Common {
  readonly bits: 32 | 64
  readonly r: Random
  /** Registers that hold addresses in the data, most of the time. */
  readonly pointers: readonly number[]
  /** Registers that count loops. */
  readonly counters: readonly number[]
  readonly index: number
  readonly #values: readonly number[]
  readonly #sizes: readonly Size[]

  constructor(bits: 32 | 64, r: Random) {
    this.bits = bits
    this.r = r
    this.pointers = bits === 64 ? [RBX, RSI, RDI, 12, RBP] : [RBX, RSI, RDI]
    this.counters = bits === 64 ? [14, 15] : [RBP]
    this.index = bits === 64 ? 13 : 2
    this.#values = bits === 64 ? [0, 1, 2, 8, 9, 10, 11, 13] : [0, 1, 2]
    this.#sizes = bits === 64 ? [8, 16, 32, 32, 64, 64] : [8, 16, 32, 32, 32]
  }

  size(): Size {
    return this.r.pick(this.#sizes)
  }

  wide(): Size {
    const size = this.size()
    return size === 8 ? 32 : size
  }

  /** A register to read, or (seldom anything but a value) to write. */
  register(isWritten: boolean): number {
    const { r } = this
    const isWild = isWritten ? r.oneIn(24) : r.oneIn(4)
    if (!isWild) return r.pick(this.#values)
    const register = r.below(this.bits === 64 ? 16 : 8)
    // A wild stack pointer ends what calls there are.
    return isWritten && register === RSP && !r.oneIn(8) ? 0 : register
  }

  /** An offset from a pointer in the middle of the data, or from its start. */
  displacement(): number {
    const { r } = this
    if (r.oneIn(2)) return r.below(64) - 32
    if (r.oneIn(3)) return r.below(0x2000) - 0x1000
    return r.below(4) * 0x1000 - 0x1000 + r.pick([-1, -2, -3, -4, -7, -8, -15, -16, 0, 8])
  }

  memory(): Memory {
    const { r } = this
    switch (r.below(10)) {
      case 0:
        return { base: RSP, displacement: r.below(16) * 8 - 32 }
      case 1:
        return { base: -1, displacement: L.DATA + 0x1000 + this.displacement() }
      case 2:
      case 3:
        return {
          base: r.pick(this.pointers),
          index: this.index,
          scale: r.below(4) as 0 | 1 | 2 | 3,
          displacement: r.oneIn(2) ? 0 : this.displacement(),
        }
      case 4:
        if (this.bits === 64 && r.oneIn(2)) {
          return { base: -1, displacement: r.below(0x1800), prefix: r.oneIn(2) ? 0x64 : 0x65 }
        }
        return { base: r.pick(this.pointers), displacement: 0 }
      default:
        return { base: r.pick(this.pointers), displacement: this.displacement() }
    }
  }

  rm(isWritten: boolean): Rm {
    return this.r.oneIn(2) ? this.memory() : this.register(isWritten)
  }

  #encode(
    size: Size,
    opcode: readonly number[],
    reg: number,
    rm: Rm,
    immediate: readonly number[] = [],
  ) {
    return encode(this.bits, { opcode, reg, rm, size, immediate })
  }

  /** 32-bit code has no bytes of RSP and the three registers behind it. */
  #reg(size: Size, isWritten: boolean): number {
    const register = this.register(isWritten)
    return size === 8 && this.bits === 32 ? register & 3 : register
  }

  #pair(size: Size, isWritten: boolean): readonly [reg: number, rm: Rm] {
    const rm = this.rm(isWritten)
    const isByte = size === 8 && this.bits === 32
    return [this.#reg(size, !isWritten), typeof rm === 'number' && isByte ? rm & 7 : rm]
  }

  /** ADD OR ADC SBB AND SUB XOR CMP in all forms. */
  arithmetic(operation = this.r.below(8)): Item {
    const { r } = this
    const size = this.size()
    const wide = size === 8 ? 0 : 1
    const form = r.below(4)
    if (form === 0) {
      const [reg, rm] = this.#pair(size, operation !== 7)
      const lock = operation !== 7 && r.oneIn(8)
      return encode(this.bits, { opcode: [operation * 8 + wide], reg, rm, size, lock })
    }
    if (form === 1) {
      const [reg, rm] = this.#pair(size, false)
      return this.#encode(size, [operation * 8 + 2 + wide], reg, rm)
    }
    const [, rm] = this.#pair(size, operation !== 7)
    if (form === 2 || size === 8) {
      return this.#encode(size, [size === 8 ? 0x80 : 0x83], operation, rm, immediateOf(r, 8))
    }
    return this.#encode(size, [0x81], operation, rm, immediateOf(r, size))
  }

  /** INC DEC NOT NEG TEST MUL IMUL DIV IDIV. */
  unary(): Item {
    const { r } = this
    const size = this.size()
    const wide = size === 8 ? 0 : 1
    const [, rm] = this.#pair(size, true)
    if (r.oneIn(2)) return this.#encode(size, [0xfe + wide], r.below(2), rm)
    const operation = r.pick([0, 2, 3, 3, 4, 5, 6, 7])
    const immediate = operation === 0 ? immediateOf(r, size) : []
    return this.#encode(size, [0xf6 + wide], operation, rm, immediate)
  }

  shift(): Item {
    const { r } = this
    const size = this.size()
    const wide = size === 8 ? 0 : 1
    const [, rm] = this.#pair(size, true)
    const operation = r.below(8)
    const count = r.pick([0, 1, 2, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, r.below(256)])
    if (r.oneIn(5)) {
      const shape = this.wide()
      const reg = this.register(false)
      const isLeft = r.oneIn(2)
      const by = r.oneIn(2)
      const target = this.rm(true)
      const opcode = [0x0f, (isLeft ? 0xa4 : 0xac) + (by ? 1 : 0)]
      return this.#encode(shape, opcode, reg, target, by ? [] : [count])
    }
    switch (r.below(3)) {
      case 0:
        return this.#encode(size, [0xd0 + wide], operation, rm)
      case 1:
        return this.#encode(size, [0xd2 + wide], operation, rm)
      default:
        return this.#encode(size, [0xc0 + wide], operation, rm, [count])
    }
  }

  /** Values at which flags change, as lower and upper half. */
  #corners(): (readonly [lo: number, hi: number])[] {
    const { r } = this
    const small = r.pick([0, 1, -1, 0x7f, 0x80, -0x80, 0xff, 0x7fff, 0x8000, 0xffff, r.below(64)])
    return [
      [small, small < 0 ? -1 : 0],
      [small, r.next() | 0],
      [r.pick([0x7fffffff, -0x80000000, -1, 0]), r.pick([0, -1])],
      [r.pick([-1, 0]), r.pick([0x7fffffff, -0x80000000, -1])],
      [r.next() | 0, r.next() | 0],
    ]
  }

  /** One that a size has its largest, smallest or least numbers of. */
  #corner(size: Size): readonly [lo: number, hi: number] {
    const { r } = this
    if (r.oneIn(3)) return r.pick(this.#corners())
    const top = r.pick([-0x80000000, 0x7fffffff])
    if (size === 64)
      return r.pick([
        [~(top >> 31), top],
        [-1, -1],
        [0, 0],
      ] as const)
    const value = r.pick([top >> (32 - size), top >> (32 - size), -1, 0, 1])
    return [value, r.oneIn(2) ? 0 : r.next() | 0]
  }

  move(): Item {
    const { r, bits } = this
    const size = this.size()
    const wide = size === 8 ? 0 : 1
    switch (r.below(9)) {
      case 0:
        return load(bits, r.pick(this.#values), ...r.pick(this.#corners()))
      case 1: {
        const [, rm] = this.#pair(size, true)
        return this.#encode(size, [0xc6 + wide], 0, rm, immediateOf(r, size))
      }
      case 2:
        return this.#encode(this.wide(), [0x8d], this.register(true), this.memory())
      case 3: {
        const opcode = r.pick([0xb6, 0xbe, 0xb7, 0xbf])
        const rm = this.rm(false)
        const isByte = opcode < 0xb7 || opcode === 0xbe
        const source = typeof rm === 'number' && isByte ? rm & 3 : rm
        return this.#encode(this.wide(), [0x0f, opcode], this.register(true), source)
      }
      case 4:
        if (bits === 64) return this.#encode(64, [0x63], this.register(true), this.rm(false))
        return this.#encode(size, [0x86 + wide], ...this.#pair(size, true))
      case 5: {
        const [reg, rm] = this.#pair(size, true)
        const opcode = r.pick([[0x86 + wide], [0x0f, 0xb0 + wide], [0x0f, 0xc0 + wide]])
        return encode(bits, { opcode, reg, rm, size, lock: opcode.length > 1 && r.oneIn(3) })
      }
      case 6:
        return this.#encode(size, [0x8a + wide], ...this.#pair(size, false))
      default:
        return this.#encode(size, [0x88 + wide], ...this.#pair(size, true))
    }
  }

  /** Reads the flags: CMOVcc SETcc ADC SBB RCL LAHF PUSHF, or writes them. */
  flags(): Item {
    const { r } = this
    switch (r.below(8)) {
      case 0:
      case 1:
        return this.#encode(
          this.wide(),
          [0x0f, 0x40 + r.below(16)],
          this.register(true),
          this.rm(false),
        )
      case 2:
      case 3: {
        const [, rm] = this.#pair(8, true)
        return this.#encode(8, [0x0f, 0x90 + r.below(16)], 0, rm)
      }
      case 4:
        return { bytes: [r.pick([0xf8, 0xf9, 0xf5, 0x9e, 0x9f, 0xfc, 0xfc, 0xfd])] }
      case 5:
        return { bytes: r.oneIn(8) ? [0x66, 0x9c] : [0x9c] }
      case 6: {
        const size = this.size()
        const [, rm] = this.#pair(size, true)
        return this.#encode(size, [size === 8 ? 0xd0 : 0xd1], 2 + r.below(2), rm)
      }
      default:
        return this.arithmetic(2 + r.below(2))
    }
  }

  /** A value at which flags change, an instruction that sets them there, and who reads them. */
  probe(): Item[] {
    const { r, bits } = this
    const one = r.below(3)
    const other = r.below(3)
    const size = this.size()
    const wide = size === 8 ? 0 : 1
    const items = [load(bits, one, ...this.#corner(size))]
    if (r.oneIn(2)) items.push(load(bits, other, ...this.#corner(size)))
    if (r.oneIn(3)) items.push({ bytes: [r.oneIn(2) ? 0xf8 : 0xf9] })
    switch (r.below(6)) {
      case 0:
      case 1:
        items.push(this.#encode(size, [0xfe + wide], r.below(2), one))
        break
      case 2:
        items.push(this.#encode(size, [0xf6 + wide], r.pick([2, 3, 3, 4, 5]), one))
        break
      case 3:
        items.push(
          this.#encode(size, [0xc0 + wide], r.below(8), one, [
            r.pick([0, 1, 1, 2, 7, 8, 31, 32, 63]),
          ]),
        )
        break
      case 4:
        items.push(
          this.#encode(size, [size === 8 ? 0x80 : 0x83], r.below(8), one, immediateOf(r, 8)),
        )
        break
      default:
        items.push(this.#encode(size, [r.pick([r.below(8) * 8, 0x84]) + wide], other, one))
    }
    if (r.oneIn(3)) items.push(this.#encode(32, [0x8d], 2, this.memory()))
    for (let i = 1 + r.below(2); i > 0; i--) {
      const condition = r.below(16)
      const form = r.below(4)
      if (form === 0) items.push({ bytes: [0x9c] })
      else if (form === 1) items.push(this.#encode(32, [0x0f, 0x40 + condition], other, one))
      else
        items.push(this.#encode(8, [0x0f, 0x90 + condition], 0, r.oneIn(2) ? this.memory() : other))
    }
    return items
  }

  bitTests(): Item {
    const { r } = this
    const size = this.wide()
    switch (r.below(4)) {
      case 0: {
        const rm = this.rm(true)
        return this.#encode(
          size,
          [0x0f, r.pick([0xa3, 0xab, 0xb3, 0xbb])],
          this.register(false),
          rm,
        )
      }
      case 1:
        return this.#encode(size, [0x0f, 0xba], 4 + r.below(4), this.rm(true), [r.below(256)])
      case 2: {
        const opcode = r.pick([0xbc, 0xbd, 0xb8])
        const prefix = opcode === 0xb8 || r.oneIn(2) ? 0xf3 : 0
        const rm = this.rm(false)
        return encode(this.bits, {
          prefix,
          opcode: [0x0f, opcode],
          reg: this.register(true),
          rm,
          size,
        })
      }
      default: {
        if (r.oneIn(2)) return this.#encode(size, [0x0f, 0xaf], this.register(true), this.rm(false))
        const isShort = r.oneIn(2)
        const immediate = immediateOf(r, isShort ? 8 : size)
        return this.#encode(
          size,
          [isShort ? 0x6b : 0x69],
          this.register(true),
          this.rm(false),
          immediate,
        )
      }
    }
  }

  /** Widening of the accumulator, BSWAP, XCHG with it, NOP. */
  small(): Item {
    const { r, bits } = this
    const size = this.wide()
    const before = size === 16 ? [0x66] : size === 64 ? [0x48] : []
    switch (r.below(4)) {
      case 0:
        return { bytes: [...before, r.pick([0x98, 0x99])] }
      case 1:
        return { bytes: [...(size === 64 ? [0x48] : []), 0x0f, 0xc8 + r.pick([0, 1, 2])] }
      case 2:
        return { bytes: [...before, 0x90 + r.pick([0, 1, 2])] }
      default:
        return bits === 64 ? { bytes: [0x0f, 0x1f, 0x40, 0] } : { bytes: [0x90] }
    }
  }

  stack(): Item {
    const { r } = this
    switch (r.below(5)) {
      case 0: {
        const register = this.register(true)
        return { bytes: [...(register > 7 ? [0x41] : []), 0x58 | (register & 7)] }
      }
      case 1:
        return { bytes: r.oneIn(2) ? [0x6a, r.below(256)] : [0x68, ...little(r.next() | 0, 4)] }
      case 2:
        return this.#encode(r.oneIn(8) ? 16 : 32, [0xff], 6, this.memory())
      case 3:
        return this.#encode(32, [0x8f], 0, this.memory())
      default: {
        const register = this.register(false)
        return { bytes: [...(register > 7 ? [0x41] : []), 0x50 | (register & 7)] }
      }
    }
  }

  /** Repeated string instructions, with what they need before them. */
  string(): Item[] {
    const { r, bits } = this
    const items: Item[] = []
    const rep = r.pick([0, 0xf2, 0xf3, 0xf3])
    const near = () => L.DATA + 0x1000 + this.displacement()
    const target = near()
    const segment = r.oneIn(10) ? r.pick([0x64, 0x65]) : 0
    if (r.oneIn(2)) items.push(load(bits, RDI, target))
    if (segment !== 0 && bits === 64) items.push(load(bits, RSI, r.below(0x1800)))
    else if (r.oneIn(2)) {
      // The same bytes, by the same address or by the other, let comparisons go on.
      const again = target ^ (L.DATA ^ L.DATA_AGAIN)
      items.push(load(bits, RSI, r.pick([near(), near(), target, again])))
    }
    if (rep !== 0) items.push(load(bits, RCX, this.#repetitions()))
    if (r.oneIn(8)) items.push({ bytes: [r.pick([0xfc, 0xfd])] })
    const size = this.size()
    const before = [...(segment ? [segment] : []), ...(r.oneIn(12) ? [0x67] : [])]
    if (size === 16) before.push(0x66)
    if (size === 64) before.push(0x48)
    const opcode = r.pick([0xa4, 0xa4, 0xa6, 0xa6, 0xaa, 0xaa, 0xac, 0xae]) + (size === 8 ? 0 : 1)
    items.push({ bytes: [...(rep ? [rep] : []), ...before, opcode] })
    return items
  }

  #repetitions(): number {
    const { r } = this
    if (r.oneIn(20)) return r.pick([0, 0x7fffffff])
    return r.oneIn(6) ? r.below(0x1400) : r.below(20)
  }

  /** SSE: moves, integer and floating-point arithmetic, conversions, comparisons. */
  sse(): Item {
    const { r, bits } = this
    const count = bits === 64 ? 16 : 8
    const vector = () => r.below(r.oneIn(4) ? count : 4)
    const rm: Rm = r.oneIn(2) ? this.memory() : vector()
    const put = (
      opcode: readonly number[],
      prefix = 0,
      reg = vector(),
      what = rm,
      immediate?: number[],
    ) =>
      encode(bits, {
        prefix,
        opcode: [0x0f, ...opcode],
        reg,
        rm: what,
        size: 32,
        ...(immediate && { immediate }),
      })
    switch (r.below(9)) {
      case 0:
        return put([r.pick([0x10, 0x11])], r.pick([0, 0x66, 0xf3, 0xf2]))
      case 1:
        return put([r.pick([0x28, 0x29])], r.pick([0, 0x66]))
      case 2:
        return put([r.pick([0x6f, 0x7f])], r.pick([0x66, 0xf3]))
      case 3:
        return put(
          [r.pick([0x51, 0x58, 0x59, 0x5c, 0x5d, 0x5e, 0x5f])],
          r.pick([0, 0x66, 0xf3, 0xf2]),
        )
      case 4:
        return put([r.pick([0x54, 0x55, 0x56, 0x57, 0x14, 0x15])], r.pick([0, 0x66]))
      case 5: {
        const opcode = r.pick([
          0x60, 0x61, 0x62, 0x64, 0x65, 0x66, 0x6a, 0x6c, 0x74, 0x75, 0x76, 0xd4, 0xdb, 0xd8, 0xe5,
          0xeb, 0xef, 0xf4, 0xf5, 0xf6, 0xfa, 0xfc, 0xfe,
        ])
        return put([opcode], 0x66)
      }
      case 6:
        return put([0x70], r.pick([0x66, 0xf2, 0xf3]), vector(), rm, [r.below(256)])
      case 7: {
        // Between vectors and general registers; comparisons that set the flags.
        const general: Rm = r.oneIn(2) ? this.memory() : this.register(true)
        const wide = bits === 64 && r.oneIn(2) ? 64 : 32
        const opcode = r.pick([0x6e, 0x7e, 0x2a])
        if (opcode !== 0x2a)
          return encode(bits, {
            prefix: 0x66,
            opcode: [0x0f, opcode],
            reg: vector(),
            rm: general,
            size: wide,
          })
        return encode(bits, {
          prefix: r.pick([0xf2, 0xf3]),
          opcode: [0x0f, 0x2a],
          reg: vector(),
          rm: general,
          size: wide,
        })
      }
      default: {
        if (r.oneIn(2)) return put([r.pick([0x2e, 0x2f])], r.pick([0, 0x66]))
        const wide = bits === 64 && r.oneIn(2) ? 64 : 32
        const opcode = r.pick([0x2c, 0x2d])
        return encode(bits, {
          prefix: r.pick([0xf2, 0xf3]),
          opcode: [0x0f, opcode],
          reg: this.register(true),
          rm,
          size: wide,
        })
      }
    }
  }

  /** Moves a pointer a little, or gives it a new place. */
  pointer(): Item {
    const { r, bits } = this
    const register = r.pick(this.pointers)
    if (r.oneIn(2)) return load(bits, register, L.DATA + 0x1000 + this.displacement())
    const rex = bits === 64 ? [register > 7 ? 0x49 : 0x48] : []
    return {
      bytes: [
        ...rex,
        0x83,
        0xc0 | (r.oneIn(2) ? 0x28 : 0) | (register & 7),
        r.pick([1, 4, 8, 64, 127]),
      ],
    }
  }

  /** Makes the index small. */
  narrow(): Item {
    const { r, bits, index } = this
    // MOVZX from a byte, which keeps the flags, or AND, which does not.
    if (r.oneIn(2))
      return encode(bits, { opcode: [0x0f, 0xb6], reg: index, rm: r.below(3), size: 32 })
    return encode(bits, { opcode: [0x83], reg: 4, rm: index, size: 32, immediate: [r.below(128)] })
  }

  /** One of all of these. */
  any(): Item[] {
    const { r } = this
    switch (r.below(20)) {
      case 0:
      case 1:
      case 2:
      case 3:
        return [this.arithmetic()]
      case 4:
      case 5:
        return [this.unary()]
      case 6:
      case 7:
        return [this.shift()]
      case 8:
      case 9:
      case 10:
        return [this.move()]
      case 11:
      case 12:
        return [this.flags()]
      case 13:
        return [this.bitTests()]
      case 14:
        return [this.small()]
      case 15:
        return [this.stack()]
      case 16:
        return this.string()
      case 17:
        return [this.pointer()]
      case 18:
        return [this.narrow()]
      default:
        return [this.sse()]
    }
  }
}
