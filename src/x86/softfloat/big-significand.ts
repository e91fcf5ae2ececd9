// From integers of any length to the unpacked shape and back, for what needs more than 128 bits:
// the fused multiply-add, the remainder and the transcendental functions.

import { FINITE, type Unpacked } from './unpacked.ts'

/** The number of bits of a positive integer. */
export function bitLength(value: bigint): number {
  const hex = value.toString(16)
  return hex.length * 4 - Math.clz32(Number.parseInt(hex.charAt(0), 16)) + 28
}

/** The 64 bits of significand as an integer. */
export function significand(u: Unpacked): bigint {
  return (BigInt(u.hi >>> 0) << 32n) | BigInt(u.lo >>> 0)
}

/** Sets u to value * 2^scale with the sign given; value must be positive. */
export function setFromInteger(u: Unpacked, sign: number, value: bigint, scale: number): void {
  const length = bitLength(value)
  const excess = length - 96
  let top = value
  let sticky = 0
  if (excess > 0) {
    top = value >> BigInt(excess)
    if (top << BigInt(excess) !== value) sticky = 1
  } else {
    top = value << BigInt(-excess)
  }
  u.kind = FINITE
  u.sign = sign
  u.exp = scale + length - 1
  u.hi = Number(top >> 64n) | 0
  u.lo = Number((top >> 32n) & 0xffffffffn) | 0
  u.ex = Number(top & 0xffffffffn) | 0 | sticky
}
