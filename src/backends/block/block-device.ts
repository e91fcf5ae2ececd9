// A disk of a guest, seen from its backend: the walk through the states of xenbus (public/io/blkif.h,
// "STATE DIAGRAMS"), the rings once the frontend has named them, and the end. A frontend that breaks
// the protocol is told off once and loses its device until it connects anew; others go on.

import {
  VDISK_CDROM,
  VDISK_READONLY,
  XenbusStateClosed,
  XenbusStateClosing,
  XenbusStateConnected,
  XenbusStateInitialised,
  XenbusStateInitialising,
  XenbusStateInitWait,
} from '../../xen/abi/blkif.ts'
import type { Width } from '../../xen/abi/structure.ts'
import type { Hypervisor } from '../../xen/hypervisor.ts'
import { bindGuestPort, type HostPage, mapGrantedPage } from '../../xen/host-services.ts'
import type { XenstoreClient } from '../xenstore/client.ts'
import { BlkifRing } from './blkif-ring.ts'
import {
  type BlockDeviceDescription,
  blockPaths,
  removeBlockTree,
  writeBlockTree,
} from './device-tree.ts'
import { type DiskImage, SECTOR } from './disk-image.ts'
import { GuestPages } from './guest-pages.ts'
import { MAX_QUEUES, MAX_RING_PAGE_ORDER, type QueueTerms, readTerms } from './negotiation.ts'
import { BlockQueue } from './queue.ts'
import { type DiskCounters, MAX_INDIRECT_SEGMENTS, Requests } from './requests.ts'

export interface BlockDeviceOptions {
  readonly hypervisor: Hypervisor
  readonly xenstore: XenstoreClient
  readonly domid: number
  /** Number and name of the virtual device. */
  readonly devid: number
  readonly vdev: string
  readonly image: DiskImage
  /** Where the image is, for people who look into xenstore. */
  readonly source: string
  readonly isCdrom?: boolean
  /** Offer discard, if the image can; true if not given. */
  readonly hasDiscard?: boolean
  /** Offer persistent grants; false if not given: copying costs the guest more than mapping us. */
  readonly hasPersistentGrants?: boolean
  /** Told once of a frontend that breaks the protocol, and once of an image that fails. */
  readonly onComplaint?: (text: string) => void
}

export class BlockDevice {
  readonly image: DiskImage
  readonly vdev: string
  readonly devid: number
  readonly counters: DiskCounters = {
    reads: 0,
    writes: 0,
    flushes: 0,
    discards: 0,
    readSectors: 0,
    writtenSectors: 0,
    errors: 0,
  }
  readonly #options: BlockDeviceOptions
  readonly #paths: ReturnType<typeof blockPaths>
  readonly #said = new Set<string>()
  readonly #endWatch: () => void
  #state = XenbusStateInitialising
  #queues: BlockQueue[] = []
  #pages: GuestPages | undefined
  #onDetached: (() => void) | undefined
  #isClosed = false

  /** Offers the device to the guest. The image is the device's from here on. */
  constructor(options: BlockDeviceOptions) {
    this.#options = options
    this.image = options.image
    this.vdev = options.vdev
    this.devid = options.devid
    this.#paths = blockPaths(options.domid, options.devid)
    writeBlockTree(options.xenstore, this.#description())
    this.#offer()
    this.#endWatch = options.xenstore.watch(`${this.#paths.front}/state`, () => this.#onState())
  }

  get isConnected(): boolean {
    return this.#state === XenbusStateConnected
  }

  /** Asks the guest to give the device back; `onDetached` is called when it has, and all is closed. */
  detach(onDetached: () => void): void {
    this.#onDetached = onDetached
    const { xenstore } = this.#options
    xenstore.transaction((t) => {
      t.write(`${this.#paths.back}/online`, '0')
      t.write(`${this.#paths.back}/state`, String(XenbusStateClosing))
    })
    this.#state = XenbusStateClosing
    this.#onState()
  }

  /** Takes the device from the guest, whatever it does with it: what was written is in the image. */
  close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#endWatch()
    this.#disconnect()
    removeBlockTree(this.#options.xenstore, this.#options.domid, this.devid)
    try {
      this.image.close()
    } catch (error) {
      this.#say('image', `the image cannot be closed: ${(error as Error).message}`)
    }
  }

  #description(): BlockDeviceDescription {
    const { domid, devid, vdev, image, source } = this.#options
    return {
      domid,
      devid,
      vdev,
      params: `${image.format}:${source}`,
      isReadOnly: image.isReadOnly,
      isCdrom: this.#options.isCdrom ?? false,
      hasDiscard: this.#hasDiscard,
    }
  }

