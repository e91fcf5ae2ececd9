// What the toolstack keeps in xenstore about a disk, besides what it keeps about every device: the
// entries of libxl 4.17 for a disk that is served in user space ("qdisk").

import { type DevicePaths, devicePaths, writeDeviceTree } from '../xenbus-tree.ts'
import type { XenstoreClient } from '../xenstore/client.ts'

export interface BlockDeviceDescription {
  readonly domid: number
  /** The number of the virtual device, as xen-vbd-interface(7) makes it from its name. */
  readonly devid: number
  /** The name of the virtual device, such as `xvda`. */
  readonly vdev: string
  /** `FORMAT:PATH`, for people who look. */
  readonly params: string
  readonly isReadOnly: boolean
  readonly isCdrom: boolean
  readonly hasDiscard: boolean
}

export function blockPaths(domid: number, devid: number): DevicePaths {
  return devicePaths(domid, devid, { front: 'vbd', back: 'qdisk' })
}

export function writeBlockTree(client: XenstoreClient, device: BlockDeviceDescription): void {
  const { domid, devid, isCdrom } = device
  const type = isCdrom ? 'cdrom' : 'disk'
  const back = {
    params: device.params,
    removable: isCdrom ? '1' : '0',
    bootable: '1',
    dev: device.vdev,
    type: 'qdisk',
    mode: device.isReadOnly ? 'r' : 'w',
    'device-type': type,
    'discard-enable': device.hasDiscard ? '1' : '0',
  }
  const front = { 'virtual-device': String(devid), 'device-type': type, trusted: '1' }
  writeDeviceTree(client, blockPaths(domid, devid), { front, back })
}
