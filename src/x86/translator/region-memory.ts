// What memory regions take, and which of them were not seen running for longest. The engine frees a
// module's code when none of its functions is in the table any more, so that regions that were made
// together go together; what is counted is the modules' size, as it grows and falls with that of
// their machine code.

/** Regions that were made together. */
interface Batch {
  /** Bytes of their modules. */
  bytes: number
  /** Places of those that are still there. */
  readonly live: Set<number>
}

export class RegionMemory {
  /** By the places of regions. */
  readonly #batches = new Map<number, Batch>()
  /** Those that were seen longest ago come first. */
  readonly #inOrder = new Set<Batch>()
  #open: Batch | undefined
  /** Bytes of the modules that have regions which are still there. */
  bytes = 0

  /** What is added from here on is made together. */
  begin(): void {
    this.#open = undefined
  }

  /** A module was made for some regions. */
  add(places: readonly number[], bytes: number): void {
    this.#open ??= { bytes: 0, live: new Set() }
    const batch = this.#open
    for (const place of places) {
      batch.live.add(place)
      this.#batches.set(place, batch)
    }
    batch.bytes += bytes
    this.bytes += bytes
    this.#touch(batch)
  }

  /** A region was seen running. */
  saw(place: number): void {
    const batch = this.#batches.get(place)
    if (batch) this.#touch(batch)
  }

  #touch(batch: Batch): void {
    this.#inOrder.delete(batch)
    this.#inOrder.add(batch)
  }

  /** A region is no more. */
  remove(place: number): void {
    const batch = this.#batches.get(place)
    if (!batch) return
    this.#batches.delete(place)
    batch.live.delete(place)
    if (batch.live.size > 0) return
    this.#inOrder.delete(batch)
    this.bytes -= batch.bytes
    if (batch === this.#open) this.#open = undefined
  }

  /** Places of regions to take away, so that no more bytes, and regions, than these are left. */
  excess(mostBytes: number, mostRegions: number): number[] {
    let [bytes, regions] = [this.bytes, this.#batches.size]
    const places: number[] = []
    for (const batch of this.#inOrder) {
      if (bytes <= mostBytes && regions <= mostRegions) break
      bytes -= batch.bytes
      regions -= batch.live.size
      places.push(...batch.live)
    }
    return places
  }

  clear(): void {
    this.#batches.clear()
    this.#inOrder.clear()
    this.#open = undefined
    this.bytes = 0
  }
}
