// Decoded blocks by the host address of their first byte and the mode they were decoded for: a
// hash table whose chains run through the blocks. A Map takes ten times as long, as its keys would
// be numbers that V8 keeps outside the table (program `spawn` of bench/guest).

/** log2 of the number of buckets: at first; it doubles when there are as many blocks. */
const FIRST_SHIFT = 14
/** 2^32 divided by the golden ratio: spreads addresses that are close. */
const SPREAD = 0x9e3779b1 | 0

/** What the table needs of a block. */
export interface Chained<T> {
  readonly start: number
  readonly mode: number
  /** The table's own: the next one in its chain. */
  following: T | undefined
}

export class BlockTable<T extends Chained<T>> {
  #shift = FIRST_SHIFT
  #buckets = emptyBuckets<T>(FIRST_SHIFT)
  #count = 0

  get(start: number, mode: number): T | undefined {
    let block = this.#buckets[this.#bucketOf(start)]
    while (block && (block.start !== start || block.mode !== mode)) block = block.following
    return block
  }

  /** Adds a block; there must be none with its address and mode. */
  add(block: T): void {
    if (this.#count++ >= this.#buckets.length) this.#grow()
    this.#put(block)
  }

  #put(block: T): void {
    const bucket = this.#bucketOf(block.start)
    block.following = this.#buckets[bucket]
    this.#buckets[bucket] = block
  }

  #grow(): void {
    const before = this.#buckets
    this.#buckets = emptyBuckets(++this.#shift)
    for (const first of before) {
      for (let block = first; block; ) {
        const { following } = block
        this.#put(block)
        block = following
      }
    }
  }

  /** Takes a block out if it is in the table. */
  delete(block: T): void {
    const bucket = this.#bucketOf(block.start)
    let previous: T | undefined
    for (let at = this.#buckets[bucket]; at; at = at.following) {
      if (at === block) {
        if (previous) previous.following = block.following
        else this.#buckets[bucket] = block.following
        block.following = undefined
        this.#count--
        return
      }
      previous = at
    }
  }

  clear(): void {
    this.#shift = FIRST_SHIFT
    this.#buckets = emptyBuckets(FIRST_SHIFT)
    this.#count = 0
  }

  #bucketOf(start: number): number {
    return Math.imul(start, SPREAD) >>> (32 - this.#shift)
  }
}

function emptyBuckets<T>(shift: number): (T | undefined)[] {
  return new Array<T | undefined>(1 << shift).fill(undefined)
}
