// Random numbers from a seed, the same in every run (xorshift128 of Marsaglia's), and values that
// those who check arguments like least.

const WILD: readonly bigint[] = [
  0xffffffffffffffffn,
  0x8000000000000000n,
  0x7fffffffffffffffn,
  0xffffffffn,
  0x80000000n,
  0x7fffffffn,
  0x100000000n,
  0xfffn,
  0x1000n,
  0xffffn,
  0n,
]

export class Random {
  #x = 123456789
  #y = 362436069
  #z = 521288629
  #w: number

  constructor(seed: number) {
    this.#w = seed | 0
    for (let i = 0; i < 16; i++) this.next()
  }

  /** 32 bits. */
  next(): number {
    const t = this.#x ^ (this.#x << 11)
    this.#x = this.#y
    this.#y = this.#z
    this.#z = this.#w
    this.#w = this.#w ^ (this.#w >>> 19) ^ (t ^ (t >>> 8))
    return this.#w >>> 0
  }

  /** A number from 0 to `limit` - 1. */
  below(limit: number): number {
    return this.next() % limit
  }

  pick<T>(from: readonly T[]): T {
    return from[this.below(from.length)] as T
  }

  bytes(length: number): Uint8Array {
    return Uint8Array.from({ length }, () => this.next() & 255)
  }

  /** 64 bits: of any value, or one at the edge of something. */
  wild(): bigint {
    if (this.below(2)) return this.pick(WILD)
    return (BigInt(this.next()) << 32n) | BigInt(this.next())
  }
}
