// A small seeded generator of random numbers (xorshift128, Marsaglia 2003): the same seed gives
// the same tests everywhere.

export class Random {
  #a: number
  #b = 0x9e3779b9 | 0
  #c = 0x243f6a88 | 0
  #d = 0xb7e15162 | 0

  constructor(seed: number) {
    this.#a = seed | 0
    for (let i = 0; i < 16; i++) this.next()
  }

  /** 32 random bits, unsigned. */
  next(): number {
    let t = this.#d
    this.#d = this.#c
    this.#c = this.#b
    this.#b = this.#a
    t ^= t << 11
    t ^= t >>> 8
    this.#a = t ^ this.#b ^ (this.#b >>> 19)
    return this.#a >>> 0
  }

  /** A number from 0 to `bound` - 1. */
  below(bound: number): number {
    return this.next() % bound
  }

  /** True once in `n` times. */
  oneIn(n: number): boolean {
    return this.next() % n === 0
  }

  pick<T>(values: readonly T[]): T {
    return values[this.below(values.length)] as T
  }
}
