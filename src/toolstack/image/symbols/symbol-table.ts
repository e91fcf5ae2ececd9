// Names of addresses: the functions of a program, and where they begin. Looked up by whoever shows
// addresses to people, such as profilers do.

/** A function, by the linear address of its first byte. */
export interface CodeSymbol {
  readonly address: bigint
  readonly name: string
}

/** Addresses from `start` up to and without `end`. */
export interface AddressRange {
  readonly start: bigint
  readonly end: bigint
}

export class SymbolTable {
  readonly #addresses: BigUint64Array
  readonly #names: readonly string[]
  readonly #ranges: readonly AddressRange[]

  /**
   * Of several symbols at one address the first is the one that is told, as in Linux.
   * @param ranges where the program's code lies: other addresses have no name, however near
   */
  constructor(symbols: readonly CodeSymbol[], ranges: readonly AddressRange[]) {
    const sorted = [...symbols].sort((a, b) => compare(a.address, b.address))
    const first = sorted.filter(({ address }, i) => sorted[i - 1]?.address !== address)
    this.#addresses = BigUint64Array.from(first, ({ address }) => address)
    this.#names = first.map(({ name }) => name)
    this.#ranges = ranges
  }

  /** Symbols that can be told: aliases are not. */
  get size(): number {
    return this.#names.length
  }

  /** As `name+0xoffset` or `name`; undefined if no symbol lies there or before it in the code. */
  nameAt(address: bigint): string | undefined {
    const range = this.#ranges.find(({ start, end }) => address >= start && address < end)
    if (!range) return undefined
    const at = this.#lastUpTo(address)
    const begin = this.#addresses[at]
    if (begin === undefined || begin < range.start) return undefined
    const name = this.#names[at] as string
    return begin === address ? name : `${name}+0x${(address - begin).toString(16)}`
  }

  /** Address of a symbol; undefined if there is none of the name. */
  addressOf(name: string): bigint | undefined {
    return this.#addresses[this.#names.indexOf(name)]
  }

  /** Place of the last symbol that begins at an address or before it; -1 if none does. */
  #lastUpTo(address: bigint): number {
    let [low, high] = [0, this.#addresses.length]
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((this.#addresses[middle] as bigint) <= address) low = middle + 1
      else high = middle
    }
    return low - 1
  }
}

function compare(a: bigint, b: bigint): number {
  return a < b ? -1 : a > b ? 1 : 0
}
