// What the toolstack keeps in xenstore about a disk: the layout and the permissions of libxl 4.17 for
// a disk that is served in user space ("qdisk"), and where the two ends of the device are.

import type { XenstoreClient } from '../xenstore/client.ts'
import { domainPath } from '../xenstore/path.ts'
import { XenbusStateInitialising } from '../../xen/abi/xenbus.ts'

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

/** The paths of the two ends, and of libxl's own record. */
export function blockPaths(domid: number, devid: number) {
  return {
    front: `${domainPath(domid)}/device/vbd/${devid}`,
    back: `/local/domain/0/backend/qdisk/${domid}/${devid}`,
    libxl: `/libxl/${domid}/device/vbd/${devid}`,
  }
}

/** Writes both ends in their first state: the frontend's driver sees the device from here on. */
export function writeBlockTree(client: XenstoreClient, device: BlockDeviceDescription): void {
  const { domid, devid, isCdrom } = device
  const { front, back, libxl } = blockPaths(domid, devid)
  const state = String(XenbusStateInitialising)
  const type = isCdrom ? 'cdrom' : 'disk'
  const backEntries = {
    frontend: front,
    'frontend-id': String(domid),
    params: device.params,
    online: '1',
    removable: isCdrom ? '1' : '0',
    bootable: '1',
    state,
    dev: device.vdev,
    type: 'qdisk',
    mode: device.isReadOnly ? 'r' : 'w',
    'device-type': type,
    'discard-enable': device.hasDiscard ? '1' : '0',
  }
  const frontEntries = {
    backend: back,
    'backend-id': '0',
    state,
    'virtual-device': String(devid),
    'device-type': type,
    trusted: '1',
  }
  client.transaction((t) => {
    for (const path of [front, back, libxl]) {
      t.remove(path)
      t.makeNode(path)
    }
    t.setPermissions(front, { domid, access: 'n' }, { domid: 0, access: 'r' })
    t.setPermissions(back, { domid: 0, access: 'n' }, { domid, access: 'r' })
    t.setPermissions(libxl, { domid: 0, access: 'n' })
    for (const [key, value] of Object.entries(backEntries)) {
      t.write(`${back}/${key}`, value)
      t.write(`${libxl}/${key}`, value)
    }
    t.write(`${libxl}/backend`, back)
    for (const [key, value] of Object.entries(frontEntries)) t.write(`${front}/${key}`, value)
  })
}

/** Removes what {@link writeBlockTree} wrote, and what was put there since. */
export function removeBlockTree(client: XenstoreClient, domid: number, devid: number): void {
  const { front, back, libxl } = blockPaths(domid, devid)
  client.transaction((t) => {
    for (const path of [front, back, libxl]) t.remove(path)
    for (const path of [
      `/local/domain/0/backend/qdisk/${domid}`,
      `${domainPath(domid)}/device/vbd`,
    ])
      if (t.list(path)?.length === 0) t.remove(path)
  })
}
