// Methods that choose the instruction by the type of their operands, which are all i32 or all i64
// where nothing else is said. Opcodes are those of i32; those of i64 lie at a fixed distance.

import { Pure } from './pure.ts'
import type { Value } from './value.ts'

/** From an opcode of i32 to that of i64: comparisons, and arithmetic. */
const WIDE_COMPARE = 0x0b
const WIDE_ARITHMETIC = 0x12

/** Arithmetic on integers. */
export class Arithmetic extends Pure {
  add(a: Value, b: Value): Value {
    return this.#integer(0x6a, a, b)
  }

  sub(a: Value, b: Value): Value {
    return this.#integer(0x6b, a, b)
  }

  mul(a: Value, b: Value): Value {
    return this.#integer(0x6c, a, b)
  }

  /** Traps if `b` is 0, or if the quotient does not fit. */
  divS(a: Value, b: Value): Value {
    return this.#integer(0x6d, a, b)
  }

  /** Traps if `b` is 0. */
  divU(a: Value, b: Value): Value {
    return this.#integer(0x6e, a, b)
  }

  /** Traps if `b` is 0. */
  remS(a: Value, b: Value): Value {
    return this.#integer(0x6f, a, b)
  }

  /** Traps if `b` is 0. */
  remU(a: Value, b: Value): Value {
    return this.#integer(0x70, a, b)
  }

  and(a: Value, b: Value): Value {
    return this.#integer(0x71, a, b)
  }

  or(a: Value, b: Value): Value {
    return this.#integer(0x72, a, b)
  }

  xor(a: Value, b: Value): Value {
    return this.#integer(0x73, a, b)
  }

  /** The count is of the same type as the value, and taken modulo its width; so for all shifts. */
  shl(a: Value, b: Value): Value {
    return this.#integer(0x74, a, b)
  }

  shrS(a: Value, b: Value): Value {
    return this.#integer(0x75, a, b)
  }

  shrU(a: Value, b: Value): Value {
    return this.#integer(0x76, a, b)
  }

  rotl(a: Value, b: Value): Value {
    return this.#integer(0x77, a, b)
  }

  rotr(a: Value, b: Value): Value {
    return this.#integer(0x78, a, b)
  }

  clz(a: Value): Value {
    return this.unary(0x67 + this.#wide(a, WIDE_ARITHMETIC), a)
  }

  ctz(a: Value): Value {
    return this.unary(0x68 + this.#wide(a, WIDE_ARITHMETIC), a)
  }

  popcnt(a: Value): Value {
    return this.unary(0x69 + this.#wide(a, WIDE_ARITHMETIC), a)
  }

  /** 1 if the value is 0, else 0; an i32, as all comparisons. */
  eqz(a: Value): Value {
    return this.unary(0x45 + this.#wide(a, WIDE_COMPARE), a)
  }

  eq(a: Value, b: Value): Value {
    return this.#compare(0x46, a, b)
  }

  ne(a: Value, b: Value): Value {
    return this.#compare(0x47, a, b)
  }

  ltS(a: Value, b: Value): Value {
    return this.#compare(0x48, a, b)
  }

  ltU(a: Value, b: Value): Value {
    return this.#compare(0x49, a, b)
  }

  gtS(a: Value, b: Value): Value {
    return this.#compare(0x4a, a, b)
  }

  gtU(a: Value, b: Value): Value {
    return this.#compare(0x4b, a, b)
  }

  leS(a: Value, b: Value): Value {
    return this.#compare(0x4c, a, b)
  }

  leU(a: Value, b: Value): Value {
    return this.#compare(0x4d, a, b)
  }

  geS(a: Value, b: Value): Value {
    return this.#compare(0x4e, a, b)
  }

  geU(a: Value, b: Value): Value {
    return this.#compare(0x4f, a, b)
  }

  /** All bits inverted. */
  not(a: Value): Value {
    return this.xor(a, this.integer(a.type, -1))
  }

  /** 0 - a. */
  neg(a: Value): Value {
    return this.sub(this.integer(a.type, 0), a)
  }

  /** i32 to i64, with zeros above. */
  extendU(a: Value): Value {
    return this.unary(0xad, a)
  }

  /** i32 to i64, with the sign above. */
  extendS(a: Value): Value {
    return this.unary(0xac, a)
  }

  /** The low half of an i64. */
  wrap(a: Value): Value {
    return this.unary(0xa7, a)
  }

  /** Copies bit 7 into the bits above it. */
  sextend8(a: Value): Value {
    return this.unary(this.#wide(a, 1) ? 0xc2 : 0xc0, a)
  }

  /** Copies bit 15 into the bits above it. */
  sextend16(a: Value): Value {
    return this.unary(this.#wide(a, 1) ? 0xc3 : 0xc1, a)
  }

  /** Copies bit 31 of an i64 into the bits above it. */
  sextend32(a: Value): Value {
    return this.unary(0xc4, a)
  }

  #integer(code: number, a: Value, b: Value): Value {
    return this.binary(code + this.#wide(a, WIDE_ARITHMETIC), a, b)
  }

  #compare(code: number, a: Value, b: Value): Value {
    return this.binary(code + this.#wide(a, WIDE_COMPARE), a, b)
  }

  #wide(a: Value, distance: number): number {
    return a.type === 'i64' ? distance : 0
  }
}
