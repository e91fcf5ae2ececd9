// First records of blocks by host address and mode, those that were looked up last, in one array: a
// look-up touches one place of memory, where the table of blocks (block-table.ts) leads through
// several. After a change of address spaces a processor looks up all that it executes.

/** log2 of the number of places; a block has one that it may be in. */
const SHIFT = 16
/** 2^32 divided by the golden ratio: spreads addresses that are close. */
const SPREAD = 0x9e3779b1 | 0
const WORDS_SHIFT = 2

export class BlockHints {
  /** Of each place: host address, mode, first record or 0. */
  readonly #words = new Int32Array(1 << (SHIFT + WORDS_SHIFT))

  /** First record of a block, or 0 if it is not known here. */
  find(host: number, mode: number): number {
    const at = placeOf(host)
    const words = this.#words
    return words[at] === (host | 0) && words[at + 1] === mode ? (words[at + 2] as number) : 0
  }

  remember(host: number, mode: number, rec: number): void {
    const at = placeOf(host)
    this.#words[at] = host
    this.#words[at + 1] = mode
    this.#words[at + 2] = rec
  }

  /** The blocks that start at a host address are no more. */
  forget(host: number): void {
    this.#words[placeOf(host) + 2] = 0
  }

  forgetAll(): void {
    this.#words.fill(0)
  }
}

function placeOf(host: number): number {
  return (Math.imul(host, SPREAD) >>> (32 - SHIFT)) << WORDS_SHIFT
}
