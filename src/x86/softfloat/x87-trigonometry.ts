// x87: FSIN, FCOS, FSINCOS, FPTAN and FPATAN. (Intel SDM vol. 1, 8.3.7-8.3.10; vol. 2A, each page.)
//
// Arguments are reduced by the 66-bit value of pi that Intel documents and AMD's processors use
// too, exactly; the reduced function is then rounded correctly, in the mode of RC and always to 64
// bits. Processors come within one unit in the last place of that; C1 is our own rounding's.

import { setFromInteger, significand } from './big-significand.ts'
import { type FloatContext, Float80 } from './context.ts'
import { round80 } from './round.ts'
import { atan, CONSTANT_BITS, cos, PI, sin, WORKING_BITS } from './series.ts'
import { FINITE, INFINITE, QNAN, Unpacked, unpack80, ZERO } from './unpacked.ts'
import { invalid80, isNaN80, propagateNaN, propagateNaNs, raiseDenormal } from './x87-nan.ts'

/** The operation was done and its results stored. */
export const DONE = 0
/** The operand is out of range: this is C2 in the status word; nothing was stored or pushed. */
export const OUT_OF_RANGE = 0x0400
/** An unmasked exception: nothing was stored or pushed. */
export const STOPPED = -1

// Half of pi to 66 significant bits, in units of 2^-67.
const HALF_PI_66 = 0xc90fdaa22168c234cn
const HALF_PI_66_BITS = 67

const x = new Unpacked()
const y = new Unpacked()
const r = new Unpacked()
const one = new Float80().set(0x3fff, 0x80000000, 0)

// The argument less the nearest multiple of pi/2: which multiple (mod 4), sign and magnitude.
let quadrant = 0
let reducedSign = 0
let reduced = 0n
let reducedBits = 0

function reduce(): void {
  const bits = Math.max(HALF_PI_66_BITS, 63 - x.exp)
  const period = HALF_PI_66 << BigInt(bits - HALF_PI_66_BITS)
  const argument = significand(x) << BigInt(bits - 63 + x.exp)
  quadrant = 0
  let rest = argument
  let isNegative = x.sign !== 0
  if (x.exp >= -1) {
    const turns = argument / period
    rest -= turns * period
    quadrant = Number(turns & 3n)
    if (2n * rest > period) {
      rest = period - rest
      quadrant++
      isNegative = !isNegative
    }
    if (x.sign !== 0) quadrant = -quadrant
    quadrant &= 3
  }
  setFromInteger(r, 0, rest, -bits)
  reducedBits = WORKING_BITS - r.exp
  reduced = rest << BigInt(reducedBits - bits)
  reducedSign = isNegative ? 1 : 0
}

// sin of the reduced argument plus `turns` quarters of a turn into r.
function sine(turns: number): void {
  const which = (quadrant + turns) & 3
  if ((which & 1) === 0) {
    setFromInteger(r, reducedSign ^ (which >> 1), sin(reduced, reducedBits) | 1n, -reducedBits)
  } else {
    setFromInteger(r, which >> 1, cosine() | 1n, -WORKING_BITS)
  }
}

// cos of the reduced argument with WORKING_BITS fraction bits, below one however small that is.
function cosine(): bigint {
  return cos(reduced >> BigInt(reducedBits - WORKING_BITS), WORKING_BITS) - 1n
}

// Everything but finite arguments in range. Returns undefined for those.
function special(ctx: FloatContext, a: Float80, out: Float80): number | undefined {
  unpack80(x, a)
  ctx.c1 = 0
  if (isNaN80(x)) return propagateNaN(ctx, x, out) ? DONE : STOPPED
  if (x.kind === INFINITE) return invalid80(ctx, out) ? DONE : STOPPED
  if (x.kind === FINITE && x.exp >= 63) return OUT_OF_RANGE
  if (!raiseDenormal(ctx, x, x)) return STOPPED
  return undefined
}

/** FSIN: out = sin(a). Returns DONE, OUT_OF_RANGE or STOPPED. */
export function sin80(ctx: FloatContext, a: Float80, out: Float80): number {
  const answer = special(ctx, a, out)
  if (answer !== undefined) return answer
  if (x.kind === ZERO) {
    out.copy(a)
    return DONE
  }
  reduce()
  sine(0)
  round80(ctx, r, 64, out)
  return DONE
}

/** FCOS: out = cos(a). Returns DONE, OUT_OF_RANGE or STOPPED. */
export function cos80(ctx: FloatContext, a: Float80, out: Float80): number {
  const answer = special(ctx, a, out)
  if (answer !== undefined) return answer
  if (x.kind === ZERO) {
    out.copy(one)
    return DONE
  }
  reduce()
  sine(1)
  round80(ctx, r, 64, out)
  return DONE
}

