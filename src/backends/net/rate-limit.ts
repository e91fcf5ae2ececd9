// Limits what a guest may send, by credit that is filled up at intervals, as Linux's netback does
// for `rate=` of xl-network-configuration(5).

/** What xenstore's `rate` node says: so many bytes every so many microseconds. */
export interface Rate {
  readonly bytes: number
  readonly intervalUs: number
}

/** Credit is saved up to this: a frame that needs more than one interval's would wait for ever. */
const LEAST_BURST = 128 * 1024

export class RateLimiter {
  readonly #rate: Rate
  #credit: number
  #filledAt: number

  constructor(rate: Rate, now: number) {
    this.#rate = rate
    this.#credit = rate.bytes
    this.#filledAt = now
  }

  /** Takes credit for a frame; if there is not enough, when there will be more (nanoseconds). */
  take(bytes: number, now: number): number | undefined {
    const interval = this.#rate.intervalUs * 1000
    const passed = Math.floor((now - this.#filledAt) / interval)
    if (passed > 0) {
      const most = Math.max(this.#rate.bytes, LEAST_BURST)
      this.#credit = Math.min(most, this.#credit + passed * this.#rate.bytes)
      this.#filledAt += passed * interval
    }
    if (bytes > this.#credit) return this.#filledAt + interval
    this.#credit -= bytes
    return undefined
  }
}
