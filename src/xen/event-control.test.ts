// Which ABIs a domain may use, the way from one to another and back, and what every ABI has to do
// alike: virtual and physical interrupts, polling, status, moving, saving.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { XEN_EEXIST, XEN_EINVAL, XEN_ENOENT, XEN_ENOSYS, XEN_EOPNOTSUPP } from './abi/errno.ts'
import { EVTCHNOP_bind_virq, evtchn_bind_virq } from './abi/event-channel.ts'
import { SCHEDOP_poll, sched_poll } from './abi/sched.ts'
import {
  __HYPERVISOR_event_channel_op,
  __HYPERVISOR_sched_op,
  VIRQ_DEBUG,
  VIRQ_TIMER,
} from './abi/xen.ts'
import { EVENT_ABI_NAMES, type EventAbiName } from './event-abi.ts'
import { TwoLevelEvents } from './event-2l.ts'
import { EventChannels } from './event-channels.ts'
import { EventPorts, PortState } from './event-port.ts'
import { CONSUMER_PAGES, type Consumer, consumerOf, FIRST_GFN } from './testing/event-consumers.ts'
import { guestOf, moveHost } from './testing/move-host.ts'
import { type TestGuest, TestHost } from './testing/test-host.ts'

const PAGES = FIRST_GFN + CONSUMER_PAGES
const PORTS = 2048

function guestWith(abis: readonly EventAbiName[], host = new TestHost()): TestGuest {
  return host.guest({ eventAbis: abis, maxPort: PORTS - 1, maxPages: 300, vcpus: 3 }, PAGES)
}

function started(abi: EventAbiName): { guest: TestGuest; consumer: Consumer } {
  const guest = guestWith([abi])
  return { guest, consumer: consumerOf(abi, guest, PORTS) }
}

const bitmap = (from: number, count = 8) =>
  Array.from({ length: count }, (_, i) => BigInt(from + i))
const portsTaken = (consumer: Consumer, vcpu = 0) =>
  consumer.take(vcpu, 100).map(({ port, isEvent }) => (isEvent ? port : -port))

test('an ABI that the toolstack does not allow is not there', () => {
  const { events } = guestWith(['2l']).domain
  assert.equal(events.initControl(20n, 0, 0), -XEN_ENOSYS)
  assert.equal(events.expandArray(21n), -XEN_ENOSYS)
  assert.equal(events.registerBitmaps(bitmap(20), bitmap(28)), -XEN_ENOSYS)
  assert.equal(events.registerSelector(0, 36n, 0n), -XEN_ENOSYS)
  assert.equal(guestWith(['fifo']).domain.events.initControl(20n, 0, 0), 0)
  const usual = new TestHost().guest().domain.events
  assert.equal(usual.registerBitmaps(bitmap(20), bitmap(28)), -XEN_ENOSYS, 'as on Xen')
  assert.equal(usual.initControl(20n, 0, 0), 0)
})

test('a guest of one ABI does not go over to another before a reset', () => {
  const { events } = guestWith(EVENT_ABI_NAMES).domain
  assert.equal(events.registerBitmaps(bitmap(20), bitmap(28)), 0)
  assert.equal(events.registerBitmaps(bitmap(40), bitmap(48)), -XEN_EINVAL, 'a second time')
  assert.equal(events.initControl(60n, 0, 0), -XEN_EINVAL)
  assert.equal(events.expandArray(60n), -XEN_EOPNOTSUPP)
  events.reset()
  assert.equal(events.initControl(60n, 0, 0), 0)
  assert.equal(events.registerBitmaps(bitmap(20), bitmap(28)), -XEN_EINVAL)
  assert.equal(events.registerSelector(0, 36n, 0n), -XEN_EOPNOTSUPP)
})

test('three levels: bitmaps are refused whole, and leave no reference behind', () => {
  const guest = guestWith(['3l'])
  const { events, physMap } = guest.domain
  const { frames } = guest.host
  const count = (gfn: number) => frames.count[frames.indexOf(physMap.ramAt(gfn) as never)]
  assert.equal(events.registerBitmaps(bitmap(20, 7), bitmap(28)), -XEN_EINVAL, 'too few pages')
  assert.equal(events.registerBitmaps(bitmap(20, 1), bitmap(28, 1)), -XEN_EINVAL, '32-bit lists')
  assert.equal(events.registerBitmaps(bitmap(20), bitmap(100_000)), -XEN_EINVAL, 'no memory')
  assert.deepEqual([20, 27, 28].map(count), [1, 1, 1])
  assert.equal(guest.domain.channels.abi.name, '2-level')
  assert.equal(events.registerBitmaps(bitmap(20), bitmap(28)), 0)
  assert.deepEqual([20, 27, 28].map(count), [2, 2, 2])
  assert.equal(events.guestPages, 16)
  events.reset()
  assert.deepEqual([20, 27, 28].map(count), [1, 1, 1])
})

