// What a guest sends through one queue: takes packets off the ring, copies their pieces out of the
// pages that the guest granted, and answers. A packet is a request, extra information, and more
// requests (netif.h, "Guest transmit"). Requests are copied before they are checked.
//
// What a well-meaning frontend can do (a grant that has ended, a packet too short) fails that
// packet; what none does ends the interface, as Linux's netback has it.

import { type BackRing } from './back-ring.ts'
import { type Frame, type Gso, LEAST_FRAME_BYTES } from './frame.ts'
import {
  NETIF_RSP_ERROR,
  NETIF_RSP_NULL,
  NETIF_RSP_OKAY,
  NETTXF_csum_blank,
  NETTXF_data_validated,
  NETTXF_extra_info,
  NETTXF_more_data,
  netif_extra_gso,
  netif_extra_mcast,
  netif_tx_request,
  netif_tx_response,
  XEN_NETIF_EXTRA_FLAG_MORE,
  XEN_NETIF_EXTRA_TYPE_GSO,
  XEN_NETIF_EXTRA_TYPE_MAX,
  XEN_NETIF_EXTRA_TYPE_MCAST_ADD,
  XEN_NETIF_EXTRA_TYPE_MCAST_DEL,
  XEN_NETIF_EXTRA_TYPE_NONE,
  XEN_NETIF_GSO_TYPE_TCPV4,
  XEN_NETIF_GSO_TYPE_TCPV6,
  XEN_NETIF_NR_SLOTS_MIN,
} from './netif.ts'
import { ipHeaders } from './headers.ts'
import { macAt } from './mac.ts'
import { isSegmentable } from './segment.ts'

const PAGE = 4096
const GREF = netif_tx_request.offsetOf('gref')
const OFFSET = netif_tx_request.offsetOf('offset')
const FLAGS = netif_tx_request.offsetOf('flags')
const ID = netif_tx_request.offsetOf('id')
const SIZE = netif_tx_request.offsetOf('size')
const ANSWER_ID = netif_tx_response.offsetOf('id')
const ANSWER_STATUS = netif_tx_response.offsetOf('status')
/** A packet of more slots than this is no mistake any more (Linux's fatal_skb_slots). */
const MOST_SLOTS = 20

/** What a queue needs of its interface. */
export interface TransmitHost {
  /** Copies out of a page that the guest granted; false if it did not grant that. */
  copyFrom(ref: number, offset: number, into: Uint8Array): boolean
  /** May a packet of so many bytes be sent now; otherwise the queue is run again when it may. */
  mayTransmit(bytes: number): boolean
  /** A frame of the guest. */
  transmit(frame: Frame): void
  /** Adds a multicast address to what the guest wants to hear, or removes it; false if it cannot. */
  changeMulticast(mac: number, isAdded: boolean): boolean
  /** A packet that could not be sent. */
  transmitFailed(why: string): void
  /** The guest breaks the protocol: nothing can be made of its ring any more. */
  violated(why: string): void
  notify(): void
}

interface Request {
  readonly gref: number
  readonly offset: number
  readonly flags: number
  readonly id: number
  readonly size: number
}

interface Packet {
  readonly first: Request
  readonly more: readonly Request[]
  readonly extras: number
  readonly gso: Gso | undefined
  readonly multicast: { readonly mac: number; readonly isAdded: boolean } | undefined
}

export class TransmitQueue {
  readonly #ring: BackRing
  readonly #host: TransmitHost
  readonly #answerBytes = new Uint8Array(netif_tx_response.size)
  readonly #answerView = new DataView(this.#answerBytes.buffer)

  constructor(ring: BackRing, host: TransmitHost) {
    this.#ring = ring
    this.#host = host
  }

