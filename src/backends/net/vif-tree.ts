// What the toolstack keeps in xenstore about a network interface, besides what it keeps about every
// device: the entries of libxl 4.17. What the backend itself says there (features) is in vif.ts.

import { type DevicePaths, devicePaths, writeDeviceTree } from '../xenbus-tree.ts'
import type { XenstoreClient } from '../xenstore/client.ts'
import { formatMac } from './mac.ts'
import type { Rate } from './rate-limit.ts'

/** What the tree says about an interface. */
export interface VifDescription {
  readonly domid: number
  readonly devid: number
  readonly mac: number
  readonly bridge: string
  readonly vifname?: string | undefined
  readonly ip?: string | undefined
  readonly mtu?: number | undefined
  readonly rate?: Rate | undefined
  readonly isTrusted: boolean
}

export function vifPaths(domid: number, devid: number): DevicePaths {
  return devicePaths(domid, devid, { front: 'vif', back: 'vif' })
}

export function writeVifTree(store: XenstoreClient, vif: VifDescription): void {
  const { domid, devid } = vif
  const handle = String(devid)
  const mac = formatMac(vif.mac)
  const back = {
    script: '',
    ...(vif.vifname !== undefined && { vifname: vif.vifname }),
    mac,
    ...(vif.ip !== undefined && { ip: vif.ip }),
    ...(vif.rate && { rate: `${vif.rate.bytes},${vif.rate.intervalUs}` }),
    bridge: vif.bridge,
    handle,
    type: 'vif',
  }
  const front = {
    handle,
    mac,
    ...(vif.mtu !== undefined && { mtu: String(vif.mtu) }),
    trusted: vif.isTrusted ? '1' : '0',
  }
  writeDeviceTree(store, vifPaths(domid, devid), { front, back })
}