test('three levels: a second selector lies in one page, aligned, once for each processor', () => {
  const { events } = guestWith(['3l']).domain
  assert.equal(events.registerSelector(0, 36n, 0n), -XEN_EOPNOTSUPP, 'before the bitmaps')
  assert.equal(events.registerBitmaps(bitmap(20), bitmap(28)), 0)
  assert.equal(events.registerSelector(3, 36n, 0n), -XEN_ENOENT)
  assert.equal(events.registerSelector(0, 36n, 3592n), -XEN_EINVAL, '512 bytes cross the page')
  assert.equal(events.registerSelector(0, 36n, 4n), -XEN_EINVAL, 'not aligned')
  assert.equal(events.registerSelector(0, 100_000n, 0n), -XEN_EINVAL)
  assert.equal(events.registerSelector(0, 36n, 3584n), 0)
  assert.equal(events.registerSelector(0, 36n, 0n), -XEN_EINVAL, 'a second time')
  assert.equal(events.registerSelector(1, 36n, 0n), 0)
})

test('three levels: a 32-bit guest has one page of each bitmap and 32,767 ports', () => {
  const guest = guestWith(['3l'])
  const { events, channels } = guest.domain
  guest.domain.latchWidth(32)
  channels.maxPort = 100_000
  assert.equal(events.registerBitmaps(bitmap(20), bitmap(28)), -XEN_EINVAL)
  assert.equal(events.registerBitmaps([20n], [21n]), 0)
  assert.equal(events.registerSelector(0, 22n, 3972n), -XEN_EINVAL, '128 bytes cross the page')
  assert.equal(events.registerSelector(0, 22n, 3968n), 0)
  for (let port = 1; port < 32_768; port++) assert.equal(channels.allocUnbound(0), port)
  assert.ok(channels.allocUnbound(0) < 0)
})

test('three levels: what came before the second selector is told with it', () => {
  const guest = guestWith(['3l'])
  const { events, channels, vcpus } = guest.domain
  const port = channels.bindIpi(1)
  const masked = channels.bindIpi(1)
  assert.equal(events.registerBitmaps(bitmap(20), bitmap(28)), 0)
  guest.put32(28 * 4096, 1 << masked)
  channels.send(port)
  channels.send(masked)
  assert.equal(vcpus[1]?.info.upcallPending, false)
  assert.equal(events.registerSelector(1, 36n, 0n), 0)
  assert.equal(vcpus[1]?.info.upcallPending, true)
  assert.equal(guest.get32(36 * 4096), 1)
})

for (const to of ['3l', 'fifo'] as const) {
  test(`what is pending or masked under two levels is so under ${to}`, () => {
    const guest = guestWith([to])
    const { channels } = guest.domain
    const [open, masked, later] = [0, 0, 0].map(() => channels.bindIpi(0)) as [
      number,
      number,
      number,
    ]
    guest.domain.physMap.set(FIRST_GFN, guest.domain.shared.mfn, 1)
    guest.put32(FIRST_GFN * 4096 + 0xa00, (1 << masked) | (1 << later))
    channels.send(open)
    channels.send(masked)
    const consumer = consumerOf(to, guest, PORTS)
    assert.deepEqual(portsTaken(consumer), [open])
    channels.send(later)
    assert.deepEqual(portsTaken(consumer), [], 'still masked')
    channels.unmask(masked)
    channels.unmask(later)
    assert.deepEqual(portsTaken(consumer), [masked, later])
    // Back under two levels the port is as new: no bit of before the switch swallows its event.
    guest.domain.events.reset()
    guest.put32(FIRST_GFN * 4096, 0)
    assert.equal(channels.bindIpi(0), open)
    channels.send(open)
    assert.equal(guest.domain.vcpus[0]?.info.upcallPending, true)
  })
}

