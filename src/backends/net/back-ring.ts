// The backend's end of a shared ring of requests and responses (Xen's public io/ring.h). The guest
// writes the page as it likes: its index is read once for each look, one that no ring can have is
// refused, and a request is copied out before anybody looks at it.

import type { HostPage } from '../../xen/host-services.ts'
import { RING_ENTRIES, ring_head } from './netif.ts'

const REQ_PROD = ring_head.offsetOf('req_prod')
const REQ_EVENT = ring_head.offsetOf('req_event')
const RSP_PROD = ring_head.offsetOf('rsp_prod')
const RSP_EVENT = ring_head.offsetOf('rsp_event')

export class BackRing {
  readonly size: number
  readonly #page: HostPage
  readonly #entryBytes: number
  readonly #entry: DataView
  /** Free-running 32-bit indices: requests taken, responses put, responses shown. */
  #taken: number
  #put: number
  #shown: number

  /** A ring goes on where its responses are: a backend may be the second one of a frontend. */
  constructor(page: HostPage, entryBytes: number, size: number) {
    this.#page = page
    this.#entryBytes = entryBytes
    this.#entry = new DataView(new ArrayBuffer(entryBytes))
    this.size = size
    this.#taken = this.#put = this.#shown = page.get32(RSP_PROD)
  }

  /** Requests that wait; undefined if the guest's index is none that a ring can have. */
  get waiting(): number | undefined {
    const produced = this.#page.get32(REQ_PROD)
    if ((produced - this.#put) >>> 0 > this.size) return undefined
    return (produced - this.#taken) >>> 0
  }

  /**
   * A copy of the request that is `ahead` of the next one, which stays in the ring. The next look
   * overwrites it: a new one for each took a tenth of a transfer's time (`tools/bench network`).
   */
  peek(ahead = 0): DataView {
    const at = this.#place((this.#taken + ahead) >>> 0)
    for (let i = 0; i < this.#entryBytes; i += 4) {
      this.#entry.setUint32(i, this.#page.get32(at + i), true)
    }
    return this.#entry
  }

  /** Takes requests out that were looked at. */
  take(requests: number): void {
    this.#taken = (this.#taken + requests) >>> 0
  }

  /** Puts the next response; the guest sees it when it is shown. */
  put(response: Uint8Array): void {
    this.#page.write(this.#place(this.#put), response)
    this.#put = (this.#put + 1) >>> 0
  }

  /** Shows the guest the responses; whether it wants an event for them. */
  show(): boolean {
    const before = this.#shown
    this.#shown = this.#put
    this.#page.set32(RSP_PROD, this.#put)
    const wanted = this.#page.get32(RSP_EVENT)
    return (this.#put - wanted) >>> 0 < (this.#put - before) >>> 0
  }

  /** Asks the guest for an event when there are `more` requests than those that wait now. */
  askForEvent(more = 1): void {
    this.#page.set32(REQ_EVENT, (this.#page.get32(REQ_PROD) + more) >>> 0)
  }

  #place(index: number): number {
    return RING_ENTRIES + (index % this.size) * this.#entryBytes
  }
}
