// What the toolstack keeps in xenstore about any device: the folders of its two ends and libxl's own
// record, with the entries and permissions of libxl 4.17. What a kind of device adds is in its own
// file; what a backend says itself is in xenbus-backend.ts.

import { XenbusStateInitialising } from '../xen/abi/xenbus.ts'
import type { XenstoreClient, XenstoreView } from './xenstore/client.ts'
import { domainPath } from './xenstore/path.ts'

export interface DevicePaths {
  readonly domid: number
  readonly front: string
  readonly back: string
  /** Libxl's own record. */
  readonly libxl: string
}

/** Where a device is, whose ends are called `front` and `back` as libxl calls them. */
export function devicePaths(
  domid: number,
  devid: number,
  { front, back }: { readonly front: string; readonly back: string },
): DevicePaths {
  return {
    domid,
    front: `${domainPath(domid)}/device/${front}/${devid}`,
    back: `${domainPath(0)}/backend/${back}/${domid}/${devid}`,
    libxl: `/libxl/${domid}/device/${front}/${devid}`,
  }
}

type Entries = Readonly<Record<string, string>>

/** Writes both ends in their first state: the frontend's driver sees the device from here on. */
export function writeDeviceTree(
  client: XenstoreClient,
  { domid, front, back, libxl }: DevicePaths,
  entries: { readonly front: Entries; readonly back: Entries },
): void {
  const state = String(XenbusStateInitialising)
  const backEntries = {
    frontend: front,
    'frontend-id': String(domid),
    online: '1',
    state,
    ...entries.back,
  }
  const frontEntries = { backend: back, 'backend-id': '0', state, ...entries.front }
  client.transaction((t) => {
    folder(t, libxl, 0)
    folder(t, back, 0, domid)
    folder(t, front, domid, 0)
    t.write(`${libxl}/backend`, back)
    for (const [key, value] of Object.entries(backEntries)) {
      t.write(`${back}/${key}`, value)
      t.write(`${libxl}/${key}`, value)
    }
    for (const [key, value] of Object.entries(frontEntries)) t.write(`${front}/${key}`, value)
  })
}

/** Removes what {@link writeDeviceTree} wrote, and what was put there since. */
export function removeDeviceTree(client: XenstoreClient, paths: DevicePaths): void {
  client.transaction((t) => {
    for (const path of [paths.front, paths.back, paths.libxl]) {
      t.remove(path)
      const parent = path.slice(0, path.lastIndexOf('/'))
      if (t.list(parent)?.length === 0) t.remove(parent)
    }
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
