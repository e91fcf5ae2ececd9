// SSE: the fused multiply-add of one element, +-(a * b) +- c with one rounding. (Intel SDM vol. 1,
// 14.5.) Of NaNs the first of a, b, c wins, as the instruction's name orders its operands:
// VFMADD132 computes (1, 3, 2), VFMADD213 (2, 1, 3) and VFMADD231 (2, 3, 1).

import { setFromInteger, significand } from './big-significand.ts'
import { DE, type FloatContext, IE, RC_DOWN } from './context.ts'
import { addFinite, mulFinite } from './finite.ts'
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
  x,
  y,
  z,
  zero,
} from './sse-operands.ts'
import { INFINITE, QNAN, SNAN, Unpacked, unpack32, unpack64, ZERO } from './unpacked.ts'

const product = new Unpacked()

/** `negate` bit: the product changes its sign (VFNMADD, VFNMSUB). */
export const NEGATE_PRODUCT = 1
/** `negate` bit: the addend changes its sign (VFMSUB, VFNMSUB). */
export const NEGATE_ADDEND = 2

/** +-(a * b) +- c of binary32; `negate` is made of NEGATE_PRODUCT and NEGATE_ADDEND. */
export function fma32(ctx: FloatContext, a: number, b: number, c: number, negate: number): number {
  loadPair32(ctx, a, b)
  unpack32(z, c, ctx.daz)
  fma(ctx, negate, 24)
  return result32()
}

/** +-(a * b) +- c of binary64, into `ctx.hi` and `ctx.lo`; see `fma32`. */
export function fma64(
  ctx: FloatContext,
  aHi: number,
  aLo: number,
  bHi: number,
  bLo: number,
  cHi: number,
  cLo: number,
  negate: number,
): void {
  loadPair64(ctx, aHi, aLo, bHi, bLo)
  unpack64(z, cHi, cLo, ctx.daz)
  fma(ctx, negate, 53)
  result64(ctx)
}

function fma(ctx: FloatContext, negate: number, precision: number): void {
  if (x.kind >= QNAN || y.kind >= QNAN || z.kind >= QNAN) {
    if (x.kind === SNAN || y.kind === SNAN || z.kind === SNAN) ctx.flags |= IE
    quieted(x.kind >= QNAN ? x : y.kind >= QNAN ? y : z)
    return
  }
  const sign = x.sign ^ y.sign ^ (negate & NEGATE_PRODUCT)
  const signZ = z.sign ^ (negate >> 1)
  const isInfinite = x.kind === INFINITE || y.kind === INFINITE
  const isZero = x.kind === ZERO || y.kind === ZERO
  if (isInfinite && (isZero || (z.kind === INFINITE && sign !== signZ))) return invalid(ctx)
  if ((x.isDenormal || y.isDenormal || z.isDenormal) && !raiseBefore(ctx, DE)) return
  if (isInfinite) return infinite(sign)
  if (z.kind === INFINITE) return infinite(signZ)
  if (isZero && z.kind === ZERO) {
    return zero(sign === signZ ? sign : ctx.rounding === RC_DOWN ? 1 : 0)
  }
  if (isZero) {
    r.copy(z)
    r.sign = signZ
  } else {
    multiplyAdd(sign, signZ)
  }
  if (r.kind === ZERO) zero(ctx.rounding === RC_DOWN ? 1 : 0)
  else roundNarrow(ctx, r, precision)
}

function multiplyAdd(sign: number, signZ: number): void {
  mulFinite(product, x, y)
  product.sign = sign
  if (z.kind === ZERO) {
    r.copy(product)
    r.ex = product.ex
  } else if (product.ex === 0) {
    // Always so for binary32: the product is exact in 64 bits.
    addFinite(r, product, z, signZ)
  } else {
    addExactly(sign, signZ)
  }
}

// The sum of two exact integers. One that lies far below the other counts as the least bit.
function addExactly(sign: number, signZ: number): void {
  let big = significand(x) * significand(y)
  let small = significand(z)
  let scale = x.exp + y.exp - 126
  const distance = z.exp - 63 - scale
  if (distance > 200) {
    big = 1n
    small <<= 200n
    scale = z.exp - 63 - 200
  } else if (distance >= 0) {
    small <<= BigInt(distance)
  } else if (distance >= -200) {
    big <<= BigInt(-distance)
    scale += distance
  } else {
    big <<= 200n
    small = 1n
    scale -= 200
  }
  const sum = (sign !== 0 ? -big : big) + (signZ !== 0 ? -small : small)
  if (sum === 0n) r.kind = ZERO
  else setFromInteger(r, sum < 0n ? 1 : 0, sum < 0n ? -sum : sum, scale)
}
