// The expected tree is what libxl wrote for a PVH guest as `xenstore-ls -fp` printed it in a report
// on the xen-devel list (message 9b38e9b4-b2e9-b790-397c-38d7b62443d4, March 2022, Xen 4.14), but
// for the network device, what the guest and xenconsoled wrote, and two changes in later versions:
// memory/videoram is 0 and memory/target follows since commit 0a20a53df158.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { XenstoreClient } from './client.ts'
import {
  type DomainDescription,
  isShutdownPending,
  removeDomainTree,
  renameDomain,
  requestShutdown,
  sendSysrq,
  setMemoryTarget,
  setVcpusOnline,
  writeDomainTree,
  writeHostTree,
} from './domain-tree.ts'
import { formatPermission } from './permissions.ts'
import { bytesOf } from './wire.ts'
import { Xenstored } from './xenstored.ts'

const UUID = 'f6dca20a-54bb-43af-9a62-67c55cb75708'
const GUEST: DomainDescription = {
  domid: 2,
  name: 'guest1',
  uuid: UUID,
  type: 'pvh',
  maxMemoryKiB: 1048576,
  targetMemoryKiB: 1048576,
  vcpus: [true, true],
  startTime: 1646644038.8,
  store: { port: 1, frame: 233473 },
  console: { port: 2, frame: 233472 },
}

const HOST_AND_GUEST = `
/local/domain/0 = "" (n0)
/local/domain/0/domid = "0" (n0)
/local/domain/0/name = "Domain-0" (n0)
/local/domain/0/backend = "" (n0)
/local/domain/0/backend/console = "" (n0)
/local/domain/0/backend/console/2 = "" (n0)
/local/domain/0/backend/console/2/0 = "" (n0,r2)
/local/domain/0/backend/console/2/0/frontend = "/local/domain/2/console" (n0,r2)
/local/domain/0/backend/console/2/0/frontend-id = "2" (n0,r2)
/local/domain/0/backend/console/2/0/online = "1" (n0,r2)
/local/domain/0/backend/console/2/0/state = "1" (n0,r2)
/local/domain/0/backend/console/2/0/protocol = "vt100" (n0,r2)
/local/domain/2 = "" (n0,r2)
/local/domain/2/vm = "/vm/f6dca20a-54bb-43af-9a62-67c55cb75708" (n0,r2)
/local/domain/2/name = "guest1" (n0,r2)
/local/domain/2/cpu = "" (n0,r2)
/local/domain/2/cpu/0 = "" (n0,r2)
/local/domain/2/cpu/0/availability = "online" (n0,r2)
/local/domain/2/cpu/1 = "" (n0,r2)
/local/domain/2/cpu/1/availability = "online" (n0,r2)
/local/domain/2/memory = "" (n0,r2)
/local/domain/2/memory/static-max = "1048576" (n0,r2)
/local/domain/2/memory/target = "1048576" (n0,r2)
/local/domain/2/memory/videoram = "0" (n0,r2)
/local/domain/2/device = "" (n0,r2)
/local/domain/2/device/suspend = "" (n0,r2)
/local/domain/2/device/suspend/event-channel = "" (n2)
/local/domain/2/control = "" (n0,r2)
/local/domain/2/control/shutdown = "" (n2)
/local/domain/2/control/feature-poweroff = "" (n2)
/local/domain/2/control/feature-reboot = "" (n2)
/local/domain/2/control/feature-suspend = "" (n2)
/local/domain/2/control/sysrq = "" (n2)
/local/domain/2/control/platform-feature-multiprocessor-suspend = "1" (n0,r2)
/local/domain/2/control/platform-feature-xs_reset_watches = "1" (n0,r2)
/local/domain/2/data = "" (n2)
/local/domain/2/drivers = "" (n2)
/local/domain/2/feature = "" (n2)
/local/domain/2/attr = "" (n2)
/local/domain/2/error = "" (n2)
/local/domain/2/domid = "2" (n0,r2)
/local/domain/2/store = "" (n0,r2)
/local/domain/2/store/port = "1" (n0,r2)
/local/domain/2/store/ring-ref = "233473" (n0,r2)
/local/domain/2/console = "" (n0,r2)
/local/domain/2/console/backend = "/local/domain/0/backend/console/2/0" (n0,r2)
/local/domain/2/console/backend-id = "0" (n2,r0)
/local/domain/2/console/limit = "1048576" (n0,r2)
/local/domain/2/console/type = "xenconsoled" (n0,r2)
/local/domain/2/console/output = "pty" (n0,r2)
/local/domain/2/console/tty = "" (n0,r2)
/local/domain/2/console/port = "2" (n0,r2)
/local/domain/2/console/ring-ref = "233472" (n0,r2)
/vm = "" (n0)
/vm/f6dca20a-54bb-43af-9a62-67c55cb75708 = "" (n0,r2)
/vm/f6dca20a-54bb-43af-9a62-67c55cb75708/name = "guest1" (n0,r2)
/vm/f6dca20a-54bb-43af-9a62-67c55cb75708/uuid = "f6dca20a-54bb-43af-9a62-67c55cb75708" (n0,r2)
/vm/f6dca20a-54bb-43af-9a62-67c55cb75708/start_time = "1646644038.80" (n0,r2)
/libxl = "" (n0)
/libxl/2 = "" (n0)
/libxl/2/device = "" (n0)
/libxl/2/device/console = "" (n0)
/libxl/2/device/console/0 = "" (n0)
/libxl/2/device/console/0/frontend = "/local/domain/2/console" (n0)
/libxl/2/device/console/0/backend = "/local/domain/0/backend/console/2/0" (n0)
/libxl/2/device/console/0/frontend-id = "2" (n0)
/libxl/2/device/console/0/online = "1" (n0)
/libxl/2/device/console/0/state = "1" (n0)
/libxl/2/device/console/0/protocol = "vt100" (n0)
/libxl/2/type = "pvh" (n0)
/libxl/2/dm-version = "qemu_xen" (n0)
`

