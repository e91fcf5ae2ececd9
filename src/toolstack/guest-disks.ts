// The disks of one guest: connected when it is built, plugged and unplugged while it runs, and closed
// when it ends, so that what it wrote is in the images.

import { UserError } from '../base/errors.ts'
import { BlockDevice } from '../backends/block/block-device.ts'
import type { DiskImage } from '../backends/block/disk-image.ts'
import type { DiskCounters } from '../backends/block/requests.ts'
import type { XenHost } from './xen-host.ts'

/** A disk that is open and not connected yet. */
export interface GuestDisk {
  /** Name and number of the virtual device. */
  readonly vdev: string
  readonly devid: number
  readonly image: DiskImage
  /** Where the image is, for people. */
  readonly source: string
  readonly isCdrom: boolean
  readonly hasDiscard: boolean
}

/** A connected disk, as `block-list` and the statistics show it. */
export interface DiskStatus {
  readonly vdev: string
  readonly devid: number
  readonly format: string
  readonly source: string
  /** In bytes. */
  readonly size: number
  readonly isReadOnly: boolean
  readonly isCdrom: boolean
  readonly isConnected: boolean
  readonly counters: Readonly<DiskCounters>
}

export class GuestDisks {
  readonly #host: XenHost
  readonly #domid: number
  readonly #onComplaint: (text: string) => void
  readonly #devices = new Map<number, { readonly disk: GuestDisk; readonly device: BlockDevice }>()

  constructor(host: XenHost, domid: number, onComplaint: (text: string) => void) {
    this.#host = host
    this.#domid = domid
    this.#onComplaint = onComplaint
  }

  /**
   * Shows the guest a disk. The image is closed with it.
   * @throws UserError if it has one of that name
   */
  attach(disk: GuestDisk): void {
    if (this.#devices.has(disk.devid)) {
      throw new UserError(
        `The disk ${disk.vdev} cannot be attached.`,
        'The guest has one of that name.',
        'Give another virtual device, or detach that one first.',
      )
    }
    const device = new BlockDevice({
      hypervisor: this.#host.hypervisor,
      xenstore: this.#host.xenstore,
      domid: this.#domid,
      wakeHost: this.#host.wake,
      onComplaint: this.#onComplaint,
      ...disk,
    })
    this.#devices.set(disk.devid, { disk, device })
  }

  /**
   * Asks the guest to give a disk back. Calls `onDetached` when it has.
   * @throws UserError if there is no such disk
   */
  detach(vdev: string, onDetached: () => void): void {
    const device = this.#deviceOf(vdev)
    device.detach(() => {
      this.#devices.delete(device.devid)
      onDetached()
    })
  }

  /**
   * Takes a disk away, whatever the guest does with it.
   * @throws UserError if there is no such disk
   */
  remove(vdev: string): void {
    const device = this.#deviceOf(vdev)
    this.#devices.delete(device.devid)
    device.close()
  }

  list(): DiskStatus[] {
    return [...this.#devices.values()].map(({ disk, device }) => ({
      vdev: disk.vdev,
      devid: disk.devid,
      format: disk.image.format,
      source: disk.source,
      size: disk.image.size,
      isReadOnly: disk.image.isReadOnly,
      isCdrom: disk.isCdrom,
      isConnected: device.isConnected,
      counters: device.counters,
    }))
  }

  /** The guest goes on after it was suspended. */
  renew(): void {
    for (const { device } of this.#devices.values()) device.renew()
  }

  /** The guest ends. */
  close(): void {
    for (const { device } of this.#devices.values()) device.close()
    this.#devices.clear()
  }

  #deviceOf(vdev: string): BlockDevice {
    for (const { device } of this.#devices.values()) if (device.vdev === vdev) return device
    const names = [...this.#devices.values()].map(({ disk }) => disk.vdev)
    throw new UserError(
      `There is no disk ${vdev}.`,
      names.length > 0 ? `There are ${names.join(', ')}.` : 'The guest has none.',
      'Give the name of its virtual device.',
    )
  }
}
