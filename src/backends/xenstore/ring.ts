// The ring transport: a guest's requests and the answers to it through a shared page.
// Follows public/io/xs_wire.h (xenstore_domain_interface) and docs/misc/xenstore-ring.txt. The
// guest writes the page as it likes: indices are read once and checked, and a guest whose ring is
// broken is told why in the page and not served until it connects anew, as xenstored 4.17 does. Of
// each thing that a guest does wrong the host is told once.

import { Layout } from '../../base/layout.ts'
import { type RingPage, ringFill } from '../ring-page.ts'
import type { Connection } from './connection.ts'
import { MessageReader, type MessageReaderState } from './message-reader.ts'

export const XENSTORE_RING_SIZE = 1024
export const XENSTORE_SERVER_FEATURE_RECONNECTION = 1
export const XENSTORE_SERVER_FEATURE_ERROR = 2
export const XENSTORE_CONNECTED = 0
export const XENSTORE_RECONNECT = 1
export const XENSTORE_ERROR_NONE = 0
export const XENSTORE_ERROR_RINGIDX = 2
export const XENSTORE_ERROR_PROTO = 3

export const xenstore_domain_interface = new Layout('xenstore_domain_interface', {
  req: { bytes: XENSTORE_RING_SIZE },
  rsp: { bytes: XENSTORE_RING_SIZE },
  req_cons: 'u32',
  req_prod: 'u32',
  rsp_cons: 'u32',
  rsp_prod: 'u32',
  server_features: 'u32',
  connection: 'u32',
  error: 'u32',
})

const REQ = xenstore_domain_interface.offsetOf('req')
const RSP = xenstore_domain_interface.offsetOf('rsp')

type Word = Exclude<Parameters<typeof xenstore_domain_interface.get>[2], 'req' | 'rsp'>

/** A ring transport as plain data; the indices live in the page. */
export interface RingState {
  readonly reader: MessageReaderState
  readonly isBroken: boolean
  /** What the host was told already. */
  readonly told: string[]
}

/** Told, once for each, what a guest did wrong: in words, and what that means for it. */
export type RingComplaint = (text: string) => void

export class XenstoreRing {
  readonly connection: Connection
  readonly #page: RingPage
  readonly #reader = new MessageReader()
  readonly #settle: () => void
  readonly #onComplaint: RingComplaint
  readonly #told = new Set<string>()
  #isBroken = false
  /** Its requests wait until it has read answers, or has memory again. */
  #isHeldBack = false
  /** The guest's event is being answered, and one event will tell it of everything. */
  #isAnswering = false

  /** `settle` is called after each request, so that its events reach all clients in order. */
  constructor(
    page: RingPage,
    connection: Connection,
    settle: () => void,
    onComplaint: RingComplaint = () => {},
  ) {
    this.#page = page
    this.connection = connection
    this.#settle = settle
    this.#onComplaint = onComplaint
  }

  /** Whether the guest broke the ring and is no longer served. */
  get isBroken(): boolean {
    return this.#isBroken
  }

  /**
   * Starts afresh: with an empty ring, no watches and no transactions, and says in the page what
   * this server can do. Also what a guest gets that asks to reconnect, as a crash kernel does.
   */
  restart(): void {
    this.#forget()
    this.#isBroken = false
    for (const index of ['req_cons', 'req_prod', 'rsp_cons', 'rsp_prod'] as const) {
      this.#set(index, 0)
    }
    const features = XENSTORE_SERVER_FEATURE_RECONNECTION | XENSTORE_SERVER_FEATURE_ERROR
    this.#set('server_features', features)
    this.#set('error', XENSTORE_ERROR_NONE)
    this.#set('connection', XENSTORE_CONNECTED)
  }

