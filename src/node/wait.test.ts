import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Domain, DEFAULT_DOMAIN } from './host-types.ts'
import { Host } from './host.ts'
import { TINY_PROGRAMS, tinyPvhProgram } from '../toolstack/image/tiny-kernel.ts'
import { WaitError } from './wait.ts'

const kernel = (name: keyof typeof TINY_PROGRAMS) => tinyPvhProgram(...TINY_PROGRAMS[name])
const small = { memoryMiB: 4 }

test('a host in virtual time runs only while something is waited for', async () => {
  await using host = await Host.create({ time: 'virtual' })
  const guest = await host.createDomain({ kernel: kernel('powersOff'), ...small })
  await new Promise((resolve) => setTimeout(resolve, 20))
  assert.equal(guest.end, undefined)
  assert.deepEqual(await guest.waitForEnd(), { reason: 'poweroff' })
  assert.deepEqual(await host.until(guest.ended), { reason: 'poweroff' })
  assert.ok(!host.isRunning)
})

test('a host in real time is started by the first wait', async () => {
  await using host = await Host.create({ time: 'real' })
  const guest: Domain = await host.createDomain({ kernel: kernel('powersOff'), ...small })
  assert.deepEqual(await host.until(guest.ended), { reason: 'poweroff' })
  assert.ok(host.isRunning)
})

test('a wait has the limit of its call, else that of the host', async () => {
  await using host = await Host.create({ time: 'virtual', timeoutMs: 30 })
  const guest = await host.createDomain({ kernel: kernel('spins'), ...small })
  const start = performance.now()
  await assert.rejects(guest.waitForEnd(), /"guest" did not end\.\nIt still ran after 0\.03 s/)
  await assert.rejects(
    host.until(() => undefined),
    WaitError,
  )
  await assert.rejects(
    host.until(() => undefined, { timeoutMs: 60 }),
    /It was waited for for 0\.06 s/,
  )
  assert.ok(performance.now() - start < 10_000)
})

test('what is not said of a domain is as documented', async () => {
  await using host = await Host.create({ time: 'virtual' })
  const guest = await host.createDomain({ kernel: kernel('waits') })
  assert.equal(guest.name, DEFAULT_DOMAIN.name)
  assert.equal(guest.guest.domain.vcpus.length, 1)
  assert.equal(guest.guest.maxMemoryMiB, 256)
})

test('a domain that goes out of scope is destroyed, and so are those of a host', async () => {
  const host = await Host.create({ time: 'virtual' })
  const { frames } = host.xen
  {
    await using first = await host.createDomain({ kernel: kernel('waits'), ...small })
    assert.ok(first.guest.domain.totalPages > 0)
  }
  const before = frames.freeFrames
  await host.createDomain({ kernel: kernel('waits'), ...small })
  assert.ok(frames.freeFrames < before)
  await host[Symbol.asyncDispose]()
  assert.equal(frames.freeFrames, before)
  assert.deepEqual(host.xen.xenstore.list('/local/domain'), ['0'])
})