for (const abi of EVENT_ABI_NAMES) {
  test(`${abi}: reset comes back to two levels with nothing left over`, () => {
    const { guest, consumer } = started(abi)
    const { events, channels } = guest.domain
    const port = channels.bindIpi(0)
    channels.send(port)
    consumer.mask(channels.bindIpi(0))
    events.reset()
    assert.equal(channels.abi.name, '2-level')
    assert.equal(events.guestPages, 0)
    assert.deepEqual(channels.boundPorts(), [])
    assert.equal(channels.bindIpi(0), port)
    assert.equal(channels.isPending(port), false)
  })

  test(`${abi}: there is no upcall for a masked event, nor for unmasking without one`, () => {
    const { guest, consumer } = started(abi)
    const { channels, vcpus } = guest.domain
    const [silent, masked] = [channels.bindIpi(1), channels.bindIpi(1)]
    const isCalled = () => vcpus[1]?.info.upcallPending
    consumer.mask(silent)
    consumer.mask(masked)
    assert.equal(channels.unmask(silent), 0)
    assert.equal(isCalled(), false)
    assert.equal(channels.isMasked(silent), false)
    channels.send(masked)
    assert.equal(isCalled(), false)
    channels.unmask(masked)
    assert.equal(isCalled(), true)
  })

  test(`${abi}: VIRQs, IPIs and interdomain events come to their processors`, () => {
    const { guest, consumer } = started(abi)
    const { channels, domid } = guest.domain
    const timers = [0, 1, 2].map((vcpu) => channels.bindVirq(VIRQ_TIMER, vcpu))
    assert.equal(channels.bindVirq(VIRQ_TIMER, 1), -XEN_EEXIST)
    const ipi = channels.bindIpi(2)
    const remote = channels.allocUnbound(0)
    const { control } = guest.host.hypervisor
    const sender = control.channels.bindInterdomain(domid, remote)
    channels.bindVcpu(remote, 1)
    channels.raiseVirq(VIRQ_TIMER, 0)
    channels.raiseVirq(VIRQ_TIMER, 2)
    channels.raiseVirq(VIRQ_DEBUG, 2)
    channels.send(ipi)
    control.channels.send(sender)
    assert.deepEqual(
      [0, 1, 2].map((vcpu) => portsTaken(consumer, vcpu)),
      [[timers[0]], [remote], [timers[2], ipi]],
    )
  })

  test(`${abi}: a processor that polls a port wakes, and polling a pending one does not sleep`, () => {
    const { guest } = started(abi)
    const { channels } = guest.domain
    const port = channels.bindIpi(1)
    const poll = () => {
      guest.put32(0x9000, port)
      return guest.operate(__HYPERVISOR_sched_op, SCHEDOP_poll, sched_poll, {
        ports: 0x9000n,
        nr_ports: 1,
      }).result
    }
    assert.equal(poll(), 0)
    assert.equal(guest.vcpu().state, 'polling')
    channels.send(port)
    assert.equal(guest.vcpu().state, 'runnable')
    assert.equal(poll(), 0)
    assert.equal(guest.vcpu().state, 'runnable')
  })

  test(`${abi}: the state goes on elsewhere in the middle of the traffic`, () => {
    const { guest, consumer } = started(abi)
    const { channels } = guest.domain
    const ports = [0, 0, 0, 0].map(() => channels.bindIpi(1)) as [number, number, number, number]
    channels.setPriority(ports[2], 3)
    consumer.mask(ports[3])
    for (const port of [ports[0], ports[2], ports[3]]) channels.send(port)
    const moved = guestOf(moveHost(guest.host), guest)
    assert.deepEqual(moved.domain.save(), guest.domain.save())
    consumer.moveTo(moved)
    moved.domain.channels.send(ports[1])
    const expected = abi === 'fifo' ? [ports[2], ports[0], ports[1]] : ports.slice(0, 3)
    assert.deepEqual(portsTaken(consumer, 1), expected)
    moved.domain.channels.unmask(ports[3])
    assert.deepEqual(portsTaken(consumer, 1), [ports[3]])
    assert.equal(moved.domain.events.guestPages, guest.domain.events.guestPages)
  })

  test(`${abi}: a domain that ends gives its pages back`, () => {
    const host = new TestHost()
    const before = host.frames.freeFrames
    const guest = guestWith([abi], host)
    consumerOf(abi, guest, PORTS)
    // The frame of the shared page belongs to Xen: the guest's map must not free it.
    guest.domain.physMap.set(FIRST_GFN, -1, 1)
    host.hypervisor.destroyDomain(guest.domain)
    assert.equal(host.frames.freeFrames, before)
  })
}

test('a PIRQ is bound once, raised, moved and closed', () => {
  const guest = new TestHost().guest()
  const { shared, vcpus } = guest.domain
  const ports = new EventPorts()
  const upcalls: number[] = []
  const abi = new TwoLevelEvents(
    ports,
    shared,
    vcpus.map((vcpu) => vcpu.info),
    { upcall: (vcpu) => upcalls.push(vcpu), wakePollers: () => {} },
  )
  const channels = new EventChannels(
    { domid: 1, maxPort: 100, vcpuCount: 2, pirqCount: 4, channelsOf: () => undefined },
    ports,
    abi,
  )
  const port = channels.bindPirq(3)
  assert.equal(channels.bindPirq(3), -XEN_EEXIST)
  assert.equal(channels.bindPirq(4), -XEN_EINVAL)
  assert.equal(channels.port(port)?.state, PortState.pirq)
  assert.equal(channels.bindVcpu(port, 1), 0)
  channels.raisePirq(3)
  channels.raisePirq(2)
  assert.deepEqual(upcalls, [1])
  assert.ok(channels.isPending(port))
  const copy = new EventChannels(
    { domid: 1, maxPort: 100, vcpuCount: 2, pirqCount: 4, channelsOf: () => undefined },
    new EventPorts(),
    abi,
  )
  copy.restore(structuredClone(channels.save()), abi)
  assert.equal(copy.bindPirq(3), -XEN_EEXIST)
  assert.equal(copy.close(port), 0)
  assert.equal(copy.bindPirq(3), port)
})

test('a hypercall binds under three levels as under two', () => {
  const { guest } = started('3l')
  const { result, port } = guest.operate(
    __HYPERVISOR_event_channel_op,
    EVTCHNOP_bind_virq,
    evtchn_bind_virq,
    { virq: VIRQ_TIMER, vcpu: 1 },
  )
  assert.equal(result, 0)
  guest.domain.channels.raiseVirq(VIRQ_TIMER, 1)
  assert.ok(guest.domain.channels.isPending(port))
})
