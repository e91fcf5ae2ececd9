// The memory that a domain takes, as xenstored 4.17 has counted it since XSA-326: nodes that it owns,
// with their paths; its watches, with path and token; what its open transactions have looked at;
// and messages that it has not read, whole until their last byte is. Each part keeps its own count,
// so that there is none that could run away from what it counts.

import type { Quotas } from './quotas.ts'

/** May a domain take so many bytes more. */
export type MayGrow = (domid: number, bytes: number) => boolean

/** Told of a domain that takes too much, in words. */
export type MemoryComplaint = (domid: number, text: string) => void

export class MemoryLimits {
  readonly #quotas: Pick<Quotas, 'memory' | 'softMemory'>
  readonly #usageOf: (domid: number) => number
  readonly #onComplaint: MemoryComplaint

  constructor(
    quotas: Pick<Quotas, 'memory' | 'softMemory'>,
    usageOf: (domid: number) => number,
    onComplaint: MemoryComplaint,
  ) {
    this.#quotas = quotas
    this.#usageOf = usageOf
    this.#onComplaint = onComplaint
  }

  /** May the domain take so many bytes more; if not, the user is told. Domain 0 always may. */
  readonly mayGrow: MayGrow = (domid, bytes) => {
    const { memory } = this.#quotas
    if (domid === 0 || memory === 0 || this.#usageOf(domid) + bytes < memory) return true
    this.#tellHard(domid)
    return false
  }

  /** Is the domain not to be served, as it has all that it may have. */
  isStalled(domid: number): boolean {
    const { memory } = this.#quotas
    return domid !== 0 && memory !== 0 && this.#usageOf(domid) >= memory
  }

  /** Tells the user of a domain that has come to a limit. */
  look(domid: number): void {
    const { memory, softMemory } = this.#quotas
    if (softMemory !== 0 && this.#usageOf(domid) >= softMemory) {
      const next = memory === 0 ? '' : `; at ${memory} its requests will be refused`
      this.#onComplaint(domid, `it makes xenstore remember ${softMemory} bytes or more${next}`)
    }
    if (this.isStalled(domid)) this.#tellHard(domid)
  }

  #tellHard(domid: number): void {
    const why = `it has used up the ${this.#quotas.memory} bytes that xenstore remembers for it`
    this.#onComplaint(domid, `${why}; what needs more is refused`)
  }
}