/**
 * FSINCOS: `sine` (which replaces ST(0)) and `cosine` (which is pushed) of a. Returns DONE,
 * OUT_OF_RANGE or STOPPED.
 */
export function sinCos80(
  ctx: FloatContext,
  a: Float80,
  sineOut: Float80,
  cosineOut: Float80,
): number {
  const answer = special(ctx, a, sineOut)
  if (answer !== undefined) {
    if (answer === DONE) cosineOut.copy(sineOut)
    return answer
  }
  if (x.kind === ZERO) {
    sineOut.copy(a)
    cosineOut.copy(one)
    return DONE
  }
  reduce()
  sine(1)
  round80(ctx, r, 64, cosineOut)
  sine(0)
  round80(ctx, r, 64, sineOut)
  return DONE
}

/**
 * FPTAN: `tangent` (which replaces ST(0)) of a, and 1 to be pushed, or the same NaN. Returns DONE,
 * OUT_OF_RANGE or STOPPED.
 */
export function tan80(ctx: FloatContext, a: Float80, tangent: Float80, pushed: Float80): number {
  const answer = special(ctx, a, tangent)
  if (answer !== undefined) {
    if (answer === DONE) pushed.copy(tangent)
    return answer
  }
  pushed.copy(one)
  if (x.kind === ZERO) {
    tangent.copy(a)
    return DONE
  }
  reduce()
  // Both with 2 * WORKING_BITS fraction bits more than they need, so that the quotient is exact.
  const s = sin(reduced, reducedBits)
  const c = cosine()
  const isCotangent = (quadrant & 1) !== 0
  if (isCotangent) {
    const value = (c << BigInt(2 * WORKING_BITS)) / s
    setFromInteger(r, reducedSign ^ 1, value | 1n, reducedBits - 3 * WORKING_BITS)
  } else {
    // The true quotient lies above the argument: take it up.
    const value = (s << BigInt(2 * WORKING_BITS)) / c + 1n
    setFromInteger(r, reducedSign, value | 1n, -reducedBits - WORKING_BITS)
  }
  round80(ctx, r, 64, tangent)
  return DONE
}

/** FPATAN: out = the angle of the point (a, b), -pi to pi. False if `out` is left as it was. */
export function atan80(ctx: FloatContext, a: Float80, b: Float80, out: Float80): boolean {
  unpack80(x, a)
  unpack80(y, b)
  ctx.c1 = 0
  if (x.kind >= QNAN || y.kind >= QNAN) return propagateNaNs(ctx, x, y, out)
  if (!raiseDenormal(ctx, x, y)) return false
  const { sign } = y
  const isLeft = x.sign !== 0
  if (y.kind === ZERO || (x.kind === INFINITE && y.kind !== INFINITE)) {
    if (isLeft) setAngle(sign, 4n)
    else return zero(out, sign)
  } else if (y.kind === INFINITE && x.kind === INFINITE) setAngle(sign, isLeft ? 3n : 1n)
  else if (y.kind === INFINITE || x.kind === ZERO) setAngle(sign, 2n)
  else angle(sign, isLeft)
  round80(ctx, r, 64, out)
  return true
}

function zero(out: Float80, sign: number): true {
  out.set(sign << 15, 0, 0)
  return true
}

// r = eighths * pi/4.
function setAngle(sign: number, eighths: bigint): void {
  setFromInteger(r, sign, PI * eighths, -CONSTANT_BITS - 2)
}

// r = the angle of two finite numbers other than zero.
function angle(sign: number, isLeft: boolean): void {
  const yBig = significand(y)
  const xBig = significand(x)
  const isSteep = y.exp > x.exp || (y.exp === x.exp && yBig > xBig)
  const top = isSteep ? xBig : yBig
  const bottom = isSteep ? yBig : xBig
  const gap = Math.abs(y.exp - x.exp)
  // The ratio lies between 2^(-gap - 1) and 2^(1 - gap).
  const bits = WORKING_BITS + gap + 2
  const value = atan((top << BigInt(WORKING_BITS + 2)) / bottom, bits)
  if (!isSteep && !isLeft) {
    setFromInteger(r, sign, value | 1n, -bits)
    return
  }
  const small = value >> BigInt(bits - WORKING_BITS)
  const halfPi = PI >> BigInt(CONSTANT_BITS - WORKING_BITS + 1)
  const base = isSteep ? halfPi : halfPi * 2n
  const isMinus = isSteep !== isLeft
  setFromInteger(r, sign, (isMinus ? base - small : base + small) | 1n, -WORKING_BITS)
}
