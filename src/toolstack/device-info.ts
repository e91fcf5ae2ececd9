// What a host says of a domain's disks and network interfaces: the facts of libxl's diskinfo and
// nicinfo, which it reads in xenstore, and what the backends know besides. Plain data.

import { formatMac } from '../backends/net/mac.ts'
import type { VifCounters } from '../backends/net/vif.ts'
import { vifPaths } from '../backends/net/vif-tree.ts'
import { blockPaths } from '../backends/block/device-tree.ts'
import type { XenstoreClient } from '../backends/xenstore/client.ts'
import type { GuestDomain } from './guest-domain.ts'
import type { DiskStatus } from './guest-disks.ts'

interface DeviceInfo {
  /** XenbusState of the frontend; -1 if it says none. */
  readonly frontendState: number
  /** Of the guest; -1 with several queues, which have one each. */
  readonly eventChannel: number
  /** Where the backend's end is in xenstore. */
  readonly backendPath: string
}

export interface DiskInfo extends DeviceInfo, DiskStatus {
  /** Grant of the ring; -1 with several queues or pages. */
  readonly ringRef: number
}

export interface VifInfo extends DeviceInfo {
  readonly devid: number
  /** Of the host's end, such as vif1.0. */
  readonly name: string
  readonly mac: string
  readonly bridge: string
  /** XenbusState of the host's end: 4 is connected. */
  readonly state: number
  /** Queues in use; 0 while the guest has not connected. */
  readonly queues: number
  /** Grants of the rings; -1 with several queues. */
  readonly txRingRef: number
  readonly rxRingRef: number
  readonly counters: Readonly<VifCounters>
}

export function diskInfos(guest: GuestDomain): DiskInfo[] {
  return guest.disks.list().map((disk) => {
    const { front, back } = blockPaths(guest.domain.domid, disk.devid)
    const read = numbersOf(guest.xenstore, front)
    return {
      ...disk,
      frontendState: read('state'),
      eventChannel: read('event-channel'),
      ringRef: read('ring-ref'),
      backendPath: back,
    }
  })
}

export function vifInfos(guest: GuestDomain): VifInfo[] {
  const { domid } = guest.domain
  return guest.networks.all.map(({ vif, bridge }) => {
    const { devid, mac } = vif.description
    const { front, back } = vifPaths(domid, devid)
    const read = numbersOf(guest.xenstore, front)
    return {
      devid,
      name: vif.name,
      mac: formatMac(mac),
      bridge,
      queues: vif.queueCount,
      state: vif.state,
      frontendState: read('state'),
      eventChannel: read('event-channel'),
      txRingRef: read('tx-ring-ref'),
      rxRingRef: read('rx-ring-ref'),
      backendPath: back,
      counters: { ...vif.counters },
    }
  })
}

/** Reads the guest's own numbers, as libxl: what is none is -1. */
function numbersOf(store: XenstoreClient, path: string): (key: string) => number {
  return (key) => {
    const text = store.read(`${path}/${key}`) ?? ''
    return /^\d{1,10}$/.test(text) ? Number(text) : -1
  }
}
