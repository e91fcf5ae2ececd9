// sin, cos, atan, e^t - 1 and ln(1 + t) in fixed point on BigInt, for the x87's transcendental
// instructions. A number is (t, f), meaning t * 2^-f. Callers choose f such that the argument, and
// so the result, has WORKING_BITS significant bits: results err by a few units of the last of
// them, which leaves them correctly rounded to 64 bits but for one argument in about 2^80.
//
// Elementary series (Taylor; atanh for the logarithm). atan and ln of larger arguments start from
// the host's 53-bit value and correct it by one step, so that the host's own error cancels.

/** Significant bits that callers provide and results have. */
export const WORKING_BITS = 160

/** Fraction bits of the constants below. */
export const CONSTANT_BITS = 256
/** The circle number. */
export const PI = 0x3243f6a8885a308d313198a2e03707344a4093822299f31d0082efa98ec4e6c89n
/** The natural logarithm of two. */
export const LN2 = 0xb17217f7d1cf79abc9e3b39803f2f6af40f343267298b62d8a0d175b8baafa2bn
/** One over the natural logarithm of two. */
export const LOG2_E = 0x171547652b82fe1777d0ffda0d23a7d11d6aef551bad2b4b1164a2cd9a342648fn

/** Seeds are doubles below 2 in magnitude: this many fraction bits hold them. */
const SEED_BITS = 50

/** sin(t) for 0 < t < 1. */
export function sin(t: bigint, f: number): bigint {
  const shift = BigInt(f)
  const square = (t * t) >> shift
  let term = t
  let sum = t
  for (let k = 2n; term !== 0n; k += 4n) {
    term = ((term * square) >> shift) / (k * (k + 1n))
    sum -= term
    term = ((term * square) >> shift) / ((k + 2n) * (k + 3n))
    sum += term
  }
  // Stay below t, however small the second term: directed rounding looks at it.
  return sum === t ? t - 1n : sum
}

/** cos(t) for 0 <= t < 1. */
export function cos(t: bigint, f: number): bigint {
  const shift = BigInt(f)
  const square = (t * t) >> shift
  let term = 1n << shift
  let sum = term
  for (let k = 1n; term !== 0n; k += 4n) {
    term = ((term * square) >> shift) / (k * (k + 1n))
    sum -= term
    term = ((term * square) >> shift) / ((k + 2n) * (k + 3n))
    sum += term
  }
  return sum
}

/** e^t - 1 for -1 < t < 1. */
export function expMinus1(t: bigint, f: number): bigint {
  const shift = BigInt(f)
  const magnitude = t < 0n ? -t : t
  let term = magnitude
  let sum = t
  for (let k = 2n; term !== 0n; k++) {
    term = ((term * magnitude) >> shift) / k
    sum += t < 0n && (k & 1n) === 1n ? -term : term
  }
  return sum
}

/** atan(t) for 0 < t <= 1. */
export function atan(t: bigint, f: number): bigint {
  if (t >> BigInt(f - 10) === 0n) {
    const sum = oddSeries(t, f, true)
    return sum === t ? t - 1n : sum
  }
  const seed = seedOf(Math.atan(Number(t >> BigInt(f - SEED_BITS)) / 2 ** SEED_BITS), f)
  const s = sin(seed, f)
  const c = cos(seed, f)
  const shift = BigInt(f)
  const difference = ((((t * c) >> shift) - s) << shift) / (c + ((t * s) >> shift))
  return seed + oddSeries(difference, f, true)
}

/** ln(1 + t) for -1/3 < t < 1/2, t not 0. */
export function logPlus1(t: bigint, f: number): bigint {
  const shift = BigInt(f)
  const magnitude = t < 0n ? -t : t
  if (magnitude >> BigInt(f - 10) === 0n) {
    // 2 atanh(t / (2 + t)); where t^2 is below the last place, only its direction is left.
    if (f > 3 * WORKING_BITS) return t - 1n
    return 2n * oddSeries((t << shift) / ((2n << shift) + t), f, false)
  }
  const seed = seedOf(Math.log1p(Number(t >> BigInt(f - SEED_BITS)) / 2 ** SEED_BITS), f)
  const one = 1n << shift
  const power = one + expMinus1(seed, f)
  const ratio = ((one + t - power) << shift) / (one + t + power)
  return seed + 2n * oddSeries(ratio, f, false)
}

function seedOf(value: number, f: number): bigint {
  return BigInt(Math.round(value * 2 ** SEED_BITS)) << BigInt(f - SEED_BITS)
}

// t -+ t^3/3 + t^5/5 ...: the arc tangent (alternating) and its hyperbolic sister.
function oddSeries(t: bigint, f: number, isAlternating: boolean): bigint {
  const shift = BigInt(f)
  const magnitude = t < 0n ? -t : t
  const square = (t * t) >> shift
  let power = magnitude
  let sum = magnitude
  for (let k = 3n; power !== 0n; k += 2n) {
    power = (power * square) >> shift
    sum += isAlternating && (k & 2n) !== 0n ? -(power / k) : power / k
  }
  return t < 0n ? -sum : sum
}