  /** Sends what the guest has put into the ring: a ring full of packets at most. */
  run(): void {
    const ring = this.#ring
    for (let done = 0; done < ring.size; done++) {
      const { waiting } = ring
      if (waiting === undefined) return this.#host.violated('impossible index of requests')
      if (waiting === 0) break
      const packet = this.#read(waiting)
      if (typeof packet === 'string') return this.#host.violated(packet)
      if (!this.#host.mayTransmit(packet.first.size)) break
      ring.take(1 + packet.extras + packet.more.length)
      this.#answer(packet, this.#send(packet))
    }
    ring.askForEvent()
    if (ring.show()) this.#host.notify()
  }

  /** The packet at the front of the ring, still in it; or what is wrong with it. */
  #read(waiting: number): Packet | string {
    const first = this.#request(0)
    let at = 1
    let gso: Gso | undefined
    let multicast: Packet['multicast']
    for (let hasMore = (first.flags & NETTXF_extra_info) !== 0; hasMore; at++) {
      if (at >= waiting) return 'extra information is announced and missing'
      const view = this.#ring.peek(at)
      const type = netif_extra_gso.get(view, 0, 'type')
      if (type === XEN_NETIF_EXTRA_TYPE_NONE || type >= XEN_NETIF_EXTRA_TYPE_MAX) {
        return `extra information of unknown type ${type}`
      }
      if (type === XEN_NETIF_EXTRA_TYPE_GSO) {
        gso = gsoOf(view)
        if (!gso) return 'segmentation that was not offered'
      }
      if (type === XEN_NETIF_EXTRA_TYPE_MCAST_ADD || type === XEN_NETIF_EXTRA_TYPE_MCAST_DEL) {
        const mac = macAt(netif_extra_mcast.get(view, 0, 'addr'), 0)
        multicast = { mac, isAdded: type === XEN_NETIF_EXTRA_TYPE_MCAST_ADD }
      }
      hasMore = (netif_extra_gso.get(view, 0, 'flags') & XEN_NETIF_EXTRA_FLAG_MORE) !== 0
    }
    const extras = at - 1
    const more: Request[] = []
    // A change of the multicast list is no packet: it has no data.
    let hasMore = !multicast && (first.flags & NETTXF_more_data) !== 0
    while (hasMore) {
      if (at >= waiting) return 'a packet is longer than the requests that there are'
      if (more.length + 1 >= MOST_SLOTS) return 'a packet of too many requests'
      const request = this.#request(at++)
      if (request.offset + request.size > PAGE) return 'a request crosses the end of its page'
      more.push(request)
      hasMore = (request.flags & NETTXF_more_data) !== 0
    }
    return { first, more, extras, gso, multicast }
  }

  #request(ahead: number): Request {
    const view = this.#ring.peek(ahead)
    return {
      gref: view.getUint32(GREF, true),
      offset: view.getUint16(OFFSET, true),
      flags: view.getUint16(FLAGS, true),
      id: view.getUint16(ID, true),
      size: view.getUint16(SIZE, true),
    }
  }

  /** Sends a packet; its status. */
  #send({ first, more, gso, multicast }: Packet): number {
    if (multicast) {
      return this.#host.changeMulticast(multicast.mac, multicast.isAdded)
        ? NETIF_RSP_OKAY
        : NETIF_RSP_ERROR
    }
    // The first request gives the size of the whole packet.
    const rest = more.reduce((sum, { size }) => sum + size, 0)
    const head = first.size - rest
    if (first.size < LEAST_FRAME_BYTES) return this.#failed('a packet without a whole header')
    if (head < 0) return this.#failed('a packet smaller than its parts')
    if (first.offset + head > PAGE) return this.#failed('a request crosses the end of its page')
    if (more.length + 1 > XEN_NETIF_NR_SLOTS_MIN) return this.#failed('a packet of too many parts')
    const bytes = new Uint8Array(first.size)
    let at = 0
    for (const [i, { gref, offset, size }] of [first, ...more].entries()) {
      const length = i === 0 ? head : size
      if (!this.#host.copyFrom(gref, offset, bytes.subarray(at, at + length))) {
        return this.#failed(`grant ${gref} cannot be copied from`)
      }
      at += length
    }
    const isBlank = (first.flags & NETTXF_csum_blank) !== 0 || gso !== undefined
    const isValidated = isBlank || (first.flags & NETTXF_data_validated) !== 0
    const frame: Frame = { bytes, isBlank, isValidated, gso }
    if (gso && !isSegmentable(frame)) return this.#failed('a large packet that cannot be cut up')
    if (isBlank && ipHeaders(bytes)?.payload === undefined) {
      return this.#failed('a checksum is asked for where there is none')
    }
    this.#host.transmit(frame)
    return NETIF_RSP_OKAY
  }

  #failed(why: string): number {
    this.#host.transmitFailed(why)
    return NETIF_RSP_ERROR
  }

  /** Answers each slot in its place. */
  #answer({ first, more, extras }: Packet, status: number): void {
    this.#put(first.id, status)
    for (let i = 0; i < extras; i++) this.#put(0, NETIF_RSP_NULL)
    for (const { id } of more) this.#put(id, status)
  }

  #put(id: number, status: number): void {
    this.#answerView.setUint16(ANSWER_ID, id, true)
    this.#answerView.setInt16(ANSWER_STATUS, status, true)
    this.#ring.put(this.#answerBytes)
  }
}

function gsoOf(view: DataView): Gso | undefined {
  const size = netif_extra_gso.get(view, 0, 'size')
  const type = netif_extra_gso.get(view, 0, 'gso_type')
  if (size === 0) return undefined
  if (type === XEN_NETIF_GSO_TYPE_TCPV4) return { type: 'tcpv4', size }
  return type === XEN_NETIF_GSO_TYPE_TCPV6 ? { type: 'tcpv6', size } : undefined
}
