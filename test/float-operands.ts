// Seeded operands for floating point: everything random, and more often than chance would have it
// zeros, denormals, limits, halfway cases, NaNs, infinities and encodings that mean nothing.

/** Random numbers that are the same at every run (xorshift, 32 bits of state). */
export class Random {
  #state: number

  constructor(seed: number) {
    this.#state = seed | 0 || 1
  }

  /** 32 random bits, unsigned. */
  word(): number {
    let s = this.#state
    s ^= s << 13
    s ^= s >>> 17
    s ^= s << 5
    this.#state = s
    return s >>> 0
  }

  /** An integer from 0 to n - 1. */
  below(n: number): number {
    return this.word() % n
  }

  /** One of the values given. */
  pick<T>(values: readonly T[]): T {
    return values[this.below(values.length)] as T
  }
}

/** A word with runs of ones and zeros, where carries and halfway cases live, or a random one. */
function word(random: Random): number {
  switch (random.below(6)) {
    case 0:
      return 0
    case 1:
      return 0xffffffff
    case 2:
      return (1 << random.below(32)) >>> 0
    case 3:
      return (-1 << random.below(32)) >>> 0
    default:
      return random.word()
  }
}

/** Biased exponents near the ends, near the middle, or anywhere. */
function exponent(random: Random, bits: number): number {
  const bias = 2 ** (bits - 1) - 1
  const top = 2 ** bits - 1
  switch (random.below(8)) {
    case 0:
      return 0
    case 1:
      return top
    case 2:
      return random.below(3)
    case 3:
      return top - random.below(3)
    case 4:
    case 5:
      return Math.min(top, Math.max(0, bias + random.below(150) - 75))
    case 6:
      return Math.floor(bias / 2) + random.below(60) - 30
    default:
      return random.below(top + 1)
  }
}

/** Writes an x87 register of ten bytes. */
export function putExtended(view: DataView, at: number, random: Random): void {
  const e = exponent(random, 15) & 0x7fff
  let hi = word(random)
  const lo = word(random)
  // The integer bit belongs to the exponent, but for one operand in sixteen.
  if (random.below(16) !== 0) hi = e === 0 ? hi & 0x7fffffff : hi | 0x80000000
  if (random.below(12) === 0) hi &= 0x80000000
  const exact = random.below(4) === 0
  view.setUint32(at, exact ? 0 : lo, true)
  view.setUint32(at + 4, exact ? hi & 0xffff0000 : hi, true)
  view.setUint16(at + 8, e | (random.below(2) << 15), true)
}

/**
 * Makes the exponents of two x87 registers depend on each other in one pair of two: equal, or such
 * that their product, quotient or sum lies at the edge of overflow or underflow.
 */
export function relateExtended(view: DataView, a: number, b: number, random: Random): void {
  const first = view.getUint16(a + 8, true) & 0x7fff
  const old = view.getUint16(b + 8, true)
  if (random.below(24) === 0) {
    // The same significand with either sign: of NaNs with these only the sign decides.
    for (let i = 0; i < 8; i++) view.setUint8(b + i, view.getUint8(a + i))
    view.setUint16(b + 8, (old & 0x8000) | first, true)
    return
  }
  const half = first - random.pick([24, 53, 64])
  if (random.below(16) === 0 && half > 0) {
    // Half a unit in the last place of the first, for one of the precisions: a tie.
    view.setBigUint64(b, 1n << 63n, true)
    view.setUint16(b + 8, (old & 0x8000) | half, true)
    return
  }
  const second = relatedExponent(random, first, 16383)
  if (second <= 0 || second >= 0x7fff || (old & 0x7fff) === 0x7fff) return
  view.setUint16(b + 8, (old & 0x8000) | second, true)
  view.setUint32(b + 4, view.getUint32(b + 4, true) | 0x80000000, true)
  if (random.below(8) !== 0) return
  // Nearly equal numbers: what they differ in decides.
  view.setUint32(b + 4, view.getUint32(a + 4, true), true)
  view.setUint32(b, view.getUint32(a, true) + random.below(3) - 1, true)
}

/** An exponent that has to do with the first one; -1 for none. */
function relatedExponent(random: Random, first: number, bias: number): number {
  const near = random.below(5) - 2
  switch (random.below(10)) {
    case 0:
      return first
    case 1:
      return first + near
    case 2:
      return bias - first + near
    case 3:
      return bias - first - random.below(bias < 1024 ? 56 : 70)
    case 4:
      return 3 * bias - first + near
    case 5:
      return first + bias + near - (near > 0 ? 0 : random.below(60))
    case 6:
      return first - bias + near
    default:
      return -1
  }
}

