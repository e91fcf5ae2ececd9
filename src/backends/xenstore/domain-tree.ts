// What the toolstack keeps in xenstore about a guest: the layout and the permissions of libxl
// 4.17 for a guest without a device model, and the requests that it puts to a guest there.
// Follows docs/misc/xenstore-paths.pandoc. Left out: the nodes of hvmloader and of device models.

import type { XenstoreClient, XenstoreView } from './client.ts'
import { domainPath } from './path.ts'
import type { Permission } from './permissions.ts'

/** What the tree of a guest says. Sizes in KiB, as xenstore has them. */
export interface DomainDescription {
  readonly domid: number
  readonly name: string
  /** With hyphens, in lower case. */
  readonly uuid: string
  readonly type: 'pv' | 'pvh' | 'hvm'
  readonly maxMemoryKiB: number
  readonly targetMemoryKiB: number
  /**
   * By default what libxl takes: none for PVH; -1 for PV, which adds 1 to the target in the tree.
   */
  readonly videoMemoryKiB?: number
  /** For each vCPU whether it is on line at first. */
  readonly vcpus: readonly boolean[]
  /** Seconds since 1970. */
  readonly startTime: number
  readonly store: { readonly port: number; readonly frame: number }
  readonly console: { readonly port: number; readonly frame: number }
}

/** What a guest can be asked to do through control/shutdown. */
export type ShutdownRequest = 'poweroff' | 'reboot' | 'suspend' | 'halt' | 'crash'

const CONSOLE_LIMIT = 1 << 20

/** Writes what there is before any guest: domain 0. */
export function writeHostTree(client: XenstoreClient): void {
  client.transaction((t) => {
    t.write('/local/domain/0/domid', '0')
    t.write('/local/domain/0/name', 'Domain-0')
  })
}

/** Writes the tree of a guest, in place of one that may be there. */
export function writeDomainTree(client: XenstoreClient, domain: DomainDescription): void {
  client.transaction((t) => {
    writeHome(t, domain)
    writeVm(t, domain)
    writeBuildFacts(t, domain)
    writeConsole(t, domain)
    t.write(`/libxl/${domain.domid}/type`, domain.type)
    t.write(`/libxl/${domain.domid}/dm-version`, 'qemu_xen')
  })
}

/** Removes what {@link writeDomainTree} wrote, and what was put there since. */
export function removeDomainTree(client: XenstoreClient, domid: number, uuid: string): void {
  client.transaction((t) => {
    t.remove(`/local/domain/0/backend/console/${domid}`)
    for (const path of [`/vm/${uuid}`, domainPath(domid), `/libxl/${domid}`]) t.remove(path)
  })
}

/** Asks a guest to shut down in one of several ways. It answers by emptying the node. */
export function requestShutdown(
  client: XenstoreClient,
  domid: number,
  request: ShutdownRequest,
): void {
  client.write(`${domainPath(domid)}/control/shutdown`, request)
}

/** Whether a request stands that the guest has not taken up. */
export function isShutdownPending(client: XenstoreClient, domid: number): boolean {
  return (client.read(`${domainPath(domid)}/control/shutdown`) ?? '') !== ''
}

/** Sends a guest's kernel a magic SysRq key. */
export function sendSysrq(client: XenstoreClient, domid: number, key: string): void {
  client.write(`${domainPath(domid)}/control/sysrq`, key)
}

/** Asks a guest's balloon driver to come to a size, in KiB, video memory included. */
export function setMemoryTarget(client: XenstoreClient, domid: number, targetKiB: number): void {
  const memory = `${domainPath(domid)}/memory`
  const video = Number(client.read(`${memory}/videoram`) ?? 0)
  client.write(`${memory}/target`, String(targetKiB - video))
}

/** Asks a guest to bring vCPUs on line or off line; all that are listed, in order of number. */
export function setVcpusOnline(
  client: XenstoreClient,
  domid: number,
  online: readonly boolean[],
): void {
  client.transaction((t) => writeVcpus(t, domid, online))
}

/** Gives a guest another name. */
export function renameDomain(
  client: XenstoreClient,
  domid: number,
  uuid: string,
  name: string,
): void {
  client.transaction((t) => {
    t.write(`${domainPath(domid)}/name`, name)
    t.write(`/vm/${uuid}/name`, name)
  })
}

/** Readable by the guest, and the toolstack's own. */
function readOnly(domid: number): Permission[] {
  return [
    { domid: 0, access: 'n' },
    { domid, access: 'r' },
  ]
}

