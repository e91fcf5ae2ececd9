// A network interface of a guest, as its backend: says in xenstore what it can do, connects with the
// frontend (as Linux's netback and netfront do), and passes frames on. It knows nothing of where
// frames go. Left out: the control ring, and hashes.

import type { TimerHandle } from '../../machine/timers.ts'
import type { Hypervisor } from '../../xen/hypervisor.ts'
import type { XenstoreClient } from '../xenstore/client.ts'
import { XenbusBackend, type XenbusEntries } from '../xenbus-backend.ts'
import { type DevicePaths, removeDeviceTree } from '../xenbus-tree.ts'
import { Connection } from './connection.ts'
import type { Frame } from './frame.ts'
import { readFrontendOffer, wantsMulticastControl } from './frontend-offer.ts'
import { BROADCAST, isGroup, macAt } from './mac.ts'
import type { Direction } from './pcapng.ts'
import { RateLimiter } from './rate-limit.ts'
import { type VifDescription, vifPaths, writeVifTree } from './vif-tree.ts'

/** As many multicast addresses as Linux's netback keeps for a guest. */
const MOST_MULTICAST = 64

const FEATURES: Readonly<Record<string, string>> = {
  'feature-sg': '1',
  'feature-gso-tcpv4': '1',
  'feature-gso-tcpv6': '1',
  'feature-ipv6-csum-offload': '1',
  'feature-rx-copy': '1',
  'feature-rx-flip': '0',
  'feature-multicast-control': '1',
  'feature-dynamic-multicast-control': '1',
  'feature-split-event-channels': '1',
  // What a hotplug script would say once the interface is plugged in.
  'hotplug-status': 'connected',
}

export interface VifOptions extends VifDescription {
  readonly hypervisor: Hypervisor
  readonly store: XenstoreClient
  readonly maxQueues: number
  /** Told what is wrong with the frontend: the first time of each kind. */
  readonly onComplaint: (text: string) => void
}

/** From the guest's point of view. */
export interface VifCounters {
  sentFrames: number
  sentBytes: number
  /** Packets that it could not send. */
  sentFailed: number
  receivedFrames: number
  receivedBytes: number
  /** Frames for which it had no room, or of which it gave a bad page. */
  receivedDropped: number
}

/** Called with each frame that passes: `in` comes from the guest. */
export type Tap = (frame: Frame, direction: Direction) => void

export class Vif {
  readonly name: string
  readonly description: VifDescription
  readonly counters: VifCounters = {
    sentFrames: 0,
    sentBytes: 0,
    sentFailed: 0,
    receivedFrames: 0,
    receivedBytes: 0,
    receivedDropped: 0,
  }
  /** Takes what the guest sends. */
  onFrame: (frame: Frame) => void = () => {}
  /** Told when little is waiting for the guest again. */
  onLow: () => void = () => {}
  readonly #options: VifOptions
  readonly #paths: DevicePaths
  readonly #taps = new Set<Tap>()
  readonly #multicast = new Set<number>()
  readonly #limiter: RateLimiter | undefined
  readonly #endWatch: () => void
  readonly #xenbus: XenbusBackend
  #connection: Connection | undefined
  #isFiltering = false
  #isDestroyed = false
  #creditTimer: TimerHandle | undefined

