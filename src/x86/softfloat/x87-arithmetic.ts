// x87: FADD, FSUB, FMUL, FDIV and FSQRT on registers. Operands that come from memory as binary32 or
// binary64 go through `widen32` and `widen64` first, integers through `fromInt`; the reversed
// forms swap the operands. All round to the precision control. (Intel SDM vol. 1, 8.3.5.)

import { type FloatContext, type Float80, RC_DOWN, ZE } from './context.ts'
import { addFinite, divFinite, mulFinite, sqrtFinite } from './finite.ts'
import { round80 } from './round.ts'
import { FINITE, INFINITE, QNAN, Unpacked, unpack80, ZERO } from './unpacked.ts'
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
const r = new Unpacked()

function infinity(out: Float80, sign: number): true {
  out.set((sign << 15) | 0x7fff, 0x80000000, 0)
  return true
}

function zero(out: Float80, sign: number): true {
  out.set(sign << 15, 0, 0)
  return true
}

/** out = a + b. Returns false if an unmasked exception leaves `out` as it was. */
export function add80(ctx: FloatContext, a: Float80, b: Float80, out: Float80): boolean {
  return addSigned(ctx, a, b, 0, out)
}

/** out = a - b. Returns false if an unmasked exception leaves `out` as it was. */
export function sub80(ctx: FloatContext, a: Float80, b: Float80, out: Float80): boolean {
  return addSigned(ctx, a, b, 1, out)
}

function addSigned(ctx: FloatContext, a: Float80, b: Float80, flip: number, out: Float80): boolean {
  unpack80(x, a)
  unpack80(y, b)
  ctx.c1 = 0
  if (x.kind >= QNAN || y.kind >= QNAN) return propagateNaNs(ctx, x, y, out)
  const signY = y.sign ^ flip
  if (x.kind === INFINITE && y.kind === INFINITE && x.sign !== signY) return invalid80(ctx, out)
  if (!raiseDenormal(ctx, x, y)) return false
  if (x.kind === INFINITE) return infinity(out, x.sign)
  if (y.kind === INFINITE) return infinity(out, signY)
  if (x.kind === FINITE && y.kind === FINITE) addFinite(r, x, y, signY)
  else if (x.kind === FINITE) r.copy(x)
  else {
    r.copy(y)
    r.sign = signY
  }
  if (r.kind === ZERO) {
    const bothSame = x.kind === ZERO && y.kind === ZERO && x.sign === signY
    return zero(out, bothSame ? x.sign : ctx.rounding === RC_DOWN ? 1 : 0)
  }
  round80(ctx, r, ctx.precision, out)
  return true
}

/** out = a * b. Returns false if an unmasked exception leaves `out` as it was. */
export function mul80(ctx: FloatContext, a: Float80, b: Float80, out: Float80): boolean {
  unpack80(x, a)
  unpack80(y, b)
  ctx.c1 = 0
  if (x.kind >= QNAN || y.kind >= QNAN) return propagateNaNs(ctx, x, y, out)
  const sign = x.sign ^ y.sign
  if (x.kind === ZERO ? y.kind === INFINITE : x.kind === INFINITE && y.kind === ZERO) {
    return invalid80(ctx, out)
  }
  if (!raiseDenormal(ctx, x, y)) return false
  if (x.kind === INFINITE || y.kind === INFINITE) return infinity(out, sign)
  if (x.kind === ZERO || y.kind === ZERO) return zero(out, sign)
  mulFinite(r, x, y)
  round80(ctx, r, ctx.precision, out)
  return true
}

/** out = a / b. Returns false if an unmasked exception leaves `out` as it was. */
export function div80(ctx: FloatContext, a: Float80, b: Float80, out: Float80): boolean {
  unpack80(x, a)
  unpack80(y, b)
  ctx.c1 = 0
  if (x.kind >= QNAN || y.kind >= QNAN) return propagateNaNs(ctx, x, y, out)
  const sign = x.sign ^ y.sign
  if (x.kind === y.kind && x.kind !== FINITE) return invalid80(ctx, out)
  if (y.kind === ZERO && x.kind === FINITE) {
    if (!raiseBefore(ctx, ZE)) return false
    return infinity(out, sign)
  }
  if (!raiseDenormal(ctx, x, y)) return false
  if (x.kind === INFINITE) return infinity(out, sign)
  if (y.kind === INFINITE || x.kind === ZERO) return zero(out, sign)
  divFinite(r, x, y)
  round80(ctx, r, ctx.precision, out)
  return true
}

/** out = the square root of a. Returns false if an unmasked exception leaves `out` as it was. */
export function sqrt80(ctx: FloatContext, a: Float80, out: Float80): boolean {
  unpack80(x, a)
  ctx.c1 = 0
  if (isNaN80(x)) return propagateNaN(ctx, x, out)
  if (x.kind === ZERO) return zero(out, x.sign)
  if (x.sign !== 0) return invalid80(ctx, out)
  if (!raiseDenormal(ctx, x, x)) return false
  if (x.kind === INFINITE) return infinity(out, 0)
  sqrtFinite(r, x)
  round80(ctx, r, ctx.precision, out)
  return true
}
