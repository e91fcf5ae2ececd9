// Values that instructions like to get wrong, and random ones, as pairs of 32-bit halves.

import type { Random } from './random.ts'

/** A 64-bit value; one object is used again and again. */
export interface Halves {
  lo: number
  hi: number
}

const split = (values: readonly bigint[]): Uint32Array =>
  Uint32Array.from(values.flatMap((v) => [Number(v & 0xffffffffn), Number(v >> 32n)]))

const INTEGERS = split([
  0n,
  1n,
  2n,
  0x7fn,
  0x80n,
  0xffn,
  0x7fffn,
  0x8000n,
  0xffffn,
  0x7fffffffn,
  0x80000000n,
  0xffffffffn,
  0x100000000n,
  0x7fffffffffffffffn,
  0x8000000000000000n,
  0xffffffffffffffffn,
])

const DOUBLES = split([
  0n,
  1n << 63n,
  0x3ff0000000000000n,
  0xbff0000000000000n,
  0x7ff0000000000000n,
  0xfff0000000000000n,
  0x7ff8000000000000n,
  0x7ff4000000000001n,
  1n,
  0x800fffffffffffffn,
  0x0010000000000000n,
  0x7fefffffffffffffn,
  0x41e0000000000000n,
  0x43e0000000000000n,
])

const SINGLES = Uint32Array.of(
  0,
  0x80000000,
  0x3f800000,
  0xbf800000,
  0x7f800000,
  0xff800000,
  0x7fc00000,
  0x7fa00000,
  1,
  0x807fffff,
  0x00800000,
  0x7f7fffff,
  0x4f000000,
  0x3fffffff,
  0x4b000001,
)

function pickPair(r: Random, values: Uint32Array, out: Halves): void {
  const at = r.below(values.length >>> 1) * 2
  out.lo = values[at] as number
  out.hi = values[at + 1] as number
}

/** An integer: random, a corner, small, or a small negative one. */
export function integer(r: Random, out: Halves): void {
  switch (r.below(4)) {
    case 0:
      return pickPair(r, INTEGERS, out)
    case 1: {
      const value = (r.next() << 16) >> 16
      out.lo = value >>> 0
      out.hi = (value >> 31) >>> 0
      return
    }
    case 2:
      out.lo = r.below(70)
      out.hi = 0
      return
    default:
      out.lo = r.next()
      out.hi = r.next()
  }
}

/** What memory and vector registers hold: numbers of all kinds. */
export function datum(r: Random, out: Halves): void {
  switch (r.below(6)) {
    case 0:
      return pickPair(r, DOUBLES, out)
    case 1:
      out.lo = SINGLES[r.below(SINGLES.length)] as number
      out.hi = SINGLES[r.below(SINGLES.length)] as number
      return
    case 2:
      return integer(r, out)
    case 3: {
      // A double and two singles of moderate size.
      const exponent = (r.next() & 0x800) | (1023 - 30 + r.below(60))
      out.lo = r.next()
      out.hi = ((exponent << 20) | (r.next() & 0xfffff)) >>> 0
      return
    }
    default:
      out.lo = r.next()
      out.hi = r.next()
  }
}
