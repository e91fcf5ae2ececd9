// Which processors may have a TLB entry that lets a host page be stored to without a look. When a
// page gets its first decoded code, those entries lose that right (tlb.ts); to find them, a whole TLB
// has to be searched. What is remembered here says for each page in whose TLB they may be: seldom in
// any, hardly ever in more than one. Without it, a hundred domains that boot beside each other spend
// most of their time searching each other's TLBs (tools/bench domains).

/** A TLB, as far as it gives the right to store. */
export interface StoreTlb {
  protect(host: number): void
}

const PAGE_SHIFT = 12
const NOBODY = 0
const SEVERAL = 0xffff

export class StoreRights {
  /** For each host page the number of the TLB that may let it be stored to. */
  readonly #holders: Uint16Array
  /** By their numbers, of which 0 stands for none. */
  readonly #tlbs: (StoreTlb | undefined)[] = [undefined]

  /** For a memory of so many bytes. */
  constructor(bytes: number) {
    this.#holders = new Uint16Array(Math.ceil(bytes / (1 << PAGE_SHIFT)))
  }

  /** The number of a new TLB. */
  add(tlb: StoreTlb): number {
    const free = this.#tlbs.indexOf(undefined, 1)
    const number = free > 0 ? free : this.#tlbs.length
    this.#tlbs[number] = tlb
    return number
  }

  /** A TLB is not used any more; its number goes to the next one. */
  remove(number: number): void {
    this.#tlbs[number] = undefined
  }

  /** An entry of a TLB lets the page of a host address be stored to. */
  given(host: number, number: number): void {
    const page = host >>> PAGE_SHIFT
    const holder = this.#holders[page]
    if (holder === number) return
    this.#holders[page] = holder === NOBODY ? number : SEVERAL
  }

  /** No entry lets the page of a host address be stored to from now on. */
  protect(host: number): void {
    const page = host >>> PAGE_SHIFT
    const holder = this.#holders[page] as number
    if (holder === NOBODY) return
    this.#holders[page] = NOBODY
    if (holder === SEVERAL) for (const tlb of this.#tlbs) tlb?.protect(host)
    else this.#tlbs[holder]?.protect(host)
  }
}
