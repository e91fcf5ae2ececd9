// Addition, multiplication, division and square root of finite numbers other than zero, exact but
// for the sticky bit. The result is normalised and waits for one of the roundings of round.ts.
// Words of 32 bits in numbers, no BigInt but in the square root: bench/softfloat.ts shows why.

import { FINITE, type Unpacked, ZERO } from './unpacked.ts'

/** r = a + b, where `signB` stands for b's sign (so that subtraction is the same). */
export function addFinite(r: Unpacked, a: Unpacked, b: Unpacked, signB: number): void {
  let big = a
  let small = b
  let sign = a.sign
  if (
    a.exp < b.exp ||
    (a.exp === b.exp && (a.hi >>> 0 < b.hi >>> 0 || (a.hi === b.hi && a.lo >>> 0 < b.lo >>> 0)))
  ) {
    big = b
    small = a
    sign = signB
  }
  const bigExp = big.exp
  const bigHi = big.hi
  const bigLo = big.lo
  const distance = bigExp - small.exp
  r.copy(small)
  if (distance > 0) r.shiftRight(distance)
  r.exp = bigExp
  r.sign = sign
  if (a.sign === signB) {
    const lo = (bigLo + r.lo) | 0
    const carry = lo >>> 0 < bigLo >>> 0 ? 1 : 0
    const hi = (bigHi >>> 0) + (r.hi >>> 0) + carry
    if (hi > 0xffffffff) {
      r.ex = (r.ex >>> 1) | (lo << 31) | (r.ex & 1)
      r.lo = (lo >>> 1) | (hi << 31)
      r.hi = (hi >>> 1) | 0x80000000
      r.exp++
    } else {
      r.lo = lo
      r.hi = hi | 0
    }
    return
  }
  const borrow0 = r.ex !== 0 ? 1 : 0
  const lo = (bigLo >>> 0) - (r.lo >>> 0) - borrow0
  r.ex = -r.ex | 0
  r.lo = lo | 0
  r.hi = (bigHi - r.hi - (lo < 0 ? 1 : 0)) | 0
  if ((r.hi | r.lo | r.ex) === 0) r.kind = ZERO
  else r.normalize()
}

/** The upper 32 bits of the product of two unsigned words. */
export function mulHigh(a: number, b: number): number {
  const a0 = a & 0xffff
  const a1 = a >>> 16
  const b0 = b & 0xffff
  const b1 = b >>> 16
  const middle = ((Math.imul(a1, b0) >>> 0) + (Math.imul(a0, b0) >>> 16)) >>> 0
  const other = ((Math.imul(a0, b1) >>> 0) + (middle & 0xffff)) >>> 0
  return (Math.imul(a1, b1) + (middle >>> 16) + (other >>> 16)) | 0
}

/** r = a * b; its sign is the product of theirs. */
export function mulFinite(r: Unpacked, a: Unpacked, b: Unpacked): void {
  // Columns of the schoolbook product; each sum stays below 3 * 2^32, exact in a number.
  const w0 = Math.imul(a.lo, b.lo)
  const lh = Math.imul(a.lo, b.hi) >>> 0
  const hl = Math.imul(a.hi, b.lo) >>> 0
  const w1 = (mulHigh(a.lo, b.lo) >>> 0) + lh + hl
  const hh = Math.imul(a.hi, b.hi) >>> 0
  const carry1 = w1 > 0x1ffffffff ? 2 : w1 > 0xffffffff ? 1 : 0
  const w2 = (mulHigh(a.lo, b.hi) >>> 0) + (mulHigh(a.hi, b.lo) >>> 0) + hh + carry1
  const carry2 = w2 > 0x1ffffffff ? 2 : w2 > 0xffffffff ? 1 : 0
  r.kind = FINITE
  r.sign = a.sign ^ b.sign
  r.exp = a.exp + b.exp + 1
  r.hi = (mulHigh(a.hi, b.hi) + carry2) | 0
  r.lo = w2 | 0
  const low = w1 | 0
  if (r.hi < 0) {
    r.ex = w0 === 0 ? low : low | 1
    return
  }
  r.hi = (r.hi << 1) | (r.lo >>> 31)
  r.lo = (r.lo << 1) | (low >>> 31)
  r.ex = (low << 1) | (w0 === 0 ? 0 : 1)
  r.exp--
}

