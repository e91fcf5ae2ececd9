// x87: which NaN comes out, and how the exceptions known before the computation stop it.
// (Intel SDM vol. 1, table 4-7 and 8.5.)

import { DE, type FloatContext, type Float80, IE } from './context.ts'
import { QNAN, SNAN, UNSUPPORTED, type Unpacked } from './unpacked.ts'

/** Raises exceptions known before the computation. False if one of them is unmasked. */
export function raiseBefore(ctx: FloatContext, exceptions: number): boolean {
  ctx.flags |= exceptions
  return (exceptions & ~ctx.masks) === 0
}

/** Raises DE if an operand is denormal. False if that is unmasked. */
export function raiseDenormal(ctx: FloatContext, a: Unpacked, b: Unpacked): boolean {
  if (!a.isDenormal && !b.isDenormal) return true
  return raiseBefore(ctx, DE)
}

/** Raises IE and answers with the real indefinite, a negative quiet NaN. */
export function invalid80(ctx: FloatContext, out: Float80): boolean {
  if (!raiseBefore(ctx, IE)) return false
  out.set(0xffff, 0xc0000000, 0)
  return true
}

/** True if the operand is a NaN or has an unsupported encoding. */
export function isNaN80(a: Unpacked): boolean {
  return a.kind >= QNAN
}

/** The answer of an operation with one operand that is a NaN or unsupported. */
export function propagateNaN(ctx: FloatContext, a: Unpacked, out: Float80): boolean {
  if (a.kind === UNSUPPORTED) return invalid80(ctx, out)
  if (a.kind === SNAN && !raiseBefore(ctx, IE)) return false
  out.set((a.sign << 15) | 0x7fff, a.hi | 0x40000000, a.lo)
  return true
}

/**
 * The answer of an operation with two operands of which at least one is a NaN or unsupported:
 * a quiet one before a signalling one, else the larger significand, else the positive one.
 */
export function propagateNaNs(ctx: FloatContext, a: Unpacked, b: Unpacked, out: Float80): boolean {
  if (a.kind === UNSUPPORTED || b.kind === UNSUPPORTED) return invalid80(ctx, out)
  if ((a.kind === SNAN || b.kind === SNAN) && !raiseBefore(ctx, IE)) return false
  let chosen = a
  if (a.kind < QNAN) chosen = b
  else if (b.kind >= QNAN) {
    if (a.kind !== b.kind) chosen = a.kind === QNAN ? a : b
    else if (isLarger(b, a)) chosen = b
  }
  out.set((chosen.sign << 15) | 0x7fff, chosen.hi | 0x40000000, chosen.lo)
  return true
}

function isLarger(a: Unpacked, b: Unpacked): boolean {
  if (a.hi !== b.hi) return a.hi >>> 0 > b.hi >>> 0
  if (a.lo !== b.lo) return a.lo >>> 0 > b.lo >>> 0
  return a.sign < b.sign
}
