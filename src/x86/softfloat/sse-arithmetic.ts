// SSE: ADD, SUB, MUL, DIV and SQRT of one element.
// How results and unmasked exceptions are told stands at the head of sse-operands.ts.

import { DE, type FloatContext, IE, RC_DOWN, ZE } from './context.ts'
import { addFinite, divFinite, mulFinite, sqrtFinite } from './finite.ts'
import { roundNarrow } from './round.ts'
import {
  infinite,
  invalid,
  loadPair32,
  loadPair64,
  quieted,
  r,
  raiseBefore,
  result32,
  result64,
  takesNaN,
  x,
  y,
  zero,
} from './sse-operands.ts'
import { FINITE, INFINITE, SNAN, unpack32, unpack64, ZERO } from './unpacked.ts'

const BINARY32 = 24
const BINARY64 = 53

/** a + b of binary32. */
export function add32(ctx: FloatContext, a: number, b: number): number {
  loadPair32(ctx, a, b)
  add(ctx, 0, BINARY32)
  return result32()
}

/** a - b of binary32. */
export function sub32(ctx: FloatContext, a: number, b: number): number {
  loadPair32(ctx, a, b)
  add(ctx, 1, BINARY32)
  return result32()
}

/** a * b of binary32. */
export function mul32(ctx: FloatContext, a: number, b: number): number {
  loadPair32(ctx, a, b)
  mul(ctx, BINARY32)
  return result32()
}

/** a / b of binary32. */
export function div32(ctx: FloatContext, a: number, b: number): number {
  loadPair32(ctx, a, b)
  div(ctx, BINARY32)
  return result32()
}

/** The square root of a binary32. */
export function sqrt32(ctx: FloatContext, a: number): number {
  unpack32(x, a, ctx.daz)
  sqrt(ctx, BINARY32)
  return result32()
}

/** a + b of binary64, into `ctx.hi` and `ctx.lo`. */
export function add64(ctx: FloatContext, aHi: number, aLo: number, bHi: number, bLo: number): void {
  loadPair64(ctx, aHi, aLo, bHi, bLo)
  add(ctx, 0, BINARY64)
  result64(ctx)
}

/** a - b of binary64, into `ctx.hi` and `ctx.lo`. */
export function sub64(ctx: FloatContext, aHi: number, aLo: number, bHi: number, bLo: number): void {
  loadPair64(ctx, aHi, aLo, bHi, bLo)
  add(ctx, 1, BINARY64)
  result64(ctx)
}

/** a * b of binary64, into `ctx.hi` and `ctx.lo`. */
export function mul64(ctx: FloatContext, aHi: number, aLo: number, bHi: number, bLo: number): void {
  loadPair64(ctx, aHi, aLo, bHi, bLo)
  mul(ctx, BINARY64)
  result64(ctx)
}

/** a / b of binary64, into `ctx.hi` and `ctx.lo`. */
export function div64(ctx: FloatContext, aHi: number, aLo: number, bHi: number, bLo: number): void {
  loadPair64(ctx, aHi, aLo, bHi, bLo)
  div(ctx, BINARY64)
  result64(ctx)
}

/** The square root of a binary64, into `ctx.hi` and `ctx.lo`. */
export function sqrt64(ctx: FloatContext, aHi: number, aLo: number): void {
  unpack64(x, aHi, aLo, ctx.daz)
  sqrt(ctx, BINARY64)
  result64(ctx)
}

function add(ctx: FloatContext, flip: number, precision: number): void {
  if (takesNaN(ctx)) return
  const signY = y.sign ^ flip
  if (x.kind === INFINITE && y.kind === INFINITE && x.sign !== signY) return invalid(ctx)
  if (isStopped(ctx)) return
  if (x.kind === INFINITE) return infinite(x.sign)
  if (y.kind === INFINITE) return infinite(signY)
  if (x.kind === FINITE && y.kind === FINITE) addFinite(r, x, y, signY)
  else if (x.kind === FINITE) r.copy(x)
  else {
    r.copy(y)
    r.sign = signY
  }
  if (r.kind !== ZERO) {
    roundNarrow(ctx, r, precision)
    return
  }
  const bothSame = x.kind === ZERO && y.kind === ZERO && x.sign === signY
  zero(bothSame ? x.sign : ctx.rounding === RC_DOWN ? 1 : 0)
}

function mul(ctx: FloatContext, precision: number): void {
  if (takesNaN(ctx)) return
  const sign = x.sign ^ y.sign
  if (x.kind === ZERO ? y.kind === INFINITE : x.kind === INFINITE && y.kind === ZERO) {
    return invalid(ctx)
  }
  if (isStopped(ctx)) return
  if (x.kind === INFINITE || y.kind === INFINITE) return infinite(sign)
  if (x.kind === ZERO || y.kind === ZERO) return zero(sign)
  mulFinite(r, x, y)
  roundNarrow(ctx, r, precision)
}

function div(ctx: FloatContext, precision: number): void {
  if (takesNaN(ctx)) return
  const sign = x.sign ^ y.sign
  if (x.kind === y.kind && x.kind !== FINITE) return invalid(ctx)
  if (y.kind === ZERO && x.kind === FINITE) {
    ctx.flags |= ZE
    return infinite(sign)
  }
  if (isStopped(ctx)) return
  if (x.kind === INFINITE) return infinite(sign)
  if (y.kind === INFINITE || x.kind === ZERO) return zero(sign)
  divFinite(r, x, y)
  roundNarrow(ctx, r, precision)
}

function sqrt(ctx: FloatContext, precision: number): void {
  if (x.kind > INFINITE) {
    if (x.kind === SNAN) ctx.flags |= IE
    return quieted(x)
  }
  if (x.kind === ZERO) return zero(x.sign)
  if (x.sign !== 0) return invalid(ctx)
  if (x.isDenormal && !raiseBefore(ctx, DE)) return
  if (x.kind === INFINITE) return infinite(0)
  sqrtFinite(r, x)
  roundNarrow(ctx, r, precision)
}

// Raises DE; true if it is unmasked.
function isStopped(ctx: FloatContext): boolean {
  return (x.isDenormal || y.isDenormal) && !raiseBefore(ctx, DE)
}