// The remainder of a division in progress, three words, high first.
let rest0 = 0
let rest1 = 0
let rest2 = 0

// Takes floor(rest / (hi:lo)) out of rest0:rest1:rest2 and returns it. The quotient is below 2^32
// and doubles err by less than 2^-50 of it, so the estimate is off by one at most.
function quotientWord(hi: number, lo: number, reciprocal: number): number {
  const estimate = Math.min(
    4294967295,
    Math.floor((rest0 * 18446744073709551616 + rest1 * 4294967296 + rest2) * reciprocal),
  )
  let q = estimate | 0
  const low = Math.imul(q, lo) >>> 0
  const middle = (mulHigh(q, lo) >>> 0) + (Math.imul(q, hi) >>> 0)
  const high = (mulHigh(q, hi) >>> 0) + (middle > 0xffffffff ? 1 : 0)
  let d2 = rest2 - low
  let d1 = rest1 - (middle >>> 0)
  let d0 = rest0 - high
  if (d2 < 0) {
    d2 += 4294967296
    d1--
  }
  if (d1 < 0) {
    d1 += 4294967296
    d0--
  }
  while (d0 < 0) {
    q--
    d2 += lo
    d1 += hi
    if (d2 > 0xffffffff) {
      d2 -= 4294967296
      d1++
    }
    if (d1 > 0xffffffff) {
      d1 -= 4294967296
      d0++
    }
  }
  while (d0 > 0 || d1 > hi || (d1 === hi && d2 >= lo)) {
    q++
    d2 -= lo
    d1 -= hi
    if (d2 < 0) {
      d2 += 4294967296
      d1--
    }
    if (d1 < 0) {
      d1 += 4294967296
      d0--
    }
  }
  rest0 = d1
  rest1 = d2
  rest2 = 0
  return q | 0
}

/** r = a / b; its sign is the product of theirs. */
export function divFinite(r: Unpacked, a: Unpacked, b: Unpacked): void {
  const hi = b.hi >>> 0
  const lo = b.lo >>> 0
  const aHi = a.hi >>> 0
  const aLo = a.lo >>> 0
  const reciprocal = 1 / (hi * 4294967296 + lo)
  r.kind = FINITE
  r.sign = a.sign ^ b.sign
  if (aHi < hi || (aHi === hi && aLo < lo)) {
    r.exp = a.exp - b.exp - 1
    rest0 = aHi
    rest1 = aLo
    rest2 = 0
  } else {
    // Halve the dividend, so that the quotient lies below one.
    r.exp = a.exp - b.exp
    rest0 = aHi >>> 1
    rest1 = ((aHi << 31) | (aLo >>> 1)) >>> 0
    rest2 = (aLo << 31) >>> 0
  }
  r.hi = quotientWord(hi, lo, reciprocal)
  r.lo = quotientWord(hi, lo, reciprocal)
  r.ex = quotientWord(hi, lo, reciprocal)
  if (rest0 !== 0 || rest1 !== 0) r.ex |= 1
}

/** r = the square root of a positive a. */
export function sqrtFinite(r: Unpacked, a: Unpacked): void {
  const odd = a.exp & 1
  const significand = (BigInt(a.hi >>> 0) << 32n) | BigInt(a.lo >>> 0)
  const square = significand << (odd ? 128n : 127n)
  // 53 bits from the double, over 100 after one step of Newton's, exact after the correction.
  let root = BigInt(Math.sqrt(Number(square)))
  root = (root + square / root) >> 1n
  if (root * root > square) root--
  if (root >= 1n << 96n) root = (1n << 96n) - 1n
  r.kind = FINITE
  r.sign = 0
  r.exp = (a.exp - odd) / 2
  r.hi = Number(root >> 64n) | 0
  r.lo = Number((root >> 32n) & 0xffffffffn) | 0
  r.ex = Number(root & 0xffffffffn) | 0
  if (root * root !== square) r.ex |= 1
}