function boot() {
  const daemon = new Xenstored()
  const client = new XenstoreClient(daemon)
  writeHostTree(client)
  writeDomainTree(client, GUEST)
  return { daemon, client }
}

/** All below a path, as `xenstore-ls -fp` prints it. */
function listing(client: XenstoreClient, path: string): string[] {
  return (client.list(path) ?? []).flatMap((name) => {
    const child = path === '/' ? `/${name}` : `${path}/${name}`
    const permissions = client.permissions(child)?.map(formatPermission).join()
    return [`${child} = "${client.read(child)}" (${permissions})`, ...listing(client, child)]
  })
}

test('the tree of a guest has the nodes, values, order and permissions that libxl gives it', () => {
  const { client } = boot()
  const lines = listing(client, '/').filter((line) => !/^\/(tool|local( |\/domain ))/.test(line))
  assert.deepEqual(lines, HOST_AND_GUEST.trim().split('\n'))
})

test('a PV guest without video memory has one KiB more as its target, as libxl has it', () => {
  const { client } = boot()
  writeDomainTree(client, { ...GUEST, type: 'pv' })
  assert.equal(client.read('/local/domain/2/memory/target'), '1048577')
  assert.equal(client.read('/local/domain/2/memory/videoram'), '-1')
  setMemoryTarget(client, 2, 524288)
  assert.equal(client.read('/local/domain/2/memory/target'), '524289')
})

test('removing a guest leaves nothing of it', () => {
  const { client } = boot()
  removeDomainTree(client, 2, UUID)
  assert.deepEqual(
    listing(client, '/').filter((line) => /\/2\b|guest1/.test(line)),
    [],
  )
  assert.equal(client.read('/local/domain/0/name'), 'Domain-0')
})

test('a guest sees a request to shut down and takes it up by emptying the node', () => {
  const { daemon, client } = boot()
  const seen: string[] = []
  client.watch('/local/domain/2/control', (path) => seen.push(path))
  requestShutdown(client, 2, 'poweroff')
  assert.deepEqual(seen, ['/local/domain/2/control', '/local/domain/2/control/shutdown'])
  assert.equal(client.read('/local/domain/2/control/shutdown'), 'poweroff')
  assert.ok(isShutdownPending(client, 2))
  const guest = { domid: 2, isPrivileged: false }
  assert.equal(
    daemon.store.write(guest, '/local/domain/2/control/shutdown', new Uint8Array()),
    undefined,
  )
  assert.ok(!isShutdownPending(client, 2))
})

test('keys, memory, vCPUs and the name are written where a guest looks for them', () => {
  const { client } = boot()
  sendSysrq(client, 2, 's')
  setMemoryTarget(client, 2, 524288)
  setVcpusOnline(client, 2, [true, false])
  renameDomain(client, 2, UUID, 'other')
  assert.equal(client.read('/local/domain/2/control/sysrq'), 's')
  assert.equal(client.read('/local/domain/2/memory/target'), '524288')
  assert.equal(client.read('/local/domain/2/cpu/0/availability'), 'online')
  assert.equal(client.read('/local/domain/2/cpu/1/availability'), 'offline')
  assert.equal(client.read('/local/domain/2/name'), 'other')
  assert.equal(client.read(`/vm/${UUID}/name`), 'other')
})

test('a guest may write what is its own and nothing else', () => {
  const { daemon } = boot()
  const guest = { domid: 2, isPrivileged: false }
  const write = (path: string) => daemon.store.write(guest, `/local/domain/2/${path}`, bytesOf('1'))
  for (const path of ['data/x', 'error/x', 'attr/os/name', 'control/feature-suspend']) {
    assert.equal(write(path), undefined, path)
  }
  for (const path of ['name', 'memory/target', 'device/vif/0/state', 'new', 'console/tty']) {
    assert.equal(write(path), 'EACCES', path)
  }
  assert.equal(daemon.store.read(guest, '/libxl/2/type'), 'EACCES')
})
