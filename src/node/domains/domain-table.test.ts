import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { TestServer, until } from '../testing/served-host.ts'
import type { DomainEvent } from './domain-table.ts'

/** So that a guest's second takes less than one of ours. */
const NS_PER_INSTRUCTION = 10

const server = await TestServer.start()
after(() => server.stop())
const { client } = server
const { table } = server.served
const events: DomainEvent[] = []
table.listen((event) => {
  if (event.event !== 'phase') events.push(event)
})

const list = async () => (await client.call('list', {})).map(({ name }) => name)
const seen = (name: string) =>
  events.filter((event) => event.name === name).map(({ event }) => event)

test('a domain is there from its creation to its end, and is told of', async () => {
  const info = await server.create('first')
  assert.equal(info.name, 'first')
  assert.deepEqual(await list(), ['first'])
  await client.call('destroy', { domain: 'first' })
  assert.deepEqual(await list(), [])
  assert.deepEqual(seen('first'), ['created', 'gone'])
})

test('two domains cannot have one name, not even while they are being made', async () => {
  const made = await Promise.allSettled([server.create('twin'), server.create('twin')])
  assert.deepEqual(made.map(({ status }) => status).sort(), ['fulfilled', 'rejected'])
  await assert.rejects(server.create('twin'), /There is a domain "twin" already/)
  await assert.rejects(server.create('Domain-0'), /Names are unique/)
  await client.call('destroy', { domain: 'twin' })
})

test('a name that is mistyped gets the one that was meant', async () => {
  await server.create('webserver')
  await assert.rejects(client.call('find', { domain: 'websrever' }), /Did you mean "webserver"/)
  await assert.rejects(client.call('find', { domain: '4711' }), /There is no domain "4711"/)
  await assert.rejects(client.call('destroy', { domain: '0' }), /Domain-0 is the host itself/)
  await client.call('destroy', { domain: 'webserver' })
})

test('on_poweroff says what becomes of a domain that powers off', async () => {
  await server.create('goes', 'powersOff')
  await until(async () => !(await list()).includes('goes'), 'its end')
  await server.create('stays', 'powersOff', 'on_poweroff="preserve"')
  await until(async () => seen('stays').includes('shutdown'), 'its end')
  const info = await client.call('find', { domain: 'stays' })
  assert.equal(info.shutdownReason, 0)
  await client.call('destroy', { domain: 'stays' })
})

test('on_reboot restarts a domain with a new number, the same UUID and the file as it is then', async () => {
  const first = await server.create('again', 'reboots')
  await client.call('config-update', {
    domain: 'again',
    guest: server.tiny('other', 'waits', 'cpu_weight=77'),
  })
  await until(() => seen('again').includes('restarted'), 'the restart')
  const second = await client.call('find', { domain: 'again' })
  assert.notEqual(second.id, first.id)
  assert.equal(second.uuid, first.uuid)
  assert.equal(second.weight, 77)
  assert.equal(second.shutdownReason, null)
  await client.call('destroy', { domain: 'again' })
})

test('rename-restart keeps the one that has ended under another name', async () => {
  await server.create('kept', 'powersOff', 'on_poweroff="rename-restart"')
  await until(async () => (await list()).join(' ') === 'kept-1 kept', 'both')
  const names = await list()
  for (const domain of names) await client.call('destroy', { domain })
})

test('a guest that ends at once is not started again more often than once a second', async () => {
  await server.create('loop', 'reboots')
  await new Promise((resolve) => setTimeout(resolve, 300))
  assert.deepEqual(seen('loop'), ['created', 'shutdown'])
  await client.call('destroy', { domain: 'loop' })
  await new Promise((resolve) => setTimeout(resolve, 1000))
  assert.deepEqual(seen('loop'), ['created', 'shutdown', 'gone'])
})

test('a restart whose kernel is gone ends the domain, and the log says why', async () => {
  await server.create('lost', 'reboots')
  const guest = { ...server.tiny('lost'), kernel: '/no/such/kernel' }
  await client.call('config-update', { domain: 'lost', guest })
  await until(async () => !(await list()).includes('lost'), 'its end')
  const log = await client.call('dmesg', { isCleared: false })
  assert.match(log.join('\n'), /lost cannot be started again: Cannot read the kernel/)
})

test('a domain has the ABIs of event channels that its file allows, and no others', async () => {
  await server.create('abis', 'waits', 'event_channel_abi=["2l", "3l"]')
  const { events } = table.find('abis').running.guest.domain
  assert.deepEqual(
    [events.allows('2l'), events.allows('3l'), events.allows('fifo')],
    [true, true, false],
  )
  await client.call('destroy', { domain: 'abis' })
})

