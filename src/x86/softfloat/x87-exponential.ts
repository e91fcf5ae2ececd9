// x87: F2XM1, FYL2X and FYL2XP1. (Intel SDM vol. 1, 8.3.9-8.3.10; vol. 2A, each page.)
//
// Results are rounded correctly, in the mode of RC and always to 64 bits; processors come within
// one unit in the last place of that. Where the manual calls a result undefined (F2XM1 beyond
// -1..1, FYL2XP1 beyond its range) we do what the AMD processors do that were measured.

import { setFromInteger, significand } from './big-significand.ts'
import { type FloatContext, type Float80, PE, UE, ZE } from './context.ts'
import { round80 } from './round.ts'
import { CONSTANT_BITS, expMinus1, LN2, LOG2_E, logPlus1, WORKING_BITS } from './series.ts'
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

function zero(out: Float80, sign: number): true {
  out.set(sign << 15, 0, 0)
  return true
}

function infinity(out: Float80, sign: number): true {
  out.set((sign << 15) | 0x7fff, 0x80000000, 0)
  return true
}

/** F2XM1: out = 2^a - 1. Returns false if `out` is left as it was. */
export function exp2Minus1(ctx: FloatContext, a: Float80, out: Float80): boolean {
  unpack80(x, a)
  ctx.c1 = 0
  if (isNaN80(x)) return propagateNaN(ctx, x, out)
  if (!raiseDenormal(ctx, x, x)) return false
  if (x.kind === ZERO) {
    out.copy(a)
    return true
  }
  if (x.kind === INFINITE) {
    if (x.sign !== 0) out.set(0xbfff, 0x80000000, 0)
    else out.copy(a)
    return true
  }
  if (x.exp >= 0) {
    ctx.flags |= PE
    if (x.exp === 0 && x.sign !== 0 && ((x.hi << 1) | x.lo) === 0) out.set(0xbffe, 0x80000000, 0)
    else out.copy(a)
    return true
  }
  const bits = WORKING_BITS - x.exp
  // significand * 2^(exp - 63) * ln 2, with `bits` fraction bits.
  const t = (significand(x) * LN2) >> BigInt(CONSTANT_BITS + 63 - WORKING_BITS)
  const value = expMinus1(x.sign !== 0 ? -t : t, bits)
  setFromInteger(r, x.sign, (value < 0n ? -value : value) | 1n, -bits)
  round80(ctx, r, 64, out)
  return true
}

/** FYL2X: out = b * log2(a). Returns false if `out` is left as it was. */
export function yLog2(ctx: FloatContext, a: Float80, b: Float80, out: Float80): boolean {
  unpack80(x, a)
  unpack80(y, b)
  ctx.c1 = 0
  if (x.kind >= QNAN || y.kind >= QNAN) return propagateNaNs(ctx, x, y, out)
  if (x.sign !== 0 && x.kind !== ZERO) return invalid80(ctx, out)
  if (x.kind === ZERO) {
    if (y.kind === ZERO) return invalid80(ctx, out)
    if (y.kind === FINITE && !raiseBefore(ctx, ZE)) return false
    return infinity(out, y.sign ^ 1)
  }
  const isOne = x.kind === FINITE && x.exp === 0 && ((x.hi << 1) | x.lo) === 0
  if (y.kind === INFINITE ? isOne : x.kind === INFINITE && y.kind === ZERO) {
    return invalid80(ctx, out)
  }
  if (!raiseDenormal(ctx, x, y)) return false
  const sign = y.sign ^ (x.kind === FINITE && x.exp < 0 ? 1 : 0)
  if (x.kind === INFINITE || y.kind === INFINITE) return infinity(out, sign)
  if (y.kind === ZERO || isOne) return zero(out, sign)
  timesLog2(x.exp, significand(x), -63)
  return finish(ctx, out)
}

/** FYL2XP1: out = b * log2(a + 1). Returns false if `out` is left as it was. */
export function yLog2Plus1(ctx: FloatContext, a: Float80, b: Float80, out: Float80): boolean {
  unpack80(x, a)
  unpack80(y, b)
  ctx.c1 = 0
  if (x.kind >= QNAN || y.kind >= QNAN) return propagateNaNs(ctx, x, y, out)
  const sign = x.sign ^ y.sign
  if (
    x.kind === INFINITE ? y.kind === ZERO || x.sign !== 0 : x.kind === ZERO && y.kind === INFINITE
  ) {
    return invalid80(ctx, out)
  }
  if (!raiseDenormal(ctx, x, y)) return false
  if (x.kind === INFINITE || y.kind === INFINITE) return infinity(out, sign)
  if (x.kind === ZERO || y.kind === ZERO) return zero(out, sign)
  if (x.sign !== 0 && x.exp >= 0) {
    ctx.flags |= PE
    out.copy(a)
    return true
  }
  if (x.exp >= -2) {
    const scaled =
      (x.sign !== 0 ? -significand(x) : significand(x)) << BigInt(Math.max(0, x.exp + 2))
    const sum = (1n << 65n) + scaled
    const length = sum.toString(2).length
    timesLog2(length - 66, sum, -length + 1)
  } else {
    const bits = WORKING_BITS - x.exp
    const t = significand(x) << BigInt(WORKING_BITS - 63)
    timesNatural(logPlus1(x.sign !== 0 ? -t : t, bits), bits)
  }
  return finish(ctx, out)
}

// Processors call every logarithm inexact, also that of a power of two.
function finish(ctx: FloatContext, out: Float80): true {
  const isTiny = r.exp < -16382
  round80(ctx, r, 64, out)
  ctx.flags |= isTiny && (ctx.masks & UE) !== 0 ? UE | PE : PE
  return true
}

// r = y * (exp + log2(mantissa * 2^scale)), where the mantissa so scaled is in [1, 2).
function timesLog2(exp: number, mantissa: bigint, scale: number): void {
  const unit = 1n << BigInt(-scale)
  // Take the mantissa from [sqrt(1/2), sqrt(2)) so that near one nothing cancels.
  const isUpper = mantissa * 1000n > unit * 1414n
  const whole = BigInt(isUpper ? exp + 1 : exp)
  const fractionBits = -scale + (isUpper ? 1 : 0)
  const t = mantissa - (1n << BigInt(fractionBits))
  if (t === 0n) {
    const value = significand(y) * (whole < 0n ? -whole : whole)
    setFromInteger(r, whole < 0n ? y.sign ^ 1 : y.sign, value, y.exp - 63)
    return
  }
  // Only if the whole part is zero does the logarithm's own size matter.
  const bits = whole === 0n ? WORKING_BITS + 64 : WORKING_BITS
  const natural = logPlus1(t << BigInt(bits - fractionBits), bits)
  if (whole === 0n) {
    timesNatural(natural, bits)
    return
  }
  const sum = natural * LOG2_E + (whole << BigInt(bits + CONSTANT_BITS))
  multiply(sum, bits + CONSTANT_BITS)
}

// r = y * value * 2^-bits / ln 2.
function timesNatural(value: bigint, bits: number): void {
  multiply(value * LOG2_E, bits + CONSTANT_BITS)
}

function multiply(value: bigint, bits: number): void {
  const isNegative = value < 0n
  const product = (isNegative ? -value : value) * significand(y)
  setFromInteger(r, isNegative ? y.sign ^ 1 : y.sign, product | 1n, y.exp - 63 - bits)
}
