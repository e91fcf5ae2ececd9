// x87: FRNDINT, FSCALE and FXTRACT, which work on the exponent. (Intel SDM vol. 2A, each page.)

import { type FloatContext, type Float80, PE, ZE } from './context.ts'
import { EXACT, ROUNDED_UP, round80, roundToInteger } from './round.ts'
import { FINITE, INFINITE, QNAN, Unpacked, unpack80, unpackInt64, ZERO } from './unpacked.ts'
import {
  invalid80,
  isNaN80,
  propagateNaN,
  propagateNaNs,
  raiseBefore,
  raiseDenormal,
} from './x87-nan.ts'

const x = new Unpacked()
const y = new Unpacked()

/** FRNDINT: out = a rounded to an integer. Returns false if `out` is left as it was. */
export function roundInt80(ctx: FloatContext, a: Float80, out: Float80): boolean {
  unpack80(x, a)
  ctx.c1 = 0
  if (isNaN80(x)) return propagateNaN(ctx, x, out)
  if (!raiseDenormal(ctx, x, x)) return false
  if (x.kind !== FINITE || x.exp >= 63) {
    out.copy(a)
    return true
  }
  const inexact = roundToInteger(x, ctx.rounding)
  if (inexact !== EXACT) ctx.flags |= PE
  ctx.c1 = inexact === ROUNDED_UP ? 1 : 0
  if ((x.hi | x.lo) === 0) {
    out.set(x.sign << 15, 0, 0)
    return true
  }
  x.normalize()
  out.set((x.sign << 15) | (x.exp + 16383), x.hi, x.lo)
  return true
}

/** FSCALE: out = a * 2^trunc(b). Returns false if `out` is left as it was. */
export function scale80(ctx: FloatContext, a: Float80, b: Float80, out: Float80): boolean {
  unpack80(x, a)
  unpack80(y, b)
  ctx.c1 = 0
  if (x.kind >= QNAN || y.kind >= QNAN) return propagateNaNs(ctx, x, y, out)
  if (y.kind === INFINITE) {
    if (x.kind === (y.sign !== 0 ? INFINITE : ZERO)) return invalid80(ctx, out)
    if (!raiseDenormal(ctx, x, y)) return false
    if (y.sign !== 0) out.set(x.sign << 15, 0, 0)
    else out.set((x.sign << 15) | 0x7fff, 0x80000000, 0)
    return true
  }
  if (!raiseDenormal(ctx, x, y)) return false
  if (x.kind !== FINITE) {
    out.copy(a)
    return true
  }
  if (y.kind === FINITE && y.exp >= 0) {
    const magnitude = y.exp > 16 ? 0x1ffff : y.hi >>> (31 - y.exp)
    x.exp += y.sign !== 0 ? -magnitude : magnitude
  }
  round80(ctx, x, 64, out)
  return true
}

/**
 * FXTRACT: `exponent` (which replaces ST(0)) and `significand` (which is pushed) of a. Zero raises
 * ZE and gives minus infinity and the zero. Returns false if nothing is stored.
 */
export function extract80(
  ctx: FloatContext,
  a: Float80,
  exponent: Float80,
  significand: Float80,
): boolean {
  unpack80(x, a)
  ctx.c1 = 0
  if (isNaN80(x)) {
    if (!propagateNaN(ctx, x, significand)) return false
    exponent.copy(significand)
    return true
  }
  if (x.kind === ZERO) {
    if (!raiseBefore(ctx, ZE)) return false
    significand.set(x.sign << 15, 0, 0)
    exponent.set(0xffff, 0x80000000, 0)
    return true
  }
  if (!raiseDenormal(ctx, x, x)) return false
  if (x.kind === INFINITE) {
    significand.set((x.sign << 15) | 0x7fff, 0x80000000, 0)
    exponent.set(0x7fff, 0x80000000, 0)
    return true
  }
  unpackInt64(y, x.exp >> 31, x.exp)
  significand.set((x.sign << 15) | 16383, x.hi, x.lo)
  if (y.kind === ZERO) exponent.set(0, 0, 0)
  else exponent.set((y.sign << 15) | (y.exp + 16383), y.hi, y.lo)
  return true
}
