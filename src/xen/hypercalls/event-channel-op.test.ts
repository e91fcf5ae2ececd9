import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  XEN_EEXIST,
  XEN_EFAULT,
  XEN_EINVAL,
  XEN_ENOENT,
  XEN_ENOSPC,
  XEN_ENOSYS,
  XEN_EOPNOTSUPP,
  XEN_EPERM,
  XEN_ESRCH,
} from '../abi/errno.ts'
import * as abi from '../abi/event-channel.ts'
import {
  __HYPERVISOR_event_channel_op as OP,
  DOMID_SELF,
  VIRQ_ARGO,
  VIRQ_DEBUG,
  VIRQ_TIMER,
} from '../abi/xen.ts'
import { NOWHERE, type TestGuest, TestHost } from '../testing/test-host.ts'

const EVTCHN_PENDING = 0x800
const EVTCHN_MASK = 0xa00

function allocUnbound(guest: TestGuest, remote_dom: number, dom = DOMID_SELF) {
  return guest.operate(OP, abi.EVTCHNOP_alloc_unbound, abi.evtchn_alloc_unbound, {
    dom,
    remote_dom,
  })
}

function status(guest: TestGuest, port: number, dom = DOMID_SELF) {
  return guest.operate(OP, abi.EVTCHNOP_status, abi.evtchn_status, { dom, port })
}

/** A channel between two guests; the ports of both. */
function connect(a: TestGuest, b: TestGuest): [number, number] {
  const { port } = allocUnbound(a, b.domain.domid)
  const bound = b.operate(OP, abi.EVTCHNOP_bind_interdomain, abi.evtchn_bind_interdomain, {
    remote_dom: a.domain.domid,
    remote_port: port,
  })
  assert.equal(bound.result, 0)
  return [port, bound.local_port]
}

const pending = (guest: TestGuest, port: number) => guest.domain.channels.isPending(port)

test('alloc_unbound gives the lowest free port, and never port 0', () => {
  const guest = new TestHost().guest()
  assert.deepEqual(
    [1, 2, 3].map(() => allocUnbound(guest, 0).port),
    [1, 2, 3],
  )
  guest.operate(OP, abi.EVTCHNOP_close, abi.evtchn_close, { port: 2 })
  assert.equal(allocUnbound(guest, 0).port, 2)
})

test('alloc_unbound for another domain is refused, and for one that is not there as well', () => {
  const host = new TestHost()
  const guest = host.guest()
  const other = host.guest()
  assert.equal(allocUnbound(guest, 0, other.domain.domid).result, -XEN_EPERM)
  assert.equal(allocUnbound(guest, 0, 99).result, -XEN_ESRCH)
})

test('ports end at max_event_channels with ENOSPC', () => {
  const guest = new TestHost().guest({ maxPort: 70 })
  for (let i = 1; i <= 70; i++) assert.equal(allocUnbound(guest, 0).port, i)
  assert.equal(allocUnbound(guest, 0).result, -XEN_ENOSPC)
})

test('two-level ports end at 4096 for a 64-bit guest (XSA-317)', () => {
  const guest = new TestHost().guest({ maxPort: 10_000 })
  for (let i = 1; i < 4096; i++) assert.equal(guest.domain.channels.allocUnbound(0), i)
  assert.equal(allocUnbound(guest, 0).result, -XEN_ENOSPC)
})

test('bind_interdomain connects two ports, and the local one is pending at once', () => {
  const host = new TestHost()
  const [a, b] = [host.guest(), host.guest()]
  const [portA, portB] = connect(a, b)
  assert.ok(pending(b, portB))
  assert.ok(!pending(a, portA))
  const seen = status(a, portA)
  assert.equal(seen.status, abi.EVTCHNSTAT_interdomain)
  assert.equal(seen['u.virq'] & 0xffff, b.domain.domid)
  assert.equal(seen['u.interdomain.port'], portB)
})

test('bind_interdomain refuses ports that are bound, reserved for others or not there', () => {
  const host = new TestHost()
  const [a, b, c] = [host.guest(), host.guest(), host.guest()]
  const bind = (remote_dom: number, remote_port: number) =>
    c.operate(OP, abi.EVTCHNOP_bind_interdomain, abi.evtchn_bind_interdomain, {
      remote_dom,
      remote_port,
    }).result
  const { port } = allocUnbound(a, b.domain.domid)
  assert.equal(bind(a.domain.domid, port), -XEN_EINVAL)
  assert.equal(bind(a.domain.domid, 9), -XEN_EINVAL)
  assert.equal(bind(a.domain.domid, 100_000), -XEN_EINVAL)
  assert.equal(bind(99, 1), -XEN_ESRCH)
  const [taken] = connect(a, b)
  assert.equal(bind(a.domain.domid, taken), -XEN_EINVAL)
})

