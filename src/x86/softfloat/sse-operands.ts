// SSE: the operands of the operation in progress, its result, and the NaN rules all share.
// (Intel SDM vol. 1, 4.8.3.5, table 4-7, and 11.5.2.)
//
// Operations on one element: load operands into x, y (and z), compute into r, take the pattern with
// `result32` or `result64`. If an exception is unmasked (`ctx.flags & ~ctx.masks`) the instruction
// stores nothing and the pattern means nothing. For packed operations see `settlePacked`.

import { DE, type FloatContext, IE, ZE } from './context.ts'
import { pack32, pack64 } from './round.ts'
import { FINITE, INFINITE, QNAN, SNAN, Unpacked, unpack32, unpack64, ZERO } from './unpacked.ts'

/** First operand. */
export const x = new Unpacked()
/** Second operand. */
export const y = new Unpacked()
/** Third operand. */
export const z = new Unpacked()
/** Result: of kind FINITE it has been rounded. */
export const r = new Unpacked()

/** Loads two binary32 operands. */
export function loadPair32(ctx: FloatContext, a: number, b: number): void {
  unpack32(x, a, ctx.daz)
  unpack32(y, b, ctx.daz)
}

/** Loads two binary64 operands. */
export function loadPair64(
  ctx: FloatContext,
  aHi: number,
  aLo: number,
  bHi: number,
  bLo: number,
): void {
  unpack64(x, aHi, aLo, ctx.daz)
  unpack64(y, bHi, bLo, ctx.daz)
}

/** Raises exceptions known before the computation. False if one of them is unmasked. */
export function raiseBefore(ctx: FloatContext, exceptions: number): boolean {
  ctx.flags |= exceptions
  return (exceptions & ~ctx.masks) === 0
}

/** Raises IE; the result is the default NaN, negative and quiet. */
export function invalid(ctx: FloatContext): void {
  ctx.flags |= IE
  r.kind = QNAN
  r.sign = 1
  r.hi = 0xc0000000 | 0
  r.lo = 0
}

/** The result is the NaN `a`, made quiet. */
export function quieted(a: Unpacked): void {
  r.copy(a)
  r.kind = QNAN
  r.hi |= 0x40000000
}

/** True, with the first NaN of x and y made quiet as the result, if one of them is a NaN. */
export function takesNaN(ctx: FloatContext): boolean {
  if (x.kind < QNAN && y.kind < QNAN) return false
  if (x.kind === SNAN || y.kind === SNAN) ctx.flags |= IE
  quieted(x.kind >= QNAN ? x : y)
  return true
}

/** The result is an infinity. */
export function infinite(sign: number): void {
  r.kind = INFINITE
  r.sign = sign
}

/** The result is a zero. */
export function zero(sign: number): void {
  r.kind = ZERO
  r.sign = sign
}

/** The result as a binary32. */
export function result32(): number {
  if (r.kind === FINITE) return pack32(r)
  const sign = r.sign << 31
  if (r.kind === ZERO) return sign
  return r.kind === INFINITE ? sign | 0x7f800000 : sign | 0x7f800000 | ((r.hi >>> 8) & 0x7fffff)
}

/** The result as a binary64, into `ctx.hi` and `ctx.lo`. */
export function result64(ctx: FloatContext): void {
  if (r.kind === FINITE) {
    pack64(ctx, r)
    return
  }
  const sign = r.sign << 31
  const isNaN = r.kind >= QNAN
  ctx.lo = isNaN ? (r.hi << 21) | (r.lo >>> 11) : 0
  if (r.kind === ZERO) ctx.hi = sign
  else ctx.hi = isNaN ? sign | 0x7ff00000 | ((r.hi >>> 11) & 0xfffff) : sign | 0x7ff00000
}

/**
 * Ends an instruction on several elements, whose flags have gathered in `ctx.flags`: if an
 * exception known before the computation (IE, DE, ZE) is unmasked in any element, no element is
 * computed and the others (OE, UE, PE) are not reported. True if the result is to be stored.
 */
export function settlePacked(ctx: FloatContext): boolean {
  const unmasked = ctx.flags & ~ctx.masks
  if ((unmasked & (IE | DE | ZE)) !== 0) ctx.flags &= IE | DE | ZE
  return unmasked === 0
}
