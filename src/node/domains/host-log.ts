// The host's message buffer, as Xen's: lines with the time since the start, in bounded memory.
// `dmesg` prints it.

const MOST_LINES = 2000

export class HostLog {
  readonly #now: () => number
  #lines: string[] = []

  /** `now` gives nanoseconds since the host started. */
  constructor(now: () => number) {
    this.#now = now
  }

  /** Adds a line; of a text with several each is one. */
  add(text: string): void {
    const time = (this.#now() / 1e9).toFixed(6).padStart(12)
    for (const line of text.split('\n')) this.#lines.push(`(XEN) [${time}] ${line}`)
    if (this.#lines.length > 2 * MOST_LINES) this.#lines = this.#lines.slice(-MOST_LINES)
  }

  lines(): readonly string[] {
    return this.#lines.slice(-MOST_LINES)
  }

  clear(): void {
    this.#lines = []
  }
}
