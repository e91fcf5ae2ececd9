// Where code that is looked up lies: the part of a processor's software TLB for instruction
// fetches, which only TypeScript probes. Direct-mapped, four words an entry: linear address of the
// page with the privilege in bit 0, its upper half, host offset of the page with bit 0 for global
// mappings, nothing. It is small enough to be emptied whole whenever some of it has to go.

const ENTRIES = 512
const ENTRY_SHIFT = 2
const PAGE_SHIFT = 12
const USER = 1
const GLOBAL = 1

export class FetchTlb {
  readonly #words = new Int32Array(ENTRIES << ENTRY_SHIFT).fill(-1)
  #isEmpty = true
  /** The mapping that was found last outlives address spaces. */
  isGlobal = false
  fills = 0

  /** Host offset of a linear address that code of a privilege may be fetched from, or -1. */
  find(lo: number, hi: number, isUser: boolean): number {
    const words = this.#words
    const at = indexOf(lo)
    if (words[at] !== tagOf(lo, isUser) || words[at + 1] !== hi) return -1
    const page = words[at + 2] as number
    this.isGlobal = (page & GLOBAL) !== 0
    return ((page & -4096) | (lo & 0xfff)) >>> 0
  }

  /** Enters a translation; `host`: host offset of the page's first byte. */
  fill(lo: number, hi: number, isUser: boolean, host: number, isGlobal: boolean): void {
    const words = this.#words
    const at = indexOf(lo)
    words[at] = tagOf(lo, isUser)
    words[at + 1] = hi
    words[at + 2] = host | (isGlobal ? GLOBAL : 0)
    this.#isEmpty = false
    this.fills++
  }

  /** Forgets the page of an address. */
  forget(lo: number): void {
    this.#words[indexOf(lo)] = -1
  }

  flush(): void {
    if (this.#isEmpty) return
    this.#words.fill(-1)
    this.#isEmpty = true
  }
}

function indexOf(lo: number): number {
  return ((lo >>> PAGE_SHIFT) & (ENTRIES - 1)) << ENTRY_SHIFT
}

/** The tag of an entry; no page has that of an empty one, -1. */
function tagOf(lo: number, isUser: boolean): number {
  return (lo & -4096) | (isUser ? USER : 0)
}
