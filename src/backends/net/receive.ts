// What a guest receives through one queue: frames wait, within a bound, until the guest has put
// enough pages into the ring, and are copied there. A frame takes a request for each page, and one
// for how it is to be cut up (netif.h, "Guest receive"); each answer stands in its request's slot.

import type { BackRing } from './back-ring.ts'
import type { Frame } from './frame.ts'
import {
  NETIF_RSP_ERROR,
  NETRXF_csum_blank,
  NETRXF_data_validated,
  NETRXF_extra_info,
  NETRXF_more_data,
  netif_extra_gso,
  netif_rx_request,
  netif_rx_response,
  XEN_NETIF_EXTRA_TYPE_GSO,
  XEN_NETIF_GSO_TYPE_TCPV4,
  XEN_NETIF_GSO_TYPE_TCPV6,
} from './netif.ts'

const PAGE = 4096
const REQUEST_ID = netif_rx_request.offsetOf('id')
const REQUEST_GREF = netif_rx_request.offsetOf('gref')
const ANSWER_ID = netif_rx_response.offsetOf('id')
const ANSWER_FLAGS = netif_rx_response.offsetOf('flags')
const ANSWER_STATUS = netif_rx_response.offsetOf('status')
/** What may wait for a guest that does not take it. */
const MOST_BYTES = 4 * 2 ** 20
const MOST_FRAMES = 4096
/** What one frame costs besides its bytes, so that small ones cannot take more than large ones. */
const FRAME_OVERHEAD = 128

/** What a queue needs of its interface. */
export interface ReceiveHost {
  /** Copies into a page that the guest granted; false if it did not grant that. */
  copyTo(ref: number, offset: number, from: Uint8Array): boolean
  /** A frame is in the guest's pages; `isWhole` is false if a page was not to be had. */
  received(frame: Frame, isWhole: boolean): void
  /** The guest breaks the protocol: nothing can be made of its ring any more. */
  violated(why: string): void
  notify(): void
}

export class ReceiveQueue {
  readonly #ring: BackRing
  readonly #host: ReceiveHost
  readonly #answerBytes = new Uint8Array(netif_rx_response.size)
  readonly #answerView = new DataView(this.#answerBytes.buffer)
  #frames: Frame[] = []
  /** Frames at the front of the array that have gone. */
  #gone = 0
  #bytes = 0

  constructor(ring: BackRing, host: ReceiveHost) {
    this.#ring = ring
    this.#host = host
  }

  /** Is so little waiting that whoever can hold frames back need not. */
  get isLow(): boolean {
    return this.#bytes < MOST_BYTES / 4
  }

  /** Takes a frame; false if there is no room for it. */
  add(frame: Frame): boolean {
    const bytes = frame.bytes.length + FRAME_OVERHEAD
    if (this.#bytes + bytes > MOST_BYTES || this.#frames.length - this.#gone >= MOST_FRAMES) {
      return false
    }
    this.#frames.push(frame)
    this.#bytes += bytes
    return true
  }

  /** Hands the guest as many frames as it has room for. */
  run(): void {
    let hasPut = false
    for (;;) {
      const frame = this.#frames[this.#gone]
      if (!frame) break
      const { waiting } = this.#ring
      if (waiting === undefined) return this.#host.violated('impossible index of requests')
      const slots = slotsOf(frame)
      if (waiting < slots) {
        this.#ring.askForEvent()
        break
      }
      this.#hand(frame)
      this.#forget(frame)
      hasPut = true
    }
    if (hasPut && this.#ring.show()) this.#host.notify()
  }

  #hand(frame: Frame): void {
    const { bytes, gso } = frame
    let isWhole = true
    for (let at = 0, piece = 0; at < bytes.length; at += PAGE, piece++) {
      const request = this.#ring.peek()
      const id = request.getUint16(REQUEST_ID, true)
      const gref = request.getUint32(REQUEST_GREF, true)
      this.#ring.take(1)
      const part = bytes.subarray(at, at + PAGE)
      const isCopied = this.#host.copyTo(gref, 0, part)
      if (!isCopied) isWhole = false
      const flags =
        (at + PAGE < bytes.length ? NETRXF_more_data : 0) | (piece === 0 ? firstFlags(frame) : 0)
      // The data is at the start of its page: the offset stays 0.
      this.#answerView.setUint16(ANSWER_ID, id, true)
      this.#answerView.setUint16(ANSWER_FLAGS, flags, true)
      this.#answerView.setInt16(ANSWER_STATUS, isCopied ? part.length : NETIF_RSP_ERROR, true)
      this.#ring.put(this.#answerBytes)
      if (piece === 0 && gso) {
        this.#ring.take(1)
        this.#ring.put(extraOf(gso))
      }
    }
    this.#host.received(frame, isWhole)
  }

  #forget(frame: Frame): void {
    this.#bytes -= frame.bytes.length + FRAME_OVERHEAD
    this.#gone++
    // Not shift(): it would move what waits at every frame.
    if (this.#gone < 256 && this.#gone < this.#frames.length) return
    this.#frames = this.#frames.slice(this.#gone)
    this.#gone = 0
  }
}

function slotsOf({ bytes, gso }: Frame): number {
  return Math.ceil(bytes.length / PAGE) + (gso ? 1 : 0)
}

function firstFlags({ isBlank, isValidated, gso }: Frame): number {
  return (
    (isBlank ? NETRXF_csum_blank : 0) |
    (isBlank || isValidated ? NETRXF_data_validated : 0) |
    (gso ? NETRXF_extra_info : 0)
  )
}

function extraOf({ type, size }: NonNullable<Frame['gso']>): Uint8Array {
  return netif_extra_gso.encode({
    type: XEN_NETIF_EXTRA_TYPE_GSO,
    size,
    gso_type: type === 'tcpv4' ? XEN_NETIF_GSO_TYPE_TCPV4 : XEN_NETIF_GSO_TYPE_TCPV6,
  })
}
