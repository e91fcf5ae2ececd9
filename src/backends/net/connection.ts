// A connected frontend: its queues, mapped and bound, from the moment both ends are connected until
// one of them lets go. Frames are fitted to what the guest can take before they are queued.

import {
  bindGuestPort,
  copyFromGrant,
  copyToGrant,
  type HostChannel,
  type HostPage,
  mapGrantedPage,
} from '../../xen/host-services.ts'
import type { Hypervisor } from '../../xen/hypervisor.ts'
import { BackRing } from './back-ring.ts'
import { withChecksum } from './checksum.ts'
import { flowHash } from './flow-hash.ts'
import type { Frame } from './frame.ts'
import type { FrontendOffer, QueueOffer } from './frontend-offer.ts'
import { ipHeaders } from './headers.ts'
import { NET_RING_SIZE, RX_ENTRY_BYTES, TX_ENTRY_BYTES } from './netif.ts'
import { ReceiveQueue } from './receive.ts'
import { segments } from './segment.ts'
import { type TransmitHost, TransmitQueue } from './transmit.ts'

const PAGE = 4096

/** What a connection needs of its interface. */
export type ConnectionHost = Pick<
  TransmitHost,
  'mayTransmit' | 'transmit' | 'changeMulticast' | 'transmitFailed' | 'violated'
> & { received(frame: Frame, isWhole: boolean): void; receiveDropped(): void }

interface Queue {
  readonly transmit: TransmitQueue
  readonly receive: ReceiveQueue
}

export class Connection {
  readonly #hypervisor: Hypervisor
  readonly #domid: number
  readonly #host: ConnectionHost
  readonly #offer: FrontendOffer
  readonly #queues: Queue[] = []
  readonly #pages: HostPage[] = []
  readonly #channels: HostChannel[] = []
  #isOpen = true

  private constructor(
    hypervisor: Hypervisor,
    domid: number,
    offer: FrontendOffer,
    host: ConnectionHost,
  ) {
    this.#hypervisor = hypervisor
    this.#domid = domid
    this.#offer = offer
    this.#host = host
  }

  /** Maps and binds what the frontend offers; or says what could not be. */
  static open(
    hypervisor: Hypervisor,
    domid: number,
    offer: FrontendOffer,
    host: ConnectionHost,
  ): Connection | string {
    const connection = new Connection(hypervisor, domid, offer, host)
    for (const queue of offer.queues) {
      const failure = connection.#add(queue)
      if (failure === undefined) continue
      connection.close()
      return failure
    }
    return connection
  }

  get queueCount(): number {
    return this.#queues.length
  }

  /** Is so little waiting for the guest that whoever can hold frames back need not. */
  get isLow(): boolean {
    return this.#queues.every(({ receive }) => receive.isLow)
  }

  /** A frame for the guest. */
  deliver(frame: Frame): void {
    const queue =
      this.#queues[this.#queues.length > 1 ? flowHash(frame.bytes) % this.#queues.length : 0]
    if (!queue) return
    for (const fit of this.#fitted(frame)) {
      // Without scatter-gather a frame has to fit one page.
      const isTooLong = !this.#offer.canScatter && fit.bytes.length > PAGE
      if (isTooLong || !queue.receive.add(fit)) this.#host.receiveDropped()
    }
    if (this.#isOpen) queue.receive.run()
  }

  /** Looks at what the guest wants to send: there is credit again. */
  transmit(): void {
    for (const { transmit } of this.#queues) if (this.#isOpen) transmit.run()
  }

  /** Gives everything back; a second time does nothing. */
  close(): void {
    this.#isOpen = false
    for (const channel of this.#channels.splice(0)) channel.close()
    for (const page of this.#pages.splice(0)) page.release()
  }

  #add(offer: QueueOffer): string | undefined {
    const tx = this.#map(offer.txRing, TX_ENTRY_BYTES)
    if (typeof tx === 'string') return tx
    const rx = this.#map(offer.rxRing, RX_ENTRY_BYTES)
    if (typeof rx === 'string') return rx
    const channels: { tx?: HostChannel; rx?: HostChannel } = {}
    const violated = (why: string) => this.#host.violated(why)
    const transmit = new TransmitQueue(tx, {
      ...this.#host,
      violated,
      copyFrom: (ref, offset, into) =>
        copyFromGrant(this.#hypervisor, this.#domid, ref, offset, into),
      notify: () => channels.tx?.notify(),
    })
    const receive = new ReceiveQueue(rx, {
      copyTo: (ref, offset, from) => copyToGrant(this.#hypervisor, this.#domid, ref, offset, from),
      received: (frame, isWhole) => this.#host.received(frame, isWhole),
      violated,
      notify: () => channels.rx?.notify(),
    })
    const onTransmit = () => this.#isOpen && transmit.run()
    const onReceive = () => this.#isOpen && receive.run()
    const isSplit = offer.txPort !== offer.rxPort
    const onEvent = () => {
      onTransmit()
      if (!isSplit) onReceive()
    }
    const txChannel = this.#bind(offer.txPort, onEvent)
    if (typeof txChannel === 'string') return txChannel
    const rxChannel = isSplit ? this.#bind(offer.rxPort, onReceive) : txChannel
    if (typeof rxChannel === 'string') return rxChannel
    channels.tx = txChannel
    channels.rx = rxChannel
    this.#queues.push({ transmit, receive })
    return undefined
  }

  #map(ref: number, entryBytes: number): BackRing | string {
    const page = mapGrantedPage(this.#hypervisor, this.#domid, ref)
    if (typeof page === 'number') return `grant ${ref} of a ring cannot be mapped (${page})`
    this.#pages.push(page)
    return new BackRing(page, entryBytes, NET_RING_SIZE)
  }

  #bind(port: number, onEvent: () => void): HostChannel | string {
    const channel = bindGuestPort(this.#hypervisor, this.#domid, port, onEvent, true)
    if (typeof channel === 'number') return `event channel ${port} cannot be bound to (${channel})`
    this.#channels.push(channel)
    return channel
  }

  /** What the guest can take, made of a frame. */
  #fitted(frame: Frame): readonly Frame[] {
    if (!frame.isBlank && !frame.gso) return [frame]
    const { canScatter, canGsoV4, canGsoV6, canBlankV4, canBlankV6 } = this.#offer
    const isV4 = ipHeaders(frame.bytes)?.version === 4
    const canBlank = isV4 ? canBlankV4 : canBlankV6
    if (!frame.gso) return canBlank ? [frame] : [withChecksum(frame)]
    const canGso = canScatter && (isV4 ? canGsoV4 : canGsoV6)
    return canGso && canBlank ? [frame] : segments(frame)
  }
}
