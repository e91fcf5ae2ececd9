// x87: FCOM, FUCOM, FCOMI, FUCOMI, FTST (against zero) and FXAM. (Intel SDM vol. 1, tables 8-1, 8-6.)
//
// The answer has the bits CF (1), PF (4) and ZF (0x40) as FCOMI sets them in EFLAGS; shifted left by
// eight they are C0, C2 and C3 of the status word, where FCOM sets them.

import { DE, type FloatContext, type Float80, IE } from './context.ts'
import { FINITE, INFINITE, QNAN, SNAN, UNSUPPORTED, Unpacked, unpack80, ZERO } from './unpacked.ts'

/** a > b. */
export const GREATER = 0
/** a < b. */
export const LESS = 0x01
/** a = b. */
export const EQUAL = 0x40
/** a or b is not a number. */
export const UNORDERED = 0x45

const x = new Unpacked()
const y = new Unpacked()

/**
 * Compares; returns GREATER, LESS, EQUAL or UNORDERED, which is to be stored even if an exception is
 * unmasked (only the pops are left out then). `quiet` (FUCOM) raises no IE for quiet NaNs.
 */
export function compare80(ctx: FloatContext, a: Float80, b: Float80, quiet: boolean): number {
  unpack80(x, a)
  unpack80(y, b)
  ctx.c1 = 0
  if (x.kind >= QNAN || y.kind >= QNAN) {
    if (!quiet || x.kind > QNAN || y.kind > QNAN) ctx.flags |= IE
    return UNORDERED
  }
  if (x.isDenormal || y.isDenormal) ctx.flags |= DE
  return order(x, y)
}

/** The order of two operands of which none is a NaN. */
export function order(a: Unpacked, b: Unpacked): number {
  if (a.kind === ZERO && b.kind === ZERO) return EQUAL
  if (a.kind === ZERO) return b.sign !== 0 ? GREATER : LESS
  if (b.kind === ZERO || a.sign !== b.sign) return a.sign !== 0 ? LESS : GREATER
  const difference = compareMagnitudes(a, b)
  if (difference === 0) return EQUAL
  return difference < 0 === (a.sign === 0) ? LESS : GREATER
}

function compareMagnitudes(a: Unpacked, b: Unpacked): number {
  if (a.kind !== b.kind) return a.kind === INFINITE ? 1 : -1
  if (a.kind === INFINITE) return 0
  if (a.exp !== b.exp) return a.exp - b.exp
  if (a.hi !== b.hi) return (a.hi >>> 0) - (b.hi >>> 0)
  return (a.lo >>> 0) - (b.lo >>> 0)
}

/** FXAM's class of a register that is not empty: C0, C2 and C3 as bits 8, 10, 14, and C1 as 9. */
export function examine80(a: Float80): number {
  unpack80(x, a)
  const sign = x.sign << 9
  switch (x.kind) {
    case UNSUPPORTED:
      return sign
    case QNAN:
    case SNAN:
      return sign | 0x0100
    case INFINITE:
      return sign | 0x0500
    case ZERO:
      return sign | 0x4000
    case FINITE:
    default:
      return sign | (x.isDenormal ? 0x4400 : 0x0400)
  }
}
