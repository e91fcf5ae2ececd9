// Which blocks lie in the middle of a region. A slice ends anywhere, so samples find those as often as
// its entry; but there the region is entered again only where something else has left it. So what is
// seen there is nearly all to the credit of the region, and a region of its own, which would have the
// same code once more, has to be earned by others.

import type { Block } from '../interpreter/code-cache.ts'

/** Blocks that are remembered: what is forgotten is only translated sooner. */
const MOST_BLOCKS = 1 << 17

export class Coverage {
  /** The block that the region begins with, by the host addresses of those that it has. */
  readonly #entries = new Map<number, Block>()

  /** A region that begins with a block has others at these host addresses. */
  add(entry: Block, starts: Iterable<number>): void {
    if (this.#entries.size > MOST_BLOCKS) this.clear()
    for (const start of starts) this.#entries.set(start, entry)
  }

  /** The block that a region with this one begins with; there may be no region there any more. */
  entryOf({ start }: Block): Block | undefined {
    return this.#entries.get(start)
  }

  clear(): void {
    this.#entries.clear()
  }
}
