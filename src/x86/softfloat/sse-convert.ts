// SSE: conversions between binary32, binary64 and integers, and ROUNDSS/ROUNDSD, on one element.
// (Intel SDM vol. 1, 4.9.1.1 and 11.5.2.1: no integer fits -> IE and the "integer indefinite".)

import { DE, type FloatContext, IE, PE, RC_ZERO } from './context.ts'
import { EXACT, roundNarrow, roundToInteger } from './round.ts'
import { infinite, quieted, r, raiseBefore, result32, result64, x, zero } from './sse-operands.ts'
import { FINITE, INFINITE, SNAN, unpack32, unpack64, unpackInt64, ZERO } from './unpacked.ts'

/** CVTSS2SD, into `ctx.hi` and `ctx.lo`. */
export function widen32(ctx: FloatContext, a: number): void {
  unpack32(x, a, ctx.daz)
  convert(ctx, 53)
  result64(ctx)
}

/** CVTSD2SS. */
export function narrow64(ctx: FloatContext, aHi: number, aLo: number): number {
  unpack64(x, aHi, aLo, ctx.daz)
  convert(ctx, 24)
  return result32()
}

function convert(ctx: FloatContext, precision: number): void {
  if (x.kind > INFINITE) {
    if (x.kind === SNAN) ctx.flags |= IE
    return quieted(x)
  }
  if (x.kind === INFINITE) return infinite(x.sign)
  if (x.kind === ZERO) return zero(x.sign)
  if (x.isDenormal && !raiseBefore(ctx, DE)) return
  r.copy(x)
  roundNarrow(ctx, r, precision)
}

/** CVTSI2SS of a signed integer of 64 bits (extend narrower ones). */
export function intTo32(ctx: FloatContext, hi: number, lo: number): number {
  unpackInt64(r, hi, lo)
  if (r.kind === FINITE) roundNarrow(ctx, r, 24)
  return result32()
}

/** CVTSI2SD of a signed integer of 64 bits (extend narrower ones), into `ctx.hi` and `ctx.lo`. */
export function intTo64(ctx: FloatContext, hi: number, lo: number): void {
  unpackInt64(r, hi, lo)
  if (r.kind === FINITE) roundNarrow(ctx, r, 53)
  result64(ctx)
}

/**
 * CVTSS2SI and, with `truncates`, CVTTSS2SI to `bits` 32 or 64, into `ctx.lo` and, sign-extended
 * for 32, `ctx.hi`.
 */
export function intFrom32(ctx: FloatContext, a: number, bits: number, truncates: boolean): void {
  unpack32(x, a, ctx.daz)
  toInteger(ctx, bits, truncates)
}

/** CVTSD2SI and, with `truncates`, CVTTSD2SI; see `intFrom32`. */
export function intFrom64(
  ctx: FloatContext,
  aHi: number,
  aLo: number,
  bits: number,
  truncates: boolean,
): void {
  unpack64(x, aHi, aLo, ctx.daz)
  toInteger(ctx, bits, truncates)
}

function toInteger(ctx: FloatContext, bits: number, truncates: boolean): void {
  ctx.hi = 0
  ctx.lo = 0
  if (x.kind === ZERO) return
  if (x.kind !== FINITE || x.exp > bits - 1) return indefinite(ctx, bits)
  const inexact = roundToInteger(x, truncates ? RC_ZERO : ctx.rounding)
  const lo = x.sign !== 0 ? -x.lo | 0 : x.lo
  const hi = x.sign !== 0 ? (~x.hi + (x.lo === 0 ? 1 : 0)) | 0 : x.hi
  // In range if the sign survived (the magnitude is not zero then), and for 32 bits the extension.
  const isZero = (x.hi | x.lo) === 0
  if (!isZero && (hi >>> 31 !== x.sign || (bits === 32 && hi !== lo >> 31))) {
    return indefinite(ctx, bits)
  }
  ctx.hi = hi
  ctx.lo = lo
  if (inexact !== EXACT) ctx.flags |= PE
}

function indefinite(ctx: FloatContext, bits: number): void {
  ctx.flags |= IE
  ctx.hi = bits === 64 ? 0x80000000 | 0 : -1
  ctx.lo = bits === 64 ? 0 : 0x80000000 | 0
}

/**
 * ROUNDSS. Of the immediate, bits 1:0 are the rounding, bit 2 asks for MXCSR's instead and bit 3
 * suppresses PE.
 */
export function round32(ctx: FloatContext, a: number, immediate: number): number {
  unpack32(x, a, ctx.daz)
  roundInt(ctx, immediate)
  return result32()
}

/** ROUNDSD, into `ctx.hi` and `ctx.lo`; see `round32`. */
export function round64(ctx: FloatContext, aHi: number, aLo: number, immediate: number): void {
  unpack64(x, aHi, aLo, ctx.daz)
  roundInt(ctx, immediate)
  result64(ctx)
}

function roundInt(ctx: FloatContext, immediate: number): void {
  if (x.kind > INFINITE) {
    if (x.kind === SNAN) ctx.flags |= IE
    return quieted(x)
  }
  r.copy(x)
  if (x.kind !== FINITE || x.exp >= 63) return
  const inexact = roundToInteger(r, immediate & 4 ? ctx.rounding : immediate & 3)
  if (inexact !== EXACT && (immediate & 8) === 0) ctx.flags |= PE
  if ((r.hi | r.lo) === 0) r.kind = ZERO
  else r.normalize()
}