  get #hasDiscard(): boolean {
    const { image, hasDiscard } = this.#options
    return (hasDiscard ?? true) && image.discardGranularity > 0 && !image.isReadOnly
  }

  /** Says what we can do, and waits for the frontend. */
  #offer(): void {
    const entries: Record<string, number> = {
      'max-ring-page-order': MAX_RING_PAGE_ORDER,
      'multi-queue-max-queues': MAX_QUEUES,
      'feature-persistent': this.#options.hasPersistentGrants ? 1 : 0,
      'feature-max-indirect-segments': MAX_INDIRECT_SEGMENTS,
      'feature-flush-cache': 1,
      'feature-barrier': 1,
      'feature-discard': this.#hasDiscard ? 1 : 0,
    }
    if (this.#hasDiscard) {
      entries['discard-granularity'] = this.image.discardGranularity
      entries['discard-alignment'] = 0
      entries['discard-secure'] = 0
    }
    this.#publish(entries, XenbusStateInitWait)
  }

  #onState(): void {
    if (this.#isClosed) return
    const state = Number(this.#options.xenstore.read(`${this.#paths.front}/state`))
    switch (state) {
      case XenbusStateInitialising:
        // No driver has taken the device up.
        if (this.#onDetached) return this.#hasClosed()
        // A frontend that starts again after it had closed: another kernel, or a driver reloaded.
        if (this.#state === XenbusStateClosed && this.#isOnline) this.#offer()
        return
      case XenbusStateInitialised:
      case XenbusStateConnected:
        if (this.#state === XenbusStateInitWait) this.#connect()
        return
      case XenbusStateClosing:
        this.#disconnect()
        this.#publish({}, XenbusStateClosing)
        return
      case XenbusStateClosed:
        this.#hasClosed()
        return
      default:
        // A frontend that never was there has nothing to give back.
        if (this.#onDetached) this.#hasClosed()
    }
  }

  get #isOnline(): boolean {
    return this.#options.xenstore.read(`${this.#paths.back}/online`) === '1'
  }

  #hasClosed(): void {
    this.#disconnect()
    this.#publish({}, XenbusStateClosed)
    const onDetached = this.#onDetached
    if (!onDetached) return
    this.#onDetached = undefined
    this.close()
    onDetached()
  }

  #connect(): void {
    const terms = readTerms(this.#options.xenstore, this.#paths.front)
    if (typeof terms === 'string') return this.#refuse(terms)
    const { hypervisor, domid, image } = this.#options
    const isPersistent = terms.isPersistent && (this.#options.hasPersistentGrants ?? false)
    this.#pages = new GuestPages(hypervisor, domid, isPersistent)
    const requests = new Requests({
      image,
      pages: this.#pages,
      counters: this.counters,
      onTrouble: (why) => this.#say('image', why),
    })
    for (const queue of terms.queues) {
      const bad = this.#openQueue(queue, terms.width, requests)
      if (bad !== undefined) return this.#refuse(bad)
    }
    const info = (this.#options.isCdrom ? VDISK_CDROM : 0) | (image.isReadOnly ? VDISK_READONLY : 0)
    const geometry = {
      sectors: image.size / SECTOR,
      info,
      'sector-size': SECTOR,
      'physical-sector-size': SECTOR,
    }
    this.#publish(geometry, XenbusStateConnected)
    for (const queue of this.#queues) queue.wake()
  }

  /** Maps a ring and binds its event channel; why not, if that cannot be. */
  #openQueue(terms: QueueTerms, width: Width, requests: Requests): string | undefined {
    const { hypervisor, domid } = this.#options
    const pages: HostPage[] = []
    for (const ref of terms.refs) {
      const page = mapGrantedPage(hypervisor, domid, ref)
      if (typeof page === 'number') {
        for (const held of pages) held.release()
        return `the page of its ring, grant ${ref}, is not granted`
      }
      pages.push(page)
    }
    const ring = new BlkifRing(pages, width)
    const queue = new BlockQueue(hypervisor, ring, requests, (why) => this.#refuse(why))
    this.#queues.push(queue)
    const channel = bindGuestPort(hypervisor, domid, terms.port, () => queue.wake())
    if (typeof channel === 'number') return `event channel ${terms.port} cannot be bound`
    queue.channel = channel
    return undefined
  }

  #disconnect(): void {
    for (const queue of this.#queues) queue.stop()
    this.#queues = []
    this.#pages?.release()
    this.#pages = undefined
  }

  #refuse(why: string): void {
    this.#disconnect()
    this.#say('protocol', `the frontend broke the protocol: ${why}`)
    this.#publish({}, XenbusStateClosing)
  }

  #say(kind: string, why: string): void {
    if (this.#said.has(kind)) return
    this.#said.add(kind)
    this.#options.onComplaint?.(`disk ${this.vdev}: ${why}`)
  }

  /** Writes entries of the backend, and the state that makes them hold. */
  #publish(entries: Readonly<Record<string, number>>, state: number): void {
    this.#state = state
    const { xenstore } = this.#options
    xenstore.transaction((t) => {
      for (const [key, value] of Object.entries(entries)) {
        t.write(`${this.#paths.back}/${key}`, String(value))
      }
      t.write(`${this.#paths.back}/state`, String(state))
    })
  }
}
