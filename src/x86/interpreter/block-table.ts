// Decoded blocks by the host address of their first byte and the mode they were decoded for: a
// hash table whose chains run through the blocks. A Map takes ten times as long, as its keys would
// be numbers that V8 keeps outside the table (program `spawn` of bench/guest).

const BUCKETS_SHIFT = 15
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
  readonly #buckets = new Array<T | undefined>(1 << BUCKETS_SHIFT).fill(undefined)

  get(start: number, mode: number): T | undefined {
    let block = this.#buckets[bucketOf(start)]
    while (block && (block.start !== start || block.mode !== mode)) block = block.following
    return block
  }

  /** Adds a block; there must be none with its address and mode. */
  add(block: T): void {
    const bucket = bucketOf(block.start)
    block.following = this.#buckets[bucket]
    this.#buckets[bucket] = block
  }

  /** Takes a block out if it is in the table. */
  delete(block: T): void {
    const bucket = bucketOf(block.start)
    let previous: T | undefined
    for (let at = this.#buckets[bucket]; at; at = at.following) {
      if (at === block) {
        if (previous) previous.following = block.following
        else this.#buckets[bucket] = block.following
        block.following = undefined
        return
      }
      previous = at
    }
  }

  clear(): void {
    this.#buckets.fill(undefined)
  }
}

function bucketOf(start: number): number {
  return Math.imul(start, SPREAD) >>> (32 - BUCKETS_SHIFT)
}
