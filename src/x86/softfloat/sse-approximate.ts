// SSE: RCPSS and RSQRTSS of one element. The manual allows a relative error of 1.5 * 2^-12, and
// processors differ (Intel's and AMD's tables are unlike). Ours is the exact value rounded to 13
// significant bits, an error of at most 2^-13: the same on every host, and exact for powers of two.
// No exceptions, no influence of MXCSR: denormals count as zeros, tiny results become zeros.

import { FINITE, INFINITE, Unpacked, unpack32, ZERO } from './unpacked.ts'

const u = new Unpacked()

/** RCPSS: about 1 / a, a binary32. */
export function reciprocal32(a: number): number {
  unpack32(u, a, true)
  const sign = u.sign << 31
  if (u.kind === ZERO) return sign | 0x7f800000
  if (u.kind === INFINITE) return sign
  if (u.kind !== FINITE) return a | 0x00400000
  // 1 / fraction is in (1/2, 1]; as a multiple of 2^-13 it has 13 bits.
  const rounded = Math.round(8192 / fraction())
  return u.exp > 126 || (u.exp === 126 && rounded < 8192) ? sign : sign | pack(rounded, -u.exp)
}

/** RSQRTSS: about 1 / sqrt(a), a binary32. */
export function reciprocalSqrt32(a: number): number {
  unpack32(u, a, true)
  const sign = u.sign << 31
  if (u.kind === ZERO) return sign | 0x7f800000
  if (u.kind > INFINITE) return a | 0x00400000
  if (u.sign !== 0) return 0xffc00000 | 0
  if (u.kind === INFINITE) return 0
  const odd = u.exp & 1
  // sqrt(1 / fraction) with fraction in [1, 4) is in (1/2, 1].
  const rounded = Math.round(8192 / Math.sqrt(fraction() * (odd === 0 ? 1 : 2)))
  return pack(rounded, -(u.exp - odd) / 2)
}

// The significand as a number in [1, 2).
function fraction(): number {
  return (u.hi >>> 8) / 0x800000
}

// rounded * 2^(exp - 13), where rounded is in [4096, 8192], as a positive binary32.
function pack(rounded: number, exp: number): number {
  const isOne = rounded === 8192
  const biased = exp + 127 - (isOne ? 0 : 1)
  return (biased << 23) | (isOne ? 0 : (rounded - 4096) << 11)
}
