// A number taken apart: class, sign, exponent and a significand of 64 bits with 32 more below it.
// All formats (binary32, binary64, extended) are unpacked into this one shape, so that there is
// one addition, one division and one rounding for x87 and SSE alike.
//
// value = (-1)^sign * (hi:lo:ex as a fraction, bit 31 of hi weighs 1) * 2^exp
// Finite numbers are normalised (bit 31 of hi set). `ex` holds what lies below the 64 bits; its
// lowest bit is sticky: it is also set if anything lies still lower, which is all rounding asks.

import type { Float80 } from './context.ts'

export const ZERO = 0
export const FINITE = 1
export const INFINITE = 2
export const QNAN = 3
export const SNAN = 4
/** An encoding with the integer bit clear that an 80387 and later refuse. */
export const UNSUPPORTED = 5

/** See the head of this file. */
export class Unpacked {
  /** ZERO, FINITE, INFINITE, QNAN, SNAN or UNSUPPORTED. */
  kind = ZERO
  /** 1 if negative. */
  sign = 0
  /** Exponent without bias. */
  exp = 0
  hi = 0
  lo = 0
  ex = 0
  /** True if the operand was encoded as a denormal (or pseudo-denormal). */
  isDenormal = false

  /** Copies all but `isDenormal`; `ex` becomes zero. */
  copy(from: Unpacked): void {
    this.kind = from.kind
    this.sign = from.sign
    this.exp = from.exp
    this.hi = from.hi
    this.lo = from.lo
    this.ex = 0
  }

  /** Shifts left until bit 31 of `hi` is set. The significand must not be zero. */
  normalize(): void {
    while (this.hi === 0) {
      this.hi = this.lo
      this.lo = this.ex
      this.ex = 0
      this.exp -= 32
    }
    const n = Math.clz32(this.hi)
    if (n === 0) return
    this.hi = (this.hi << n) | (this.lo >>> (32 - n))
    this.lo = (this.lo << n) | (this.ex >>> (32 - n))
    this.ex <<= n
    this.exp -= n
  }

  /** Shifts the significand right by `n` >= 0, keeping what falls out as the sticky bit. */
  shiftRight(n: number): void {
    let sticky = 0
    let rest = n
    while (rest >= 32) {
      sticky |= this.ex
      this.ex = this.lo
      this.lo = this.hi
      this.hi = 0
      rest -= 32
      if ((this.lo | this.ex) === 0) {
        this.ex = sticky === 0 ? 0 : 1
        return
      }
    }
    if (rest > 0) {
      sticky |= this.ex << (32 - rest)
      this.ex = (this.ex >>> rest) | (this.lo << (32 - rest))
      this.lo = (this.lo >>> rest) | (this.hi << (32 - rest))
      this.hi >>>= rest
    }
    if (sticky !== 0) this.ex |= 1
    this.hi |= 0
  }
}

/** Takes an x87 register apart. */
export function unpack80(u: Unpacked, x: Float80): void {
  const biased = x.se & 0x7fff
  const hi = x.hi | 0
  const lo = x.lo | 0
  u.sign = (x.se >>> 15) & 1
  u.hi = hi
  u.lo = lo
  u.ex = 0
  u.isDenormal = x.wasDenormal
  u.exp = biased - 16383
  if (biased === 0) {
    if ((hi | lo) === 0) {
      u.kind = ZERO
      return
    }
    u.kind = FINITE
    u.isDenormal = true
    u.exp = -16382
    u.normalize()
  } else if (hi >= 0) {
    u.kind = UNSUPPORTED
  } else if (biased === 0x7fff) {
    u.kind = (hi << 1) | lo ? (hi & 0x40000000 ? QNAN : SNAN) : INFINITE
  } else {
    u.kind = FINITE
  }
}

/** Takes a binary64 apart; with `daz` a denormal is a zero. */
export function unpack64(u: Unpacked, high: number, low: number, daz: boolean): void {
  const biased = (high >>> 20) & 0x7ff
  u.sign = high >>> 31
  u.hi = (high << 11) | (low >>> 21) | 0x80000000
  u.lo = low << 11
  u.ex = 0
  u.isDenormal = false
  u.exp = biased - 1023
  if (biased === 0x7ff) unpackSpecial(u)
  else if (biased !== 0) u.kind = FINITE
  else unpackDenormal(u, -1022, daz)
}

/** Takes a binary32 apart; with `daz` a denormal is a zero. */
export function unpack32(u: Unpacked, bits: number, daz: boolean): void {
  const biased = (bits >>> 23) & 0xff
  u.sign = bits >>> 31
  u.hi = (bits << 8) | 0x80000000
  u.lo = 0
  u.ex = 0
  u.isDenormal = false
  u.exp = biased - 127
  if (biased === 0xff) unpackSpecial(u)
  else if (biased !== 0) u.kind = FINITE
  else unpackDenormal(u, -126, daz)
}

function unpackSpecial(u: Unpacked): void {
  u.kind = (u.hi << 1) | u.lo ? (u.hi & 0x40000000 ? QNAN : SNAN) : INFINITE
}

function unpackDenormal(u: Unpacked, exp: number, daz: boolean): void {
  u.hi &= 0x7fffffff
  if (daz || (u.hi | u.lo) === 0) {
    u.kind = ZERO
    return
  }
  u.kind = FINITE
  u.isDenormal = true
  u.exp = exp
  u.normalize()
}

/** Puts a two's complement 64-bit integer, exactly. */
export function unpackInt64(u: Unpacked, high: number, low: number): void {
  u.sign = high >>> 31
  u.hi = high | 0
  u.lo = low | 0
  u.ex = 0
  u.isDenormal = false
  if (u.sign) {
    u.lo = -u.lo | 0
    u.hi = (~u.hi + (u.lo === 0 ? 1 : 0)) | 0
  }
  if ((u.hi | u.lo) === 0) {
    u.kind = ZERO
    return
  }
  u.kind = FINITE
  u.exp = 63
  u.normalize()
}