/** The guest's own. */
function readWrite(domid: number): Permission[] {
  return [{ domid, access: 'n' }]
}

function node(t: XenstoreView, path: string, permissions: readonly Permission[]): void {
  const [first, ...others] = permissions
  t.makeNode(path)
  if (first) t.setPermissions(path, first, ...others)
}

function writeHome(t: XenstoreView, { domid, name, uuid, type }: DomainDescription): void {
  const home = domainPath(domid)
  const libxl = `/libxl/${domid}`
  for (const path of [home, `/vm/${uuid}`]) {
    t.remove(path)
    node(t, path, readOnly(domid))
  }
  t.remove(libxl)
  node(t, libxl, [{ domid: 0, access: 'n' }])
  node(t, `${libxl}/device`, [{ domid: 0, access: 'n' }])
  t.write(`${home}/vm`, `/vm/${uuid}`)
  t.write(`${home}/name`, name)
  for (const path of ['cpu', 'memory', 'device', 'control']) {
    node(t, `${home}/${path}`, readOnly(domid))
  }
  const control = ['shutdown', 'feature-poweroff', 'feature-reboot', 'feature-suspend']
  if (type === 'hvm') control.push('feature-s3', 'feature-s4')
  for (const path of [...control, 'sysrq']) {
    node(t, `${home}/control/${path}`, readWrite(domid))
  }
  for (const path of [
    'device/suspend/event-channel',
    'data',
    'drivers',
    'feature',
    'attr',
    'error',
  ]) {
    node(t, `${home}/${path}`, readWrite(domid))
  }
  t.write(`${home}/control/platform-feature-multiprocessor-suspend`, '1')
  t.write(`${home}/control/platform-feature-xs_reset_watches`, '1')
}

function writeVm(t: XenstoreView, { name, uuid, startTime }: DomainDescription): void {
  t.write(`/vm/${uuid}/name`, name)
  t.write(`/vm/${uuid}/uuid`, uuid)
  t.write(`/vm/${uuid}/start_time`, startTime.toFixed(2))
}

function writeBuildFacts(t: XenstoreView, domain: DomainDescription): void {
  const home = domainPath(domain.domid)
  const video = domain.videoMemoryKiB ?? (domain.type === 'pv' ? -1 : 0)
  t.write(`${home}/memory/static-max`, String(domain.maxMemoryKiB))
  t.write(`${home}/memory/target`, String(domain.targetMemoryKiB - video))
  t.write(`${home}/memory/videoram`, String(video))
  t.write(`${home}/domid`, String(domain.domid))
  t.write(`${home}/store/port`, String(domain.store.port))
  t.write(`${home}/store/ring-ref`, String(domain.store.frame))
  writeVcpus(t, domain.domid, domain.vcpus)
}

function writeVcpus(t: XenstoreView, domid: number, online: readonly boolean[]): void {
  for (const [vcpu, isOnline] of online.entries()) {
    const path = `${domainPath(domid)}/cpu/${vcpu}/availability`
    t.write(path, isOnline ? 'online' : 'offline')
  }
}

/** The primary console has no states to go through: both ends find it complete. */
function writeConsole(t: XenstoreView, { domid, console }: DomainDescription): void {
  const front = `${domainPath(domid)}/console`
  const back = `/local/domain/0/backend/console/${domid}/0`
  const backEntries = {
    frontend: front,
    'frontend-id': String(domid),
    online: '1',
    state: '1',
    protocol: 'vt100',
  }
  const libxl = `/libxl/${domid}/device/console/0`
  node(t, libxl, [{ domid: 0, access: 'n' }])
  t.write(`${libxl}/frontend`, front)
  t.write(`${libxl}/backend`, back)
  for (const [key, value] of Object.entries(backEntries)) {
    if (key !== 'frontend') t.write(`${libxl}/${key}`, value)
  }
  node(t, front, readOnly(domid))
  const frontEntries = {
    backend: back,
    'backend-id': '0',
    limit: String(CONSOLE_LIMIT),
    type: 'xenconsoled',
    output: 'pty',
    tty: '',
    port: String(console.port),
    'ring-ref': String(console.frame),
  }
  for (const [key, value] of Object.entries(frontEntries)) t.write(`${front}/${key}`, value)
  // The one entry that libxl leaves to the guest, as it does for other devices.
  t.setPermissions(`${front}/backend-id`, { domid, access: 'n' }, { domid: 0, access: 'r' })
  node(t, back, readOnly(domid))
  for (const [key, value] of Object.entries(backEntries)) t.write(`${back}/${key}`, value)
}