test('pausing stops a domain, and is undone once', async () => {
  await server.create('busy', 'spins')
  const seconds = async () => (await client.call('find', { domain: 'busy' })).vcpus[0]?.seconds ?? 0
  await until(async () => (await seconds()) > 0.01, 'it runs')
  await client.call('pause', { domain: 'busy' })
  await client.call('pause', { domain: 'busy' })
  const stopped = await seconds()
  await new Promise((resolve) => setTimeout(resolve, 100))
  assert.equal(await seconds(), stopped)
  await client.call('unpause', { domain: 'busy' })
  await until(async () => (await seconds()) > stopped, 'it goes on')
  await assert.rejects(client.call('unpause', { domain: 'busy' }), /busy is not paused/)
  await client.call('destroy', { domain: 'busy' })
})

test('names, weights and limits can be changed, within bounds', async () => {
  const { id } = await server.create('tuned', 'waits', 'maxvcpus=2')
  const domain = 'tuned'
  await client.call('credit', { domain, weight: 512, cap: 150 })
  await client.call('mem-max', { domain, kib: 8 * 1024 })
  await client.call('mem-set', { domain, kib: 2 * 1024 })
  const info = await client.call('find', { domain })
  assert.equal(info.weight, 512)
  assert.equal(info.cap, 150)
  assert.equal(info.targetKiB, 2048)
  await assert.rejects(client.call('credit', { domain, weight: 0 }), /weight cannot be 0/)
  await assert.rejects(client.call('credit', { domain, cap: 201 }), /0 to 200 per cent/)
  await assert.rejects(client.call('mem-set', { domain, kib: 8 * 1024 }), /at most its maxmem/)
  await assert.rejects(client.call('mem-max', { domain, kib: 1024 }), /Its target is 2048/)
  await assert.rejects(client.call('vcpu-set', { domain, count: 3 }), /maxvcpus 2/)
  await assert.rejects(client.call('shutdown', { domain, request: 'poweroff' }), /no Xen drivers/)
  await assert.rejects(client.call('trigger', { domain, what: 'power', vcpu: 0 }), /no such button/)
  await assert.rejects(client.call('debug-keys', { keys: 'Z' }), /There is no debug key "Z"/)
  await assert.rejects(client.call('rename', { domain, name: '7' }), /domain-id/)
  await client.call('rename', { domain, name: 'renamed' })
  assert.equal((await client.call('find', { domain: 'renamed' })).id, id)
  const { xenstore } = table.host.xen
  assert.equal(xenstore.read(`/local/domain/${id}/name`), 'renamed')
  await client.call('destroy', { domain: 'renamed' })
})

test('the console of a domain that is gone can still be read', async () => {
  const { id } = await server.create('talker')
  table.find('talker').running.guest.console.show(new TextEncoder().encode('last words\n'))
  await client.call('destroy', { domain: 'talker' })
  for (const domain of ['talker', String(id)]) {
    const record = await client.call('console-text', { domain })
    assert.deepEqual(record, { id, name: 'talker', end: 'destroyed', text: 'last words\n' })
  }
})

test('busy domains share the processor by their weights', async (t) => {
  // By the machine's clock, what others do on it would be charged to the guest that runs then.
  const instructions = () =>
    shared?.served.table.host.xen.hypervisor.scheduler.counters.instructions
  let shared: TestServer | undefined = undefined
  shared = await TestServer.start({ monotonicNs: () => (instructions() ?? 0) * NS_PER_INSTRUCTION })
  t.after(() => shared.stop())
  await shared.create('light', 'spins', 'cpu_weight=128')
  await shared.create('heavy', 'spins', 'cpu_weight=384')
  // Both from one answer: between two, they go on.
  const seconds = async () =>
    (await shared.client.call('list', {})).map(({ vcpus: [vcpu] }) => vcpu?.seconds ?? 0)
  // Not from the start, when the first one ran alone.
  await until(async () => ((await seconds())[1] ?? 0) > 0.1, 'both run')
  const before = await seconds()
  let [light, heavy] = [0, 0]
  await until(async () => {
    ;[light = 0, heavy = 0] = (await seconds()).map((now, i) => now - (before[i] ?? 0))
    return heavy > 0.6
  }, 'both have run')
  assert.ok(heavy / light > 2.9 && heavy / light < 3.1, `${heavy / light} is not about 3`)
})
