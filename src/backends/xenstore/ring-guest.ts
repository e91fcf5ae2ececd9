// The guest's end of a xenstore ring, as a frontend driver plays it; for tests and for tools that
// stand in for a guest. Follows public/io/xs_wire.h.

import { MessageReader } from './message-reader.ts'
import { XENSTORE_RING_SIZE, xenstore_domain_interface } from './ring.ts'
import { encodeMessage, type Message } from './wire.ts'

/** The page as the guest reaches it. */
export interface GuestPage {
  read(offset: number, length: number): Uint8Array
  write(offset: number, bytes: Uint8Array): void
  /** Sends the event to the daemon. */
  notify(): void
}

type Index = 'req_cons' | 'req_prod' | 'rsp_cons' | 'rsp_prod' | 'error' | 'connection'

const REQ = xenstore_domain_interface.offsetOf('req')
const RSP = xenstore_domain_interface.offsetOf('rsp')

export class RingGuest {
  readonly #page: GuestPage
  readonly #reader = new MessageReader()
  #unsent = new Uint8Array()

  constructor(page: GuestPage) {
    this.#page = page
  }

  /** Bytes that have not found room in the ring yet. */
  get unsent(): number {
    return this.#unsent.length
  }

  get(field: Index): number {
    const bytes = this.#page.read(xenstore_domain_interface.offsetOf(field), 4)
    return new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true)
  }

  set(field: Index, value: number): void {
    const bytes = new Uint8Array(4)
    new DataView(bytes.buffer).setUint32(0, value >>> 0, true)
    this.#page.write(xenstore_domain_interface.offsetOf(field), bytes)
  }

  /** Puts a request behind those that wait, and sends what there is room for. */
  send(request: Message): void {
    const bytes = encodeMessage(request)
    const longer = new Uint8Array(this.#unsent.length + bytes.length)
    longer.set(this.#unsent)
    longer.set(bytes, this.#unsent.length)
    this.#unsent = longer
    this.push()
  }

  /** Sends what there is room for; whether anything moved. */
  push(): boolean {
    const producer = this.get('req_prod')
    const room = XENSTORE_RING_SIZE - ((producer - this.get('req_cons')) >>> 0)
    const bytes = this.#unsent.subarray(0, room)
    if (bytes.length === 0) return false
    const at = producer % XENSTORE_RING_SIZE
    const first = bytes.subarray(0, XENSTORE_RING_SIZE - at)
    this.#page.write(REQ + at, first)
    this.#page.write(REQ, bytes.subarray(first.length))
    this.set('req_prod', producer + bytes.length)
    this.#unsent = this.#unsent.slice(bytes.length)
    this.#page.notify()
    return true
  }

  /** Takes what the daemon has sent, and sends on being told so: the messages that are complete. */
  pull(): Message[] {
    const messages: Message[] = []
    let consumer = this.get('rsp_cons')
    for (let left = this.#available(consumer); left > 0; left = this.#available(consumer)) {
      while (left > 0) {
        const at = consumer % XENSTORE_RING_SIZE
        const there = Math.min(left, XENSTORE_RING_SIZE - at, this.#reader.wanted)
        const message = this.#reader.accept(this.#page.read(RSP + at, there))
        if (message === 'too-long') throw new RangeError('the daemon sent too long a message')
        if (message) messages.push(message)
        consumer = (consumer + there) >>> 0
        left -= there
      }
      this.set('rsp_cons', consumer)
      this.#page.notify()
    }
    return messages
  }

  #available(consumer: number): number {
    return (this.get('rsp_prod') - consumer) >>> 0
  }
}
