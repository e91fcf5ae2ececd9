// A small seeded generator of random numbers (xorshift128, Marsaglia 2003): the same seed gives
// the same tests everywhere.

export class Random {
  readonly #state = new Uint32Array(4)

  constructor(seed: number) {
    this.#state.set([seed, 0x9e3779b9, 0x243f6a88, 0xb7e15162])
    for (let i = 0; i < 16; i++) this.next()
  }

  /** 32 random bits, unsigned. */
  next(): number {
    const s = this.#state
    const old = s[3] as number
    const first = s[0] as number
    let t = old ^ (old << 11)
    t ^= t >>> 8
    s.copyWithin(1, 0, 3)
    s[0] = t ^ first ^ (first >>> 19)
    return s[0] as number
  }

  /** A number from 0 to `bound` - 1. */
  below(bound: number): number {
    return this.next() % bound
  }

  bits64(): bigint {
    return (BigInt(this.next()) << 32n) | BigInt(this.next())
  }

  pick<T>(values: readonly T[]): T {
    return values[this.below(values.length)] as T
  }
}
