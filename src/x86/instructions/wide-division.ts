// Division of an unsigned number of 128 bits by one of 64, in two digits of 32 bits. (Knuth, The
// Art of Computer Programming 2, 4.3.1, algorithm D; D3 and D4 are `digit`.)

import type { Value } from '../../wasm/value.ts'
import type { Emitter } from '../emit/emitter.ts'

const LOW = 0xffffffffn
const LIMIT = 1n << 32n

/** Quotient and remainder, i64. */
export interface Division {
  readonly quotient: Value
  readonly remainder: Value
}

/** (high * 2^64 + low) / divisor, all i64; `high` must be below `divisor`. */
export function divideWide(e: Emitter, high: Value, low: Value, divisor: Value): Division {
  const { f } = e
  // The divisor is shifted until its top bit is set, and the dividend with it.
  const places = f.clz(divisor)
  const normal = f.shl(divisor, places)
  const carried = f.shrU(f.shrU(low, f.i64(1)), f.sub(f.i64(63), places))
  const rest = f.or(f.shl(high, places), carried)
  const next = f.shl(low, places)
  const first = digit(e, rest, f.shrU(next, f.i64(32)), normal)
  const second = digit(e, first.rest, f.and(next, f.i64(LOW)), normal)
  return {
    quotient: f.add(f.shl(first.digit, f.i64(32)), second.digit),
    remainder: f.shrU(second.rest, places),
  }
}

/**
 * One digit: (high * 2^32 + next) / divisor, and what is left. `high` is below `divisor`, whose top
 * bit is set.
 */
export function digit(e: Emitter, high: Value, next: Value, divisor: Value) {
  const { f } = e
  const top = f.shrU(divisor, f.i64(32))
  const bottom = f.and(divisor, f.i64(LOW))
  const limit = f.i64(LIMIT)
  let guess = f.divU(high, top)
  let rest = f.sub(high, f.mul(guess, top))
  // The guess is at most two too large. It is when the part of the divisor that was left out, times
  // the guess, is more than what remains.
  for (let i = 0; i < 2; i++) {
    const remaining = f.or(f.shl(rest, f.i64(32)), next)
    const isTooLarge = f.or(f.geU(guess, limit), f.gtU(f.mul(guess, bottom), remaining))
    const isCorrected = f.extendU(f.and(isTooLarge, f.ltU(rest, limit)))
    guess = f.sub(guess, isCorrected)
    rest = f.add(rest, f.mul(isCorrected, top))
  }
  return {
    digit: guess,
    rest: f.sub(f.or(f.shl(high, f.i64(32)), next), f.mul(guess, divisor)),
  }
}
