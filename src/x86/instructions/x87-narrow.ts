// From extended numbers to what memory holds, in emitted code: binary32, binary64 and integers, for
// results that raise no exception but PE. (SDM vol. 1, 4.8.4 and 4.9.1.6.)

import type { Value } from '../../wasm/value.ts'
import type { Emitter } from '../emit/emitter.ts'
import * as S from '../state.ts'
import * as X from '../system/x87-words.ts'
import { BIAS } from './x87-formats.ts'

/** A conversion in emitted code. */
export interface Conversion {
  /** i32: it is right; all else goes to TypeScript. */
  readonly isFast: Value
  /** i64: what is stored, in its lower bits. */
  readonly value: Value
  /** i32: the result is inexact, and it was rounded up in magnitude. */
  readonly isInexact: Value
  readonly isUp: Value
}

/** To binary32 or binary64: right if the result is zero or normal and rounded to nearest. */
export function narrowed(bits: 32 | 64) {
  const fraction = bits === 32 ? 23 : 52
  const bias = bits === 32 ? 127 : 1023
  const dropped = 63 - fraction
  return (e: Emitter, significand: Value, signExponent: Value): Conversion => {
    const { f } = e
    const exponent = f.sub(f.and(signExponent, f.i32(0x7fff)), f.i32(BIAS - bias))
    // One less than the greatest, so that rounding up does not overflow.
    const isInRange = f.ltU(f.sub(exponent, f.i32(1)), f.i32(2 * bias - 1))
    const isNormal = f.and(isInRange, f.ltS(significand, f.i64(0)))
    const isZero = f.eqz(f.or(significand, f.extendU(f.and(signExponent, f.i32(0x7fff)))))
    const rest = f.and(significand, f.i64((1n << BigInt(dropped)) - 1n))
    const last = f.and(f.shrU(significand, f.i64(dropped)), f.i64(1))
    const half = f.i64(1n << BigInt(dropped - 1))
    // More than half, or half and odd.
    const isUp = f.gtU(f.add(rest, last), half)
    const isNearest = f.eqz(f.and(e.stateLoad('i32.load', S.FCW), f.i32(X.ROUNDING)))
    const sign = f.shl(f.extendU(f.shrU(signExponent, f.i32(15))), f.i64(bits - 1))
    const mantissa = f.shrU(f.shl(significand, f.i64(1)), f.i64(dropped + 1))
    const joined = f.or(f.shl(f.extendU(exponent), f.i64(fraction)), mantissa)
    const rounded = f.add(joined, f.extendU(isUp))
    const isInexact = f.ne(rest, f.i64(0))
    return {
      isFast: f.or(f.and(isNormal, f.or(isNearest, f.eqz(isInexact))), isZero),
      value: f.or(sign, f.select(isZero, f.i64(0), rounded)),
      isInexact,
      isUp,
    }
  }
}

/** To a signed integer, as RC says or cut: right if it is sure to fit. */
export function integral(bits: 16 | 32 | 64, isCut: boolean) {
  return (e: Emitter, significand: Value, signExponent: Value): Conversion => {
    const { f } = e
    const exponent = f.sub(f.and(signExponent, f.i32(0x7fff)), f.i32(BIAS))
    const isNormal = f.ltS(significand, f.i64(0))
    const isZero = f.and(f.eqz(f.and(signExponent, f.i32(0x7fff))), f.eqz(significand))
    const isBelowOne = f.ltS(exponent, f.i32(0))
    const places = f.extendU(f.sub(f.i32(63), exponent))
    const whole = f.select(isBelowOne, f.i64(0), f.shrU(significand, places))
    // The fraction at the top of 64 bits; below a half its exact value does not matter.
    const above0 = f.shl(significand, f.extendU(f.add(exponent, f.i32(1))))
    const tiny = f.select(isZero, f.i64(0), f.i64(1))
    const below = f.select(f.eq(exponent, f.i32(-1)), significand, tiny)
    const rest = f.select(isBelowOne, below, above0)
    const isInexact = f.ne(rest, f.i64(0))
    const isNegative = f.shrU(signExponent, f.i32(15))
    const isUp = isCut ? f.i32(0) : roundsUp(e, isNegative, isInexact, rest, whole)
    const magnitude = f.add(whole, f.extendU(isUp))
    return {
      isFast: f.or(isZero, f.and(isNormal, f.ltS(exponent, f.i32(bits - 2)))),
      value: f.select(isNegative, f.sub(f.i64(0), magnitude), magnitude),
      isInexact,
      isUp,
    }
  }
}

/** i32: an integer with a fraction `rest` (of 2^64) is rounded up in magnitude. */
function roundsUp(
  e: Emitter,
  isNegative: Value,
  isInexact: Value,
  rest: Value,
  whole: Value,
): Value {
  const { f } = e
  const mode = f.and(e.stateLoad('i32.load', S.FCW), f.i32(X.ROUNDING))
  const half = f.i64(1n << 63n)
  const isTieUp = f.and(f.eq(rest, half), f.and(f.wrap(whole), f.i32(1)))
  const nearest = f.or(f.gtU(rest, half), isTieUp)
  const away = f.select(isNegative, f.i32(X.ROUNDING_DOWN), f.i32(X.ROUNDING_UP))
  return f.select(f.eqz(mode), nearest, f.and(isInexact, f.eq(mode, away)))
}
