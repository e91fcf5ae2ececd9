// Errors of the host's own while a guest runs: what a domain needs and the host does not have ends
// that domain with the cause, and no other; a broken invariant stops the host and is reported.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Bug, UserError } from '../../src/base/errors.ts'
import { Host } from '../../src/node/host.ts'
import type { DomainEnd } from '../../src/node/host-types.ts'
import { SHUTDOWN_crash } from '../../src/xen/abi/sched.ts'
import { TestHost } from '../../src/xen/testing/test-host.ts'
import { kernel32 } from './hostile-guest.ts'

const LIMIT = new UserError('The guest needs a printer.', 'There is none.', 'Unplug it.')

test('a UserError while a processor runs ends its domain only', () => {
  const host = new TestHost()
  const [first, second] = [host.guest(), host.guest()]
  let steps = 0
  first.processor().runs(() => {
    throw LIMIT
  })
  second.processor().runs(...Array.from({ length: 9 }, () => () => void steps++))
  host.hypervisor.step()
  assert.equal(first.domain.shutdownReason, SHUTDOWN_crash)
  assert.equal(first.domain.crashCause, 'The guest needs a printer. There is none.')
  assert.equal(second.domain.shutdownReason, undefined)
  assert.equal(steps, 9)
})

test('a Bug while a processor runs is not contained', () => {
  const host = new TestHost()
  const guest = host.guest()
  guest.processor().runs(() => {
    throw new Bug('broken')
  })
  assert.throws(() => host.hypervisor.step(), Bug)
})

async function domainThatThrows(error: Error) {
  const host = await Host.create({ time: 'virtual' })
  const config = { kernel: kernel32('jmp $'), cmdline: '', memoryMiB: 4, vcpus: 1 }
  const fails = await host.createDomain({ ...config, name: 'fails' })
  const other = await host.createDomain({ ...config, name: 'other', kernel: kernel32('cli\nhlt') })
  const processor = host.xen.hypervisor.domain(fails.id)?.vcpus[0]?.processor
  assert.ok(processor)
  processor.run = () => {
    throw error
  }
  host.start()
  const ends = await endsOf(fails, other)
  host.stop()
  fails.destroy()
  other.destroy()
  return ends
}

function endsOf(...domains: readonly { readonly ended: Promise<DomainEnd> }[]) {
  return Promise.allSettled(domains.map(({ ended }) => ended))
}

test('the library tells the cause of a contained end, and the other domains go on', async () => {
  const [fails, other] = await domainThatThrows(LIMIT)
  const cause = 'The guest needs a printer. There is none.'
  assert.deepEqual(fails, { status: 'fulfilled', value: { reason: 'crash', cause } })
  assert.deepEqual(other, { status: 'fulfilled', value: { reason: 'poweroff' } })
})

test('the library rejects for every domain when the host itself is broken', async () => {
  const bug = new Bug('broken')
  const ends = await domainThatThrows(bug)
  assert.deepEqual(
    ends,
    Array.from({ length: 2 }, () => ({ status: 'rejected', reason: bug })),
  )
})