  /** The guest sent the event: it wrote requests, read answers, or wants to reconnect. */
  onEvent(): void {
    if (this.#isAnswering) return
    this.#isAnswering = true
    let isNews = this.#get('connection') === XENSTORE_RECONNECT
    if (isNews) this.restart()
    while (!this.#isBroken) {
      const sent = this.#sendAnswers()
      this.#isHeldBack = this.connection.isBackedUp
      const taken = this.#isHeldBack ? 0 : this.#takeRequest()
      if (sent + taken === 0) break
      isNews = true
    }
    this.#isAnswering = false
    if (isNews) this.#page.notify()
  }

  /** Writes what waits for the guest as far as there is room, and notifies it. */
  flush(): void {
    if (this.connection.output.dropped > 0) this.complain('events are lost: it does not read them')
    if (this.#isBroken || this.#isAnswering) return
    if (this.#sendAnswers() > 0) this.#page.notify()
  }

  /** Takes requests that were held back, if that is over; whether there was a reason to. */
  resume(): boolean {
    if (!this.#isHeldBack || this.connection.isBackedUp) return false
    this.onEvent()
    return true
  }

  /** Tells the user what the guest does wrong, once of each. */
  complain(text: string): void {
    if (this.#told.has(text)) return
    this.#told.add(text)
    this.#onComplaint(text)
  }

  save(): RingState {
    return { reader: this.#reader.save(), isBroken: this.#isBroken, told: [...this.#told] }
  }

  restore(state: RingState): void {
    this.#reader.restore(state.reader)
    this.#isBroken = state.isBroken
    this.#told.clear()
    for (const text of state.told) this.#told.add(text)
  }

  /** Takes at most one request off the ring; gives the number of bytes taken. */
  #takeRequest(): number {
    const consumer = this.#get('req_cons')
    const fill = ringFill(this.#get('req_prod'), consumer, XENSTORE_RING_SIZE)
    if (fill === undefined) return this.#break(XENSTORE_ERROR_RINGIDX, 'request')
    let taken = 0
    while (taken < fill) {
      const bytes = this.#copyOut(consumer + taken, Math.min(fill - taken, this.#reader.wanted))
      taken += bytes.length
      const request = this.#reader.accept(bytes)
      if (request === undefined) continue
      if (request === 'too-long') return this.#break(XENSTORE_ERROR_PROTO, 'request')
      this.#set('req_cons', consumer + taken)
      this.connection.receive(request)
      this.#settle()
      return taken
    }
    if (taken > 0) this.#set('req_cons', consumer + taken)
    return taken
  }

  /** Moves answers into the ring until it is full; gives the number of bytes moved. */
  #sendAnswers(): number {
    const { output } = this.connection
    const producer = this.#get('rsp_prod')
    const fill = ringFill(producer, this.#get('rsp_cons'), XENSTORE_RING_SIZE)
    if (fill === undefined) return this.#break(XENSTORE_ERROR_RINGIDX, 'answer')
    let sent = 0
    for (
      let bytes = output.peek();
      bytes && fill + sent < XENSTORE_RING_SIZE;
      bytes = output.peek()
    ) {
      const piece = bytes.subarray(0, XENSTORE_RING_SIZE - fill - sent)
      this.#copyIn(producer + sent, piece)
      output.take(piece.length)
      sent += piece.length
    }
    if (sent > 0) this.#set('rsp_prod', producer + sent)
    return sent
  }

  #copyOut(index: number, length: number): Uint8Array {
    const view = this.#page.page()
    const at = index & (XENSTORE_RING_SIZE - 1)
    const bytes = new Uint8Array(Math.min(length, XENSTORE_RING_SIZE - at))
    bytes.set(new Uint8Array(view.buffer, view.byteOffset + REQ + at, bytes.length))
    return bytes
  }

  #copyIn(index: number, bytes: Uint8Array): void {
    const view = this.#page.page()
    const ring = new Uint8Array(view.buffer, view.byteOffset + RSP, XENSTORE_RING_SIZE)
    const at = index & (XENSTORE_RING_SIZE - 1)
    const first = bytes.subarray(0, XENSTORE_RING_SIZE - at)
    ring.set(first, at)
    ring.set(bytes.subarray(first.length))
    this.#page.written(RSP + at, first.length)
    if (first.length < bytes.length) this.#page.written(RSP, bytes.length - first.length)
  }

  #get(field: Word): number {
    return xenstore_domain_interface.get(this.#page.page(), 0, field)
  }

  #set(field: Word, value: number): void {
    xenstore_domain_interface.set(this.#page.page(), 0, field, value >>> 0)
    this.#page.written(xenstore_domain_interface.offsetOf(field), 4)
  }

  #forget(): void {
    this.#reader.reset()
    this.connection.reset()
    this.connection.output.clear()
  }

  #break(error: number, ring: 'request' | 'answer'): 0 {
    const what =
      error === XENSTORE_ERROR_PROTO
        ? 'a request announces more than 4096 bytes'
        : `the indices of its ${ring} ring are those of no ring`
    this.complain(`${what}; it is not served until it connects anew`)
    this.#isBroken = true
    this.#forget()
    this.#set('error', error)
    this.#page.notify()
    return 0
  }
}
