// xenstore during a boot, seen from the host: the tree that libxl makes, what Linux writes into it,
// and the requests that a host makes through it.

import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { Session } from './session.ts'

const session = await Session.create({ name: 'shop', vcpus: 2 })
after(() => session.destroy())
const { xenstore } = session.host.xen
const home = `/local/domain/${session.domain.id}`
const read = (path: string) => xenstore.read(`${home}/${path}`)

const written: string[] = []
xenstore.watch(home, (path) => written.push(path.slice(home.length + 1)))
written.length = 0

test('before the boot the tree is the one that libxl makes', () => {
  const uuid = read('vm')
  assert.match(uuid ?? '', /^\/vm\/[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/)
  assert.equal(xenstore.read(`${uuid}/name`), 'shop')
  assert.equal(read('name'), 'shop')
  assert.equal(read('domid'), String(session.domain.id))
  assert.equal(read('memory/target'), String(256 * 1024))
  assert.equal(read('memory/static-max'), String(256 * 1024))
  assert.equal(read('cpu/0/availability'), 'online')
  assert.equal(read('cpu/1/availability'), 'online')
  assert.equal(read('control/shutdown'), '')
  assert.equal(read('control/platform-feature-xs_reset_watches'), '1')
  assert.equal(read('console/type'), 'xenconsoled')
  assert.equal(read('console/output'), 'pty')
  assert.match(read('console/port') ?? '', /^\d+$/)
  assert.match(read('store/port') ?? '', /^\d+$/)
  assert.match(read('store/ring-ref') ?? '', /^\d+$/)
})

test('the kernel announces which requests it understands, and its write is seen', async () => {
  session.host.start()
  await session.prompt()
  for (const name of ['poweroff', 'reboot', 'suspend']) {
    assert.equal(read(`control/feature-${name}`), '1', name)
    assert.ok(written.includes(`control/feature-${name}`), written.join(' '))
  }
})

test("the guest's name, home and devices are in its own store", async () => {
  const devices = await session.run('ls /sys/bus/xen /sys/hypervisor/properties')
  assert.match(devices, /drivers_autoprobe/)
  assert.equal((await session.run('cat /sys/hypervisor/uuid')).trim(), read('vm')?.slice(4))
})

test('a request for a magic SysRq is carried out and taken back', async () => {
  // Linux: h prints the list of keys.
  xenstore.write(`${home}/control/sysrq`, 'h')
  session.host.wake()
  await session.until(() => /sysrq: HELP : .*reboot\(b\)/.test(session.shown))
  assert.equal(read('control/sysrq'), '')
})

test('a domain that is told to power off does so, with its userspace', async () => {
  xenstore.write(`${home}/control/shutdown`, 'poweroff')
  session.host.wake()
  assert.deepEqual(await session.domain.ended, { reason: 'poweroff' })
  assert.equal(read('control/shutdown'), '', 'the guest confirms by taking the request')
})

test('nothing of a destroyed domain stays in the store', () => {
  const vm = read('vm') ?? ''
  session.destroy()
  assert.equal(read('name'), undefined)
  assert.equal(xenstore.read(vm), undefined)
  assert.deepEqual(xenstore.list('/local/domain'), ['0'])
})
