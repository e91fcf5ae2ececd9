// Which address was last seen at which port of a switch. Entries age, and there is a bound on all
// of them and on those of one port, so that no guest can fill the table for the others.

const NS_PER_SECOND = 1e9
/** As in IEEE 802.1D, table 7-5. */
const AGEING_NS = 300 * NS_PER_SECOND
const MOST_ENTRIES = 8192
const MOST_OF_A_PORT = 1024

interface Entry<P> {
  port: P
  seenAt: number
}

export class MacTable<P> {
  readonly #entries = new Map<number, Entry<P>>()
  readonly #counts = new Map<P, number>()

  get size(): number {
    return this.#entries.size
  }

  /** The address was the sender of a frame. What does not fit is not learnt. */
  learn(mac: number, port: P, now: number): void {
    const known = this.#entries.get(mac)
    if (known?.port === port) {
      known.seenAt = now
      return
    }
    if (!this.#hasRoom(port, now)) return
    if (known) this.#count(known.port, -1)
    this.#entries.set(mac, { port, seenAt: now })
    this.#count(port, 1)
  }

  find(mac: number, now: number): P | undefined {
    const entry = this.#entries.get(mac)
    return entry && now - entry.seenAt < AGEING_NS ? entry.port : undefined
  }

  /** Forgets all that was seen at a port. */
  forget(port: P): void {
    this.#drop((entry) => entry.port === port)
  }

  #hasRoom(port: P, now: number): boolean {
    const isFull = () =>
      this.#entries.size >= MOST_ENTRIES || (this.#counts.get(port) ?? 0) >= MOST_OF_A_PORT
    if (!isFull()) return true
    this.#drop((entry) => now - entry.seenAt >= AGEING_NS)
    return !isFull()
  }

  #drop(isGone: (entry: Entry<P>) => boolean): void {
    for (const [mac, entry] of this.#entries) {
      if (!isGone(entry)) continue
      this.#entries.delete(mac)
      this.#count(entry.port, -1)
    }
  }

  #count(port: P, by: number): void {
    const count = (this.#counts.get(port) ?? 0) + by
    if (count === 0) this.#counts.delete(port)
    else this.#counts.set(port, count)
  }
}
