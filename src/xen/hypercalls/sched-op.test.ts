import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  XEN_EFAULT,
  XEN_EINVAL,
  XEN_ENOSPC,
  XEN_ENOSYS,
  XEN_EPERM,
  XEN_ESRCH,
} from '../abi/errno.ts'
import * as abi from '../abi/sched.ts'
import { __HYPERVISOR_sched_op as OP } from '../abi/xen.ts'
import { NOWHERE, type TestGuest, TestHost } from '../testing/test-host.ts'

function poll(guest: TestGuest, ports: readonly number[], timeout = 0n) {
  const list = new Uint8Array(new Uint32Array(ports).buffer)
  guest.put(0x9000, list)
  return guest.operate(OP, abi.SCHEDOP_poll, abi.sched_poll, {
    ports: 0x9000n,
    nr_ports: ports.length,
    timeout,
  }).result
}

test('shutdown ends the domain with its reason, and the first one stands', () => {
  const ended: number[] = []
  const host = new TestHost({ onShutdown: (domain) => ended.push(domain.domid) })
  const guest = host.guest()
  const stop = (reason: number) =>
    guest.operate(OP, abi.SCHEDOP_shutdown, abi.sched_shutdown, { reason }).result
  assert.equal(stop(abi.SHUTDOWN_crash), 0)
  assert.equal(stop(abi.SHUTDOWN_reboot), 0)
  assert.equal(guest.domain.shutdownReason, abi.SHUTDOWN_crash)
  assert.equal(guest.vcpu(0).isRunnable, false)
  assert.deepEqual(ended, [guest.domain.domid])
})

test('a shutdown code that was told beforehand wins', () => {
  const guest = new TestHost().guest()
  guest.operate(OP, abi.SCHEDOP_shutdown_code, abi.sched_shutdown, { reason: abi.SHUTDOWN_crash })
  guest.operate(OP, abi.SCHEDOP_shutdown, abi.sched_shutdown, { reason: abi.SHUTDOWN_reboot })
  assert.equal(guest.domain.shutdownReason, abi.SHUTDOWN_crash)
})

test('block waits for an event', () => {
  const guest = new TestHost().guest()
  const port = guest.domain.channels.bindIpi(0)
  assert.equal(guest.call(OP, [abi.SCHEDOP_block, 0]), 0)
  assert.equal(guest.vcpu(0).state, 'blocked')
  guest.domain.channels.raise(port)
  assert.equal(guest.vcpu(0).state, 'runnable')
})

test('block returns at once when there is something to deliver', () => {
  const guest = new TestHost().guest()
  guest.apic(0).raised.add(0x40)
  assert.equal(guest.call(OP, [abi.SCHEDOP_block, 0]), 0)
  assert.equal(guest.vcpu(0).state, 'runnable')
})

test('poll waits for its port, and not for another', () => {
  const guest = new TestHost().guest()
  // Masked ports raise no upcall: polling is how one waits for them.
  const [wanted, other] = [0, 0].map(() => guest.domain.channels.bindIpi(1)) as [number, number]
  assert.equal(poll(guest, [wanted]), 0)
  assert.equal(guest.vcpu(0).state, 'polling')
  guest.domain.channels.raise(other)
  assert.equal(guest.vcpu(0).state, 'polling')
  guest.domain.channels.raise(wanted)
  assert.equal(guest.vcpu(0).state, 'runnable')
})

test('poll for several ports ends with any of them, or at its timeout', () => {
  const host = new TestHost()
  const guest = host.guest()
  const ports = [0, 0].map(() => guest.domain.channels.bindIpi(1))
  assert.equal(poll(guest, ports), 0)
  guest.domain.channels.raise(ports[1] as number)
  assert.equal(guest.vcpu(0).state, 'runnable')
  assert.equal(poll(guest, [], 5000n), 0)
  assert.equal(guest.vcpu(0).state, 'polling')
  host.clock.skipTo(5000)
  host.timers.runExpired(5000)
  assert.equal(guest.vcpu(0).state, 'runnable')
})

test('poll returns at once for a port that is pending', () => {
  const guest = new TestHost().guest()
  const port = guest.domain.channels.bindIpi(1)
  guest.domain.channels.raise(port)
  assert.equal(poll(guest, [port]), 0)
  assert.equal(guest.vcpu(0).state, 'runnable')
})

test('poll refuses ports that were never allocated, and lists too long (XSA-221)', () => {
  const guest = new TestHost().guest()
  assert.equal(poll(guest, [1000]), -XEN_EINVAL)
  assert.equal(poll(guest, [0xffffffff]), -XEN_EINVAL)
  assert.equal(poll(guest, new Array(129).fill(1)), -XEN_EINVAL)
  const nowhere = guest.operate(OP, abi.SCHEDOP_poll, abi.sched_poll, {
    ports: NOWHERE,
    nr_ports: 1,
  })
  assert.equal(nowhere.result, -XEN_EFAULT)
  assert.equal(guest.vcpu(0).state, 'runnable')
})

test('watchdogs are two, are extended and stopped, and end the domain', () => {
  const host = new TestHost()
  const guest = host.guest()
  const watchdog = (id: number, timeout: number) =>
    guest.operate(OP, abi.SCHEDOP_watchdog, abi.sched_watchdog, { id, timeout }).result
  assert.equal(watchdog(3, 10), -XEN_EINVAL)
  assert.equal(watchdog(1, 10), -XEN_EINVAL, 'not started')
  assert.equal(watchdog(0, 0), -XEN_EINVAL)
  assert.equal(watchdog(0, 10), 1)
  assert.equal(watchdog(0, 20), 2)
  assert.equal(watchdog(0, 30), -XEN_ENOSPC)
  assert.equal(watchdog(1, 0), 0)
  assert.equal(watchdog(2, 40), 0)
  host.clock.skipTo(30e9)
  host.timers.runExpired(30e9)
  assert.equal(guest.domain.shutdownReason, undefined)
  host.clock.skipTo(40e9)
  host.timers.runExpired(40e9)
  assert.equal(guest.domain.shutdownReason, abi.SHUTDOWN_watchdog)
})

test('other domains are out of reach, and so is pinning', () => {
  const host = new TestHost()
  const guest = host.guest()
  const other = host.guest()
  const remote = (domain_id: number) =>
    guest.operate(OP, abi.SCHEDOP_remote_shutdown, abi.sched_remote_shutdown, { domain_id }).result
  assert.equal(remote(other.domain.domid), -XEN_EPERM)
  assert.equal(remote(99), -XEN_ESRCH)
  assert.equal(guest.call(OP, [abi.SCHEDOP_pin_override, guest.argument]), -XEN_EPERM)
})

test('arguments nowhere are EFAULT, operations that do not exist ENOSYS', () => {
  const guest = new TestHost().guest()
  for (const operation of [2, 3, 4, 5, 6, 7]) {
    assert.equal(guest.call(OP, [operation, NOWHERE]), -XEN_EFAULT, `operation ${operation}`)
  }
  assert.equal(guest.call(OP, [8, 0]), -XEN_ENOSYS)
})
