// What the toolstack keeps in xenstore about a network interface: both ends' folders, as libxl 4.17
// lays them out. What the backend itself says there (features, its state) is in vif.ts.

import { XenbusStateInitialising } from '../../xen/abi/xenbus.ts'
import type { XenstoreClient, XenstoreView } from '../xenstore/client.ts'
import { domainPath } from '../xenstore/path.ts'
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

export function frontendPath(domid: number, devid: number): string {
  return `${domainPath(domid)}/device/vif/${devid}`
}

export function backendPath(domid: number, devid: number): string {
  return `${domainPath(0)}/backend/vif/${domid}/${devid}`
}

function libxlPath(domid: number, devid: number): string {
  return `/libxl/${domid}/device/vif/${devid}`
}

/** Writes both folders, and libxl's own; the frontend's last, as the guest watches for it. */
export function writeVifTree(store: XenstoreClient, vif: VifDescription): void {
  const { domid, devid } = vif
  const front = frontendPath(domid, devid)
  const back = backendPath(domid, devid)
  const state = String(XenbusStateInitialising)
  const backEntries = {
    frontend: front,
    'frontend-id': String(domid),
    online: '1',
    state,
    script: '',
    ...(vif.vifname !== undefined && { vifname: vif.vifname }),
    mac: formatMac(vif.mac),
    ...(vif.ip !== undefined && { ip: vif.ip }),
    ...(vif.rate && { rate: `${vif.rate.bytes},${vif.rate.intervalUs}` }),
    bridge: vif.bridge,
    handle: String(devid),
    type: 'vif',
  }
  const frontEntries = {
    backend: back,
    'backend-id': '0',
    state,
    handle: String(devid),
    mac: formatMac(vif.mac),
    ...(vif.mtu !== undefined && { mtu: String(vif.mtu) }),
    trusted: vif.isTrusted ? '1' : '0',
  }
  store.transaction((t) => {
    folder(t, libxlPath(domid, devid), 0)
    t.write(`${libxlPath(domid, devid)}/frontend`, front)
    t.write(`${libxlPath(domid, devid)}/backend`, back)
    folder(t, back, 0, domid)
    for (const [key, value] of Object.entries(backEntries)) {
      t.write(`${back}/${key}`, value)
      if (key !== 'frontend') t.write(`${libxlPath(domid, devid)}/${key}`, value)
    }
    folder(t, front, domid, 0)
    for (const [key, value] of Object.entries(frontEntries)) t.write(`${front}/${key}`, value)
  })
}

export function removeVifTree(store: XenstoreClient, domid: number, devid: number): void {
  store.transaction((t) => {
    t.remove(frontendPath(domid, devid))
    t.remove(backendPath(domid, devid))
    t.remove(libxlPath(domid, devid))
  })
}

/** An empty folder that one domain owns and others may read. */
function folder(t: XenstoreView, path: string, owner: number, ...readers: number[]): void {
  t.remove(path)
  t.makeNode(path)
  t.setPermissions(
    path,
    { domid: owner, access: 'n' },
    ...readers.map((domid) => ({ domid, access: 'r' as const })),
  )
}
