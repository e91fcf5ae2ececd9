// A disk of a guest, seen from its backend (public/io/blkif.h): what it offers, the rings once the
// frontend has named them, and the end. A frontend that breaks the protocol is told off once and
// loses its device until it connects anew; others go on.

import { VDISK_CDROM, VDISK_READONLY } from '../../xen/abi/blkif.ts'
import type { Width } from '../../xen/abi/structure.ts'
import type { Hypervisor } from '../../xen/hypervisor.ts'
import { bindGuestPort, type HostPage, mapGrantedPage } from '../../xen/host-services.ts'
import { XenbusBackend, type XenbusEntries } from '../xenbus-backend.ts'
import { removeDeviceTree } from '../xenbus-tree.ts'
import type { XenstoreClient } from '../xenstore/client.ts'
import { BlkifRing } from './blkif-ring.ts'
import { type BlockDeviceDescription, blockPaths, writeBlockTree } from './device-tree.ts'
import { type DiskImage, SECTOR } from './disk-image.ts'
import { Flusher } from './flusher.ts'
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
  /**
   * Makes a host go on that has nothing to do. If it is given nobody waits for the disk's flushes;
   * it is not where time is virtual.
   */
  readonly wakeHost?: (() => void) | undefined
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
  readonly #xenbus: XenbusBackend
  readonly #flusher: Flusher
  #queues: BlockQueue[] = []
  #pages: GuestPages | undefined
  #isClosed = false

  /** Offers the device to the guest. The image is the device's from here on. */
  constructor(options: BlockDeviceOptions) {
    this.#options = options
    this.image = options.image
    this.vdev = options.vdev
    this.devid = options.devid
    this.#paths = blockPaths(options.domid, options.devid)
    const { wakeHost } = options
    const onIdle = () => {
      this.#wakeQueues()
      wakeHost?.()
    }
    this.#flusher = new Flusher(options.image, wakeHost && onIdle)
    writeBlockTree(options.xenstore, this.#description())
    this.#xenbus = new XenbusBackend({
      store: options.xenstore,
      ...this.#paths,
      device: {
        offer: () => this.#offer(),
        connect: () => this.#connect(),
        connected: () => this.#wakeQueues(),
        disconnect: () => this.#disconnect(),
      },
      onComplaint: (text) => options.onComplaint?.(`disk ${this.vdev}: ${text}`),
    })
  }

  get isConnected(): boolean {
    return this.#xenbus.isConnected
  }

  /** Asks the guest to give the device back; `onDetached` is called when it has, and all is closed. */
  detach(onDetached: () => void): void {
    this.#xenbus.detach(() => {
      this.close()
      onDetached()
    })
  }

  /** The guest has been suspended: what was between it and this end is gone, and is set up anew. */
  renew(): void {
    this.#xenbus.renew(() => writeBlockTree(this.#options.xenstore, this.#description()))
  }

  /** Takes the device from the guest, whatever it does with it: what was written is in the image. */
  close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#xenbus.end()
    removeDeviceTree(this.#options.xenstore, this.#paths)
    try {
      this.image.close()
    } catch (error) {
      this.#xenbus.complain('image', `the image cannot be closed: ${(error as Error).message}`)
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

  /** What we can do. */
  #offer(): XenbusEntries {
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
    return entries
  }

  #connect(): XenbusEntries | string {
    const terms = readTerms(this.#options.xenstore, this.#paths.front)
    if (typeof terms === 'string') return terms
    const { hypervisor, domid, image } = this.#options
    const isPersistent = terms.isPersistent && (this.#options.hasPersistentGrants ?? false)
    this.#pages = new GuestPages(hypervisor, domid, isPersistent)
    const requests = new Requests({
      image,
      flusher: this.#flusher,
      pages: this.#pages,
      counters: this.counters,
      onTrouble: (why) => this.#xenbus.complain('image', why),
    })
    for (const queue of terms.queues) {
      const bad = this.#openQueue(queue, terms.width, requests)
      if (bad !== undefined) return bad
    }
    const info = (this.#options.isCdrom ? VDISK_CDROM : 0) | (image.isReadOnly ? VDISK_READONLY : 0)
    return {
      sectors: image.size / SECTOR,
      info,
      'sector-size': SECTOR,
      'physical-sector-size': SECTOR,
    }
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
    const queue = new BlockQueue(hypervisor, ring, requests, (why) => this.#xenbus.refuse(why))
    this.#queues.push(queue)
    const channel = bindGuestPort(hypervisor, domid, terms.port, () => queue.wake(), true)
    if (typeof channel === 'number') return `event channel ${terms.port} cannot be bound`
    queue.channel = channel
    return undefined
  }

  #wakeQueues(): void {
    for (const queue of this.#queues) queue.wake()
  }

  #disconnect(): void {
    for (const queue of this.#queues) queue.stop()
    this.#queues = []
    this.#pages?.release()
    this.#pages = undefined
  }
}
