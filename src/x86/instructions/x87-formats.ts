// Extended numbers in emitted code, and how memory operands become such: what is exact there, that
// is all but NaNs, infinities and denormals. (SDM vol. 1, 4.2.2 and 8.2.)

import type { Value } from '../../wasm/value.ts'
import type { Emitter } from '../emit/emitter.ts'

export const BIAS = 16383
export const INTEGER_BIT = 1n << 63n

/** An extended number in emitted code. */
export interface Extended {
  /** i64. */
  readonly significand: Value
  /** i32: sign in bit 15, biased exponent below. */
  readonly signExponent: Value
}

/** A memory operand as an extended number; `make` may be called if the i32 `isExact` is not 0. */
export interface Widened {
  readonly isExact: Value
  readonly make: () => Extended
}

/** A binary32 (i32) or binary64 (i64); exact if it is zero or normal. */
export function fromFloat(e: Emitter, bits: 32 | 64, value: Value): Widened {
  const { f } = e
  const fraction = bits === 32 ? 23 : 52
  const maximum = bits === 32 ? 0xff : 0x7ff
  const count = (n: number) => (bits === 32 ? f.i32(n) : f.i64(n))
  const low = (shifted: Value) => (bits === 32 ? shifted : f.wrap(shifted))
  const exponent = f.and(low(f.shrU(value, count(fraction))), f.i32(maximum))
  const isNormal = f.ltU(f.sub(exponent, f.i32(1)), f.i32(maximum - 1))
  const isZero = f.eqz(f.shl(value, count(1)))
  const make = () => {
    const wide = bits === 32 ? f.extendU(value) : value
    const mantissa = f.or(f.shl(wide, f.i64(63 - fraction)), f.i64(INTEGER_BIT))
    const sign = f.shl(low(f.shrU(value, count(bits - 1))), f.i32(15))
    const rebased = f.add(exponent, f.i32(BIAS - (maximum >> 1)))
    return {
      significand: f.select(isZero, f.i64(0), mantissa),
      signExponent: f.or(sign, f.select(isZero, f.i32(0), rebased)),
    }
  }
  return { isExact: f.or(isNormal, isZero), make }
}

/** A signed integer (i64), always exact. */
export function fromInteger(e: Emitter, value: Value): Extended {
  const { f } = e
  const isNegative = f.ltS(value, f.i64(0))
  const magnitude = f.select(isNegative, f.sub(f.i64(0), value), value)
  const zeros = f.clz(magnitude)
  const exponent = f.sub(f.i32(BIAS + 63), f.wrap(zeros))
  const signed = f.or(f.shl(isNegative, f.i32(15)), exponent)
  return {
    significand: f.shl(magnitude, zeros),
    signExponent: f.select(f.eqz(value), f.i32(0), signed),
  }
}
