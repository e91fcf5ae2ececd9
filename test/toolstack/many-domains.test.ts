// Many domains on one host: what each had is free after its end, idle ones cost nothing, and a
// hundred at once are made, listed and ended.

import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { hostCounters as counters, TestServer, until } from '../../src/node/testing/served-host.ts'

const DOMAINS = 1000
const AT_ONCE = 100
/** Seconds in which the host's own time is measured. */
const IDLE_SECONDS = 3

async function startedServer(t: TestContext): Promise<TestServer> {
  const server = await TestServer.start()
  t.after(() => server.stop())
  return server
}

test(`after ${DOMAINS} domains the host has all that it had before`, async (t) => {
  const server = await startedServer(t)
  const cycle = async (i: number) => {
    const program = (['waits', 'spins', 'powersOff', 'waits'] as const)[i % 4] ?? 'waits'
    const { id } = await server.create(`d${i}`, program, `vcpus=${1 + (i % 3)}`)
    const domain = String(id)
    // The one that powers itself off may be gone already.
    if (program !== 'powersOff') await server.client.call('destroy', { domain })
  }
  // What is made once and kept (processors' memory, code that is translated) is there then.
  for (let i = 0; i < 20; i++) await cycle(i)
  await until(() => server.served.table.all().length === 0, 'the last one is gone')
  const before = counters(server)
  for (let i = 0; i < DOMAINS; i++) await cycle(i)
  await until(() => server.served.table.all().length === 0, 'the last one is gone')
  assert.deepEqual(counters(server), before)
})

test('a host that has no room for another domain says so, and loses nothing by it', async (t) => {
  const server = await startedServer(t)
  await server.create('first', 'waits', 'maxvcpus=128')
  await server.create('second', 'waits', 'maxvcpus=128')
  const before = counters(server)
  await assert.rejects(server.create('third'), /has 256 vCPUs already, and 256 at most/)
  await server.client.call('destroy', { domain: 'second' })
  await assert.rejects(
    server.create('large', 'waits', 'memory=100000'),
    /cannot be built|no 100000 MiB/,
  )
  await server.create('second', 'waits', 'maxvcpus=128')
  assert.deepEqual(counters(server), before)
})

test(`${AT_ONCE} domains at once are made, listed in under 0.2 s, idle for nothing, and ended`, async (t) => {
  const server = await startedServer(t)
  // The first one makes the nodes of xenstore that all others stand below.
  await server.create('first')
  await server.client.call('destroy', { domain: 'first' })
  const before = counters(server)
  const start = performance.now()
  for (let i = 0; i < AT_ONCE; i++) await server.create(`d${i}`, 'waits', 'memory=32')
  const made = (performance.now() - start) / 1000
  const listing = performance.now()
  assert.equal((await server.client.call('list', {})).length, AT_ONCE)
  const listed = performance.now() - listing
  await new Promise((resolve) => setTimeout(resolve, 200))
  const { user, system } = process.cpuUsage()
  await new Promise((resolve) => setTimeout(resolve, IDLE_SECONDS * 1000))
  const used = process.cpuUsage({ user, system })
  const share = (used.user + used.system) / 1e6 / IDLE_SECONDS
  console.log(
    `${AT_ONCE} domains: made in ${made.toFixed(1)} s, listed in ${listed.toFixed(0)} ms, ` +
      `idle at ${(100 * share).toFixed(2)} % of a processor`,
  )
  assert.ok(made < 60, `${made} s`)
  assert.ok(listed < 200, `${listed} ms`)
  assert.ok(share < 0.05, `${100 * share} %`)
  for (const { id } of server.served.table.all()) {
    await server.client.call('destroy', { domain: String(id) })
  }
  assert.deepEqual({ ...counters(server), areas: 0 }, { ...before, areas: 0 })
})
