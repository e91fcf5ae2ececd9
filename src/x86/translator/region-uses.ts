// Which regions were made with knowledge of which records: of those that begin their blocks, of those
// that they go on with when they end, and of functions that they call. When such a record is dropped,
// its regions would be wrong, or leave for where nothing is any more.

export class RegionUses {
  /** Places of regions, by records. */
  readonly #regions = new Map<number, Set<number>>()
  /** Records, by the places of regions. */
  readonly #records = new Map<number, ReadonlySet<number>>()

  add(region: number, records: ReadonlySet<number>): void {
    this.#records.set(region, records)
    for (const rec of records) {
      const regions = this.#regions.get(rec)
      if (regions) regions.add(region)
      else this.#regions.set(rec, new Set([region]))
    }
  }

  /** Places of the regions that were made with knowledge of a record. */
  of(rec: number): readonly number[] {
    const regions = this.#regions.get(rec)
    return regions ? [...regions] : NONE
  }

  remove(region: number): void {
    for (const rec of this.#records.get(region) ?? NONE) {
      const regions = this.#regions.get(rec)
      regions?.delete(region)
      if (regions?.size === 0) this.#regions.delete(rec)
    }
    this.#records.delete(region)
  }

  clear(): void {
    this.#regions.clear()
    this.#records.clear()
  }
}

const NONE: readonly number[] = []