test('send reaches the other end and leaves its own end alone', () => {
  const host = new TestHost()
  const [a, b] = [host.guest(), host.guest()]
  const [portA, portB] = connect(a, b)
  const send = (guest: TestGuest, port: number) =>
    guest.operate(OP, abi.EVTCHNOP_send, abi.evtchn_send, { port }).result
  assert.equal(send(b, portB), 0)
  assert.ok(pending(a, portA))
  assert.equal(send(a, allocUnbound(a, 0).port), 0, 'to nobody')
  assert.equal(send(a, 60), -XEN_EINVAL, 'a port that is not bound')
  assert.equal(send(a, 1_000_000), -XEN_EINVAL)
})

test('closing one end leaves the other unbound, and only for the same domain', () => {
  const host = new TestHost()
  const [a, b] = [host.guest(), host.guest()]
  const [portA, portB] = connect(a, b)
  const close = (guest: TestGuest, port: number) =>
    guest.operate(OP, abi.EVTCHNOP_close, abi.evtchn_close, { port }).result
  assert.equal(close(b, portB), 0)
  assert.equal(close(b, portB), -XEN_EINVAL)
  assert.equal(close(b, 0), -XEN_EINVAL, 'port 0 is reserved')
  const seen = status(a, portA)
  assert.equal(seen.status, abi.EVTCHNSTAT_unbound)
  assert.equal(seen['u.virq'] & 0xffff, b.domain.domid)
  assert.equal(status(b, portB).status, abi.EVTCHNSTAT_closed)
})

test('bind_virq checks the number, the processor, and that it is not bound yet', () => {
  const guest = new TestHost().guest()
  const bind = (virq: number, vcpu: number) =>
    guest.operate(OP, abi.EVTCHNOP_bind_virq, abi.evtchn_bind_virq, { virq, vcpu })
  assert.equal(bind(24, 0).result, -XEN_EINVAL)
  assert.equal(bind(VIRQ_TIMER, 7).result, -XEN_ENOENT)
  assert.equal(bind(VIRQ_ARGO, 1).result, -XEN_EINVAL, 'a VIRQ of the whole domain')
  assert.equal(bind(VIRQ_TIMER, 1).result, 0)
  assert.equal(bind(VIRQ_TIMER, 1).result, -XEN_EEXIST)
  const { port } = bind(VIRQ_TIMER, 0)
  const seen = status(guest, port)
  assert.deepEqual([seen.status, seen.vcpu, seen['u.virq']], [abi.EVTCHNSTAT_virq, 0, VIRQ_TIMER])
  guest.operate(OP, abi.EVTCHNOP_close, abi.evtchn_close, { port })
  assert.equal(bind(VIRQ_TIMER, 0).result, 0, 'after it was closed')
})

test('an IPI is pending for the processor that it is bound to', () => {
  const guest = new TestHost().guest()
  const bound = guest.operate(OP, abi.EVTCHNOP_bind_ipi, abi.evtchn_bind_ipi, { vcpu: 1 })
  assert.equal(bound.result, 0)
  assert.equal(
    guest.operate(OP, abi.EVTCHNOP_bind_ipi, abi.evtchn_bind_ipi, { vcpu: 2 }).result,
    -XEN_ENOENT,
  )
  guest.operate(OP, abi.EVTCHNOP_send, abi.evtchn_send, { port: bound.port })
  assert.ok(guest.vcpu(1).info.upcallPending)
  assert.ok(!guest.vcpu(0).info.upcallPending)
})

test('bind_vcpu moves what may be moved', () => {
  const host = new TestHost()
  const guest = host.guest()
  const move = (port: number, vcpu: number) =>
    guest.operate(OP, abi.EVTCHNOP_bind_vcpu, abi.evtchn_bind_vcpu, { port, vcpu }).result
  const virq = (number: number) =>
    guest.operate(OP, abi.EVTCHNOP_bind_virq, abi.evtchn_bind_virq, { virq: number, vcpu: 0 }).port
  const { port } = allocUnbound(guest, 0)
  assert.equal(move(port, 1), 0)
  assert.equal(status(guest, port).vcpu, 1)
  assert.equal(move(port, 5), -XEN_ENOENT)
  assert.equal(move(1000, 0), -XEN_EINVAL)
  assert.equal(move(virq(VIRQ_TIMER), 1), -XEN_EINVAL, 'a VIRQ of one processor')
  assert.equal(move(virq(VIRQ_ARGO), 1), 0)
  const ipi = guest.operate(OP, abi.EVTCHNOP_bind_ipi, abi.evtchn_bind_ipi, { vcpu: 0 }).port
  assert.equal(move(ipi, 1), -XEN_EINVAL)
})

