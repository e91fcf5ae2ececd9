// A host that is saved in the middle of a run and restored elsewhere goes on as if nothing had
// happened: the same events, grants, timers and times.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SCHEDOP_poll, sched_poll } from './abi/sched.ts'
import { __HYPERVISOR_sched_op, VIRQ_TIMER } from './abi/xen.ts'
import { createGuestPort, mapGrantedPage } from './host-services.ts'
import { guestOf, moveHost } from './testing/move-host.ts'
import { type TestGuest, TestHost } from './testing/test-host.ts'

test('the saved state of a restored host is that of the host it came from', () => {
  const host = new TestHost()
  const [a, b] = [host.guest(), host.guest({ vcpus: 3, maxPort: 200 })]
  a.domain.events.initControl(20n, 0, 0)
  a.domain.events.expandArray(21n)
  const port = a.domain.channels.allocUnbound(b.domain.domid)
  b.domain.channels.bindInterdomain(a.domain.domid, port)
  a.domain.channels.setPriority(port, 3)
  b.domain.channels.bindVirq(VIRQ_TIMER, 1)
  b.domain.grants.setVersion(2)
  b.domain.grants.grow(9)
  b.vcpu(0).setPeriod(3_000_000)
  a.vcpu(0).singleshot.set(7000)
  a.vcpu(0).msrs.write(0x200, 6n)
  a.domain.params.set(0, (2n << 56n) | 0x20n)
  a.domain.vmAssist = 32
  a.domain.latchWidth(32)
  a.domain.memoryMap = new Uint8Array(20)
  b.domain.ports.write(0xb002, 2, 0x120)
  const pair = createGuestPort(host.hypervisor, a.domain, () => {})
  assert.ok(typeof pair !== 'number')
  host.clock.advance(5000)
  const moved = moveHost(host)
  assert.deepEqual(moved.hypervisor.save(), host.hypervisor.save())
  assert.equal(moved.timers.nextDeadline(), 7000)
  assert.equal(moved.timers.size, host.timers.size)
})

test('events go on where they were: queues, tails and ports', () => {
  const host = new TestHost()
  const guest = host.guest()
  guest.domain.events.initControl(20n, 0, 0)
  guest.domain.events.expandArray(21n)
  const ports = [0, 0, 0].map(() => guest.domain.channels.bindIpi(0))
  guest.domain.channels.raise(ports[0] as number)
  const moved = guestOf(moveHost(host), guest)
  // The second event has to be linked behind the first, which was linked before the move.
  moved.domain.channels.raise(ports[1] as number)
  const first = moved.get32(21 * 4096 + 4 * (ports[0] as number))
  assert.equal(first & 0x1ffff, ports[1])
  assert.equal(moved.domain.channels.bindIpi(0), (ports[2] as number) + 1)
})

test('a timer that was pending comes at its time, and wakes who polls', () => {
  const host = new TestHost()
  const guest = host.guest()
  guest.operate(__HYPERVISOR_sched_op, SCHEDOP_poll, sched_poll, { timeout: 9000n })
  const to = moveHost(host)
  const moved = guestOf(to, guest)
  assert.equal(moved.vcpu(0).state, 'polling')
  assert.deepEqual(to.hypervisor.step(), { state: 'ran' })
  assert.equal(to.clock.now(), 9000)
  to.hypervisor.step()
  assert.notEqual(moved.vcpu(0).state, 'polling')
})

test('grants in use stay in use, and references are given back once', () => {
  const host = new TestHost()
  const guest = host.guest()
  guest.domain.grants.seed(9, 0, 30)
  const page = mapGrantedPage(host.hypervisor, guest.domain.domid, 9)
  assert.ok(typeof page !== 'number')
  const to = moveHost(host)
  const moved = guestOf(to, guest)
  assert.equal(moved.domain.grants.activeGrants().length, 1)
  to.hypervisor.destroyDomain(moved.domain)
  assert.deepEqual(to.frames.framesOf(guest.domain.domid), [page.mfn])
  // Domain 0 ends as well: now nothing is held any more.
  to.hypervisor.control.destroy()
  assert.equal(to.frames.freeFrames, to.frames.frames)
})

test('a service whose event came just before the move hears of it after', () => {
  const host = new TestHost()
  const guest = host.guest()
  const pair = createGuestPort(host.hypervisor, guest.domain, () => {})
  assert.ok(typeof pair !== 'number')
  host.hypervisor.deliverHostEvents()
  guest.domain.channels.send(pair.guestPort)
  const to = moveHost(host)
  let heard = 0
  to.hypervisor.control.hostEvents?.attach(pair.channel.port, () => heard++)
  to.hypervisor.deliverHostEvents()
  assert.equal(heard, 1)
})

test('a domain that was suspended goes on with what a new domain has, and keeps its memory', () => {
  const host = new TestHost()
  const guest = host.guest()
  const { domain } = guest
  const fresh = host.guest().domain
  const free = host.frames.freeFrames
  domain.writePhysical(25 * 4096, Uint8Array.of(0x34, 0x12))
  domain.events.initControl(20n, 0, 0)
  domain.events.expandArray(21n)
  domain.channels.bindIpi(0)
  domain.grants.setVersion(2)
  domain.grants.seed(9, 0, 30)
  const page = mapGrantedPage(host.hypervisor, domain.domid, 9)
  assert.ok(typeof page !== 'number')
  guest.vcpu(0).setPeriod(3_000_000)
  domain.renew()
  // Who has mapped a page of it keeps that for as long as it likes.
  const inUse = () => domain.grants.activeGrants().map(([ref]) => ref)
  assert.deepEqual(inUse(), [9])
  page.release()
  assert.deepEqual(inUse(), [])
  assert.equal(guest.get32(25 * 4096), 0x1234)
  assert.equal(host.frames.freeFrames, free)
  assert.equal(host.timers.size, 0)
  assert.equal(domain.grants.version, 1)
  assert.equal(typeof mapGrantedPage(host.hypervisor, domain.domid, 9), 'number')
  assert.deepEqual(domain.events.save(), fresh.events.save())
  assert.deepEqual(
    host.memory.u8.slice(...bitmapsOf(domain)),
    host.memory.u8.slice(...bitmapsOf(fresh)),
  )
  // It may register everything once more.
  assert.equal(domain.events.initControl(20n, 0, 0), 0)
})

/** Where a domain's shared page has all that stands behind the vCPUs, in the memory of the host. */
function bitmapsOf({ shared }: TestGuest['domain']): [number, number] {
  const start = shared.mfn * 4096
  return [start + 32 * 64, start + 4096]
}
