// Floating-point values as patterns of bits: the tests that tell whether WebAssembly's result is
// surely the processor's, for one element (an i32 or i64) and for a whole vector alike.

import type { FunctionBuilder } from '../../wasm/function.ts'
import type { PureOp } from '../../wasm/opcodes.ts'
import type { Value } from '../../wasm/value.ts'
import { constantOf } from './vector-operands.ts'

/** Element formats: binary32 and binary64. */
export type FloatBits = 32 | 64

const INFINITY = { 32: 0x7f800000n, 64: 0x7ff0000000000000n } as const
const LEAST_NORMAL = { 32: 0x00800000n, 64: 0x0010000000000000n } as const
const MAGNITUDE = { 32: 0x7fffffffn, 64: 0x7fffffffffffffffn } as const

/**
 * Arithmetic and tests on elements of one format. A test gives a mask: 0 or 1 for one element,
 * all bits of each element for a vector.
 */
export class FloatLanes {
  readonly f: FunctionBuilder
  readonly bits: FloatBits
  readonly isScalar: boolean
  readonly #integer: 'i32' | 'i64' | 'i32x4' | 'i64x2'
  readonly #float: 'f32' | 'f64' | 'f32x4' | 'f64x2'

  constructor(f: FunctionBuilder, bits: FloatBits, isScalar: boolean) {
    this.f = f
    this.bits = bits
    this.isScalar = isScalar
    if (isScalar) {
      this.#integer = bits === 32 ? 'i32' : 'i64'
      this.#float = bits === 32 ? 'f32' : 'f64'
    } else {
      this.#integer = bits === 32 ? 'i32x4' : 'i64x2'
      this.#float = bits === 32 ? 'f32x4' : 'f64x2'
    }
  }

  /** The type of values. */
  get type(): 'i32' | 'i64' | 'v128' {
    if (!this.isScalar) return 'v128'
    return this.bits === 32 ? 'i32' : 'i64'
  }

  /** A pattern, in every element. */
  pattern(value: bigint): Value {
    const { f, bits } = this
    if (this.isScalar) return bits === 32 ? f.i32(Number(BigInt.asIntN(32, value))) : f.i64(value)
    return constantOf(f, bits === 32 ? 4 : 8, () => value)
  }

  /** A floating-point operation of WebAssembly, such as `add`. A NaN it gives must not be used. */
  compute(op: string, ...args: Value[]): Value {
    const { f } = this
    const result = f.op(
      `${this.#float}.${op}` as PureOp,
      ...args.map((value) => this.asFloat(value)),
    )
    if (!this.isScalar) return result
    return result.type === 'i32' ? result : this.asPattern(result)
  }

  /** For scalars: the pattern as a WebAssembly float. */
  asFloat(value: Value): Value {
    if (!this.isScalar) return value
    return this.f.op(this.bits === 32 ? 'f32.reinterpret_i32' : 'f64.reinterpret_i64', value)
  }

  /** For scalars: a WebAssembly float as its pattern. */
  asPattern(value: Value): Value {
    if (!this.isScalar) return value
    return this.f.op(this.bits === 32 ? 'i32.reinterpret_f32' : 'i64.reinterpret_f64', value)
  }

  /** The pattern without its sign. */
  magnitude(value: Value): Value {
    return this.and(value, this.pattern(MAGNITUDE[this.bits]))
  }

  negated(value: Value): Value {
    const sign = this.pattern(1n << BigInt(this.bits - 1))
    return this.isScalar ? this.f.xor(value, sign) : this.f.op('v128.xor', value, sign)
  }

  and(a: Value, b: Value): Value {
    return this.isScalar ? this.f.and(a, b) : this.f.op('v128.and', a, b)
  }

  // Masks.

  /** Compares magnitudes (or other patterns that are not negative as integers). */
  #compare(op: 'lt_s' | 'gt_s' | 'ge_s' | 'eq', a: Value, b: Value): Value {
    return this.f.op(`${this.#integer}.${op}` as PureOp, a, b)
  }

  either(...masks: Value[]): Value {
    return masks.reduce((a, b) => (this.isScalar ? this.f.or(a, b) : this.f.op('v128.or', a, b)))
  }

  /** a and not b. */
  butNot(a: Value, b: Value): Value {
    return this.isScalar ? this.f.and(a, this.f.eqz(b)) : this.f.op('v128.andnot', a, b)
  }

  /** i32: the mask is set for some element. */
  any(mask: Value): Value {
    return this.isScalar ? mask : this.f.op('v128.any_true', mask)
  }

  isZero(value: Value): Value {
    return this.#compare('eq', this.magnitude(value), this.pattern(0n))
  }

  isDenormal(value: Value): Value {
    const magnitude = this.magnitude(value)
    if (this.isScalar) {
      // Zero becomes the largest of all patterns.
      const { f } = this
      const one = this.pattern(1n)
      return f.ltU(f.sub(magnitude, one), this.pattern(LEAST_NORMAL[this.bits] - 1n))
    }
    const isSmall = this.#compare('lt_s', magnitude, this.pattern(LEAST_NORMAL[this.bits]))
    return this.butNot(isSmall, this.#compare('eq', magnitude, this.pattern(0n)))
  }

  isNaN(value: Value): Value {
    return this.#compare('gt_s', this.magnitude(value), this.pattern(INFINITY[this.bits]))
  }

  /** Infinite or NaN. */
  isSpecial(value: Value): Value {
    return this.#compare('ge_s', this.magnitude(value), this.pattern(INFINITY[this.bits]))
  }

  /** At least 2^exponent in magnitude, or NaN. */
  isAtLeast(value: Value, exponent: number): Value {
    const biased = this.bits === 32 ? BigInt(127 + exponent) << 23n : BigInt(1023 + exponent) << 52n
    return this.#compare('ge_s', this.magnitude(value), this.pattern(biased))
  }

  /**
   * Zero, denormal, or the least normal number: what a tiny result may have been rounded to.
   * (Tininess is found after rounding, but to a precision that denormals do not have.)
   */
  isTiny(value: Value): Value {
    const limit = this.pattern(LEAST_NORMAL[this.bits] + 1n)
    return this.#compare('lt_s', this.magnitude(value), limit)
  }
}