  constructor(options: VifOptions) {
    const { hypervisor, store, domid, devid, rate } = options
    this.#options = options
    this.description = options
    this.name = options.vifname ?? `vif${domid}.${devid}`
    this.#paths = vifPaths(domid, devid)
    this.#limiter = rate && new RateLimiter(rate, hypervisor.now())
    writeVifTree(store, options)
    this.#xenbus = new XenbusBackend({
      store,
      ...this.#paths,
      device: {
        offer: () => ({ ...FEATURES, 'multi-queue-max-queues': options.maxQueues }),
        connect: () => this.#connect(),
        // It may have put requests into its rings before anybody listened.
        connected: () => this.#connection?.transmit(),
        disconnect: () => this.#disconnect(),
      },
      onComplaint: (text) => options.onComplaint(`${this.name}: ${text}`),
    })
    this.#endWatch = store.watch(`${this.#paths.front}/request-multicast-control`, () => {
      this.#isFiltering = wantsMulticastControl(store, this.#paths.front)
    })
  }

  get isConnected(): boolean {
    return this.#connection !== undefined
  }

  /** Queues that the frontend has set up; 0 while it is not connected. */
  get queueCount(): number {
    return this.#connection?.queueCount ?? 0
  }

  /** XenbusState of the backend. */
  get state(): number {
    return this.#xenbus.state
  }

  /** Is so little waiting for the guest that whoever can hold frames back need not. */
  get isLow(): boolean {
    return this.#connection?.isLow ?? true
  }

  /** Shows `tap` every frame from now on; gives the function that ends it. */
  listen(tap: Tap): () => void {
    this.#taps.add(tap)
    return () => this.#taps.delete(tap)
  }

  /** A frame for the guest. */
  deliver(frame: Frame): void {
    if (!this.#connection) {
      this.counters.receivedDropped++
      return
    }
    const destination = macAt(frame.bytes, 0)
    const isMulticast = isGroup(destination) && destination !== BROADCAST
    if (this.#isFiltering && isMulticast && !this.#multicast.has(destination)) return
    for (const tap of this.#taps) tap(frame, 'out')
    this.#connection.deliver(frame)
  }

  /** Asks the guest to let go of the interface (unplugging); `onDetached` tells when it has. */
  detach(onDetached: () => void): void {
    this.#xenbus.detach(onDetached)
  }

  /** The guest has been suspended: what was between it and this end is gone, and is set up anew. */
  renew(): void {
    this.#xenbus.renew(() => writeVifTree(this.#options.store, this.#options))
  }

  /** Takes the interface away, whatever the guest is doing with it. */
  destroy(): void {
    if (this.#isDestroyed) return
    this.#isDestroyed = true
    this.#xenbus.end()
    this.#endWatch()
    this.#taps.clear()
    removeDeviceTree(this.#options.store, this.#paths)
  }

  #connect(): XenbusEntries | string {
    const { hypervisor, store, domid, maxQueues } = this.#options
    const offer = readFrontendOffer(store, this.#paths.front, maxQueues)
    if (typeof offer === 'string') return offer
    const opened = Connection.open(hypervisor, domid, offer, this.#host())
    if (typeof opened === 'string') return opened
    this.#connection = opened
    this.#isFiltering = offer.wantsMulticastControl
    return {}
  }

  #disconnect(): void {
    this.#connection?.close()
    this.#connection = undefined
    this.#multicast.clear()
    if (this.#creditTimer !== undefined) this.#options.hypervisor.timers.cancel(this.#creditTimer)
    this.#creditTimer = undefined
  }

  #host() {
    return {
      mayTransmit: (bytes: number) => this.#mayTransmit(bytes),
      transmit: (frame: Frame) => {
        this.counters.sentFrames++
        this.counters.sentBytes += frame.bytes.length
        for (const tap of this.#taps) tap(frame, 'in')
        this.onFrame(frame)
      },
      transmitFailed: (why: string) => {
        this.counters.sentFailed++
        this.#xenbus.complain('packet', `a packet of the guest was dropped: ${why}`)
      },
      received: (frame: Frame, isWhole: boolean) => {
        if (isWhole) {
          this.counters.receivedFrames++
          this.counters.receivedBytes += frame.bytes.length
        } else {
          this.counters.receivedDropped++
          this.#xenbus.complain(
            'page',
            'the guest gave a page to receive into that it did not grant',
          )
        }
        this.onLow()
      },
      receiveDropped: () => {
        this.counters.receivedDropped++
      },
      changeMulticast: (mac: number, isAdded: boolean) => this.#changeMulticast(mac, isAdded),
      violated: (why: string) => this.#xenbus.refuse(why),
    }
  }

  #mayTransmit(bytes: number): boolean {
    const { hypervisor } = this.#options
    const wait = this.#limiter?.take(bytes, hypervisor.now())
    if (wait === undefined) return true
    if (this.#creditTimer === undefined) {
      this.#creditTimer = hypervisor.timers.set(Math.ceil(wait), () => {
        this.#creditTimer = undefined
        this.#connection?.transmit()
      })
      hypervisor.deadlinesChanged()
    }
    return false
  }

  #changeMulticast(mac: number, isAdded: boolean): boolean {
    if (!isAdded) {
      this.#multicast.delete(mac)
      return true
    }
    if (this.#multicast.size >= MOST_MULTICAST && !this.#multicast.has(mac)) return false
    this.#multicast.add(mac)
    return true
  }
}