test('a masked event waits in the pending bit and is delivered by unmask', () => {
  const host = new TestHost()
  const guest = host.guest()
  const { port } = guest.operate(OP, abi.EVTCHNOP_bind_ipi, abi.evtchn_bind_ipi, { vcpu: 0 })
  guest.call(12, [7, mapSharedInfo(guest, 20)])
  guest.put(20 * 4096 + EVTCHN_MASK, new Uint8Array([0xff]))
  guest.operate(OP, abi.EVTCHNOP_send, abi.evtchn_send, { port })
  assert.equal(guest.get(20 * 4096 + EVTCHN_PENDING, 1)[0], 1 << port)
  assert.equal(guest.get(20 * 4096, 1)[0], 0, 'no upcall while masked')
  assert.equal(guest.operate(OP, abi.EVTCHNOP_unmask, abi.evtchn_unmask, { port }).result, 0)
  assert.equal(guest.get(20 * 4096, 1)[0], 1)
  assert.equal(guest.get(20 * 4096 + 8, 1)[0], 1, 'the selector bit of word 0')
})

/** Writes the arguments of XENMEM_add_to_physmap(shared_info, gfn); answers their address. */
function mapSharedInfo(guest: TestGuest, gfn: number): bigint {
  const view = new DataView(new ArrayBuffer(24))
  view.setUint16(0, DOMID_SELF, true)
  view.setBigUint64(16, BigInt(gfn), true)
  guest.put(guest.argument, new Uint8Array(view.buffer))
  return guest.argument
}

test('set_priority is unknown to two-level events', () => {
  const guest = new TestHost().guest()
  const { port } = allocUnbound(guest, 0)
  const set = (p: number, priority: number) =>
    guest.operate(OP, abi.EVTCHNOP_set_priority, abi.evtchn_set_priority, { port: p, priority })
      .result
  assert.equal(set(port, 3), -XEN_ENOSYS)
  assert.equal(set(5000, 3), -XEN_EINVAL)
})

test('init_control checks its arguments; a failure leaves no trace (XSA-188)', () => {
  const guest = new TestHost().guest()
  const init = (vcpu: number, gfn: bigint, offset: number) =>
    guest.operate(OP, abi.EVTCHNOP_init_control, abi.evtchn_init_control, {
      control_gfn: gfn,
      offset,
      vcpu,
    })
  const expand = (gfn: bigint) =>
    guest.operate(OP, abi.EVTCHNOP_expand_array, abi.evtchn_expand_array, { array_gfn: gfn }).result
  assert.equal(init(2, 20n, 0).result, -XEN_ENOENT)
  assert.equal(init(0, 20n, 4096 - 64).result, -XEN_EINVAL, 'crosses the page')
  assert.equal(init(0, 20n, 12).result, -XEN_EINVAL, 'not aligned')
  assert.equal(init(0, 1n << 40n, 0).result, -XEN_EINVAL, 'no such frame')
  assert.equal(expand(21n), -XEN_EOPNOTSUPP)
  assert.equal(guest.domain.channels.abi.name, '2-level')
  const done = init(0, 20n, 4096 - 72)
  assert.equal(done.result, 0)
  assert.equal(done.link_bits, 17)
  assert.equal(init(0, 22n, 0).result, -XEN_EINVAL, 'a second time')
  assert.equal(guest.domain.channels.abi.name, 'FIFO')
  assert.equal(expand(1n << 40n), -XEN_EINVAL)
  assert.equal(expand(21n), 0)
})

test('expand_array ends with ENOSPC after 128 pages', () => {
  const guest = new TestHost().guest({ maxPages: 256 }, 200)
  guest.operate(OP, abi.EVTCHNOP_init_control, abi.evtchn_init_control, { control_gfn: 20n })
  for (let i = 0; i < 128; i++) assert.equal(guest.domain.events.expandArray(BigInt(40 + i)), 0)
  assert.equal(
    guest.operate(OP, abi.EVTCHNOP_expand_array, abi.evtchn_expand_array, { array_gfn: 180n })
      .result,
    -XEN_ENOSPC,
  )
})