/**
 * Gives two registers, in three pairs of four, exponents where transcendental functions are neither
 * trivial nor out of range: the first at most `largest`, both not far from one.
 */
export function moderate(
  view: DataView,
  a: number,
  b: number,
  largest: number,
  random: Random,
): void {
  if (random.below(4) === 0) return
  for (const [at, top] of [
    [a, largest],
    [b, 20],
  ] as const) {
    const exponent = 0x3fff + top - random.below(top + 40)
    view.setUint16(at + 8, (view.getUint16(at + 8, true) & 0x8000) | exponent, true)
    view.setUint32(at + 4, view.getUint32(at + 4, true) | 0x80000000, true)
  }
}

/** The same as `relateExtended` for two binary64 or, with `bits` 8, binary32 numbers. */
export function relateNarrow(
  view: DataView,
  a: number,
  b: number,
  bits: 8 | 11,
  random: Random,
): void {
  const offset = bits === 11 ? 4 : 0
  const shift = bits === 11 ? 20 : 23
  const top = 2 ** bits - 1
  const first = (view.getUint32(a + offset, true) >>> shift) & top
  const old = view.getUint32(b + offset, true)
  const half = first - (bits === 11 ? 53 : 24)
  if (random.below(16) === 0 && half > 0) {
    // Half a unit in the last place of the first: a tie.
    if (bits === 11) view.setUint32(b, 0, true)
    view.setUint32(b + offset, (old & 0x80000000) | (half << shift), true)
    return
  }
  const second = relatedExponent(random, first, 2 ** (bits - 1) - 1)
  if (second <= 0 || second >= top || ((old >>> shift) & top) === top) return
  view.setUint32(b + offset, (old & ~(top << shift)) | (second << shift), true)
}

/**
 * Of three narrow numbers 16 bytes apart, makes one nearly the product of the others (with the
 * sign either way), so that a fused multiply-add cancels.
 */
export function relateAddend(view: DataView, at: number, bits: 8 | 11, random: Random): void {
  if (random.below(2) === 0) return
  const places = random.pick([
    [0, 16, 32],
    [16, 32, 0],
    [0, 32, 16],
  ])
  const [p, q, r] = places.map((place) => at + place) as [number, number, number]
  if (bits === 11) {
    const product = view.getFloat64(p, true) * view.getFloat64(q, true)
    if (Number.isNaN(product)) return
    view.setFloat64(r, random.below(2) === 0 ? product : -product, true)
  } else {
    const product = view.getFloat32(p, true) * view.getFloat32(q, true)
    if (Number.isNaN(product)) return
    view.setFloat32(r, random.below(2) === 0 ? product : -product, true)
  }
  view.setUint32(r, view.getUint32(r, true) ^ random.pick([0, 0, 1, 2, 0x10000]), true)
}

/** Writes a binary64. */
export function putDouble(view: DataView, at: number, random: Random): void {
  const e = exponent(random, 11) & 0x7ff
  const sparse = random.below(5) === 0
  const hi = (random.below(2) << 31) | (e << 20) | (word(random) & (sparse ? 0xc0000 : 0xfffff))
  view.setUint32(at, sparse ? 0 : word(random), true)
  view.setUint32(at + 4, hi, true)
}

/** Writes a binary32. */
export function putFloat(view: DataView, at: number, random: Random): void {
  const e = exponent(random, 8) & 0xff
  const fraction = random.below(8) === 0 ? 0 : word(random) & 0x7fffff
  view.setUint32(at, (random.below(2) << 31) | (e << 23) | fraction, true)
}

/** Writes an integer of 64 bits, often small or near a limit. */
export function putInteger(view: DataView, at: number, random: Random): void {
  const small = random.below(2) === 0
  const lo = word(random)
  view.setUint32(at, lo, true)
  view.setUint32(at + 4, small ? (random.below(2) === 0 ? 0 : 0xffffffff) : word(random), true)
}

/** Writes ten bytes of packed decimal, with only valid digits. */
export function putDecimal(view: DataView, at: number, random: Random): void {
  const digits = random.below(19)
  for (let i = 0; i < 18; i += 2) {
    const low = i < digits ? random.below(10) : 0
    const high = i + 1 < digits ? random.below(10) : 0
    view.setUint8(at + i / 2, (high << 4) | low)
  }
  view.setUint8(at + 9, random.below(2) === 0 ? random.word() : 0)
}