test('events that are pending when FIFO takes over are raised again', () => {
  const guest = new TestHost().guest()
  const { port } = guest.operate(OP, abi.EVTCHNOP_bind_ipi, abi.evtchn_bind_ipi, { vcpu: 0 })
  guest.operate(OP, abi.EVTCHNOP_send, abi.evtchn_send, { port })
  guest.operate(OP, abi.EVTCHNOP_init_control, abi.evtchn_init_control, { control_gfn: 20n })
  guest.operate(OP, abi.EVTCHNOP_expand_array, abi.evtchn_expand_array, { array_gfn: 21n })
  assert.equal(guest.get32(21 * 4096 + 4 * port) >>> 29, 0b101, 'PENDING and LINKED')
  assert.equal(guest.get32(20 * 4096), 1 << 7, 'the default priority is ready')
  assert.equal(guest.get32(20 * 4096 + 8 + 4 * 7), port)
})

test('reset closes all ports and returns to two-level events', () => {
  const host = new TestHost()
  const [a, b] = [host.guest(), host.guest()]
  const [portA, portB] = connect(a, b)
  a.operate(OP, abi.EVTCHNOP_init_control, abi.evtchn_init_control, { control_gfn: 20n })
  const before = host.frames.count[host.frames.indexOf(a.domain.physMap.ramAt(20) as never)]
  assert.equal(before, 2)
  const reset = (dom: number) => a.operate(OP, abi.EVTCHNOP_reset, abi.evtchn_reset, { dom }).result
  assert.equal(reset(99), -XEN_ESRCH)
  assert.equal(reset(b.domain.domid), -XEN_EPERM)
  assert.equal(reset(DOMID_SELF), 0)
  assert.equal(a.domain.channels.abi.name, '2-level')
  assert.deepEqual(a.domain.channels.boundPorts(), [])
  assert.equal(host.frames.count[host.frames.indexOf(a.domain.physMap.ramAt(20) as never)], 1)
  assert.equal(status(b, portB).status, abi.EVTCHNSTAT_unbound)
  // The other side may still send: nobody is there (XSA-343).
  assert.equal(b.operate(OP, abi.EVTCHNOP_send, abi.evtchn_send, { port: portB }).result, 0)
  assert.ok(!pending(a, portA))
})

test('status of another domain is refused', () => {
  const host = new TestHost()
  const [a, b] = [host.guest(), host.guest()]
  assert.equal(status(a, 1, b.domain.domid).result, -XEN_EPERM)
  assert.equal(status(a, 1, 99).result, -XEN_ESRCH)
  assert.equal(status(a, 5000).result, -XEN_EINVAL)
})

test('a pointer to nowhere is EFAULT, an operation that does not exist ENOSYS', () => {
  const guest = new TestHost().guest()
  for (let operation = 0; operation <= 13; operation++) {
    assert.equal(guest.call(OP, [operation, NOWHERE]), -XEN_EFAULT, `operation ${operation}`)
  }
  assert.equal(guest.call(OP, [14, guest.argument]), -XEN_ENOSYS)
  assert.equal(
    guest.host.hypervisor.counters.snapshot().get('event_channel_op operation 14')?.calls,
    1,
  )
})

test('a guest cannot send through, move or close a port of Xen itself', () => {
  const guest = new TestHost().guest()
  const { port } = allocUnbound(guest, 0)
  guest.domain.channels.attachXen(port)
  assert.equal(
    guest.operate(OP, abi.EVTCHNOP_close, abi.evtchn_close, { port }).result,
    -XEN_EINVAL,
  )
  assert.equal(guest.operate(OP, abi.EVTCHNOP_send, abi.evtchn_send, { port }).result, -XEN_EINVAL)
  assert.equal(
    guest.operate(OP, abi.EVTCHNOP_bind_vcpu, abi.evtchn_bind_vcpu, { port, vcpu: 1 }).result,
    -XEN_EINVAL,
  )
})

test('the two VIRQs of each processor are told apart', () => {
  const guest = new TestHost().guest()
  const ports = [0, 1].map(
    (vcpu) =>
      guest.operate(OP, abi.EVTCHNOP_bind_virq, abi.evtchn_bind_virq, { virq: VIRQ_DEBUG, vcpu })
        .port,
  )
  guest.domain.channels.raiseVirq(VIRQ_DEBUG, 1)
  assert.deepEqual(
    ports.map((port) => pending(guest, port)),
    [false, true],
  )
})
