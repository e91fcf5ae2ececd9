import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  XEN_EEXIST,
  XEN_EFAULT,
  XEN_EINVAL,
  XEN_ENOENT,
  XEN_ENOSYS,
  XEN_ETIME,
} from '../abi/errno.ts'
import * as hvm from '../abi/hvm-vcpu.ts'
import { SHUTDOWN_poweroff } from '../abi/sched.ts'
import * as abi from '../abi/vcpu.ts'
import {
  __HYPERVISOR_vcpu_op as OP,
  VCPU_INFO_TIME,
  VIRQ_TIMER,
  vcpu_time_info,
} from '../abi/xen.ts'
import type { VcpuContext } from '../processor.ts'
import { NOWHERE, type TestGuest, TestHost } from '../testing/test-host.ts'

const ARGUMENT = 0x8000

function op(guest: TestGuest, operation: number, vcpu: number, bytes?: Uint8Array, from = 0) {
  if (bytes) guest.put(ARGUMENT, bytes)
  return guest.call(OP, [operation, vcpu, bytes ? ARGUMENT : 0], from)
}

function context64(): Uint8Array {
  const registers = hvm.vcpu_hvm_x86_64.encode(64, {
    rip: 0x100000n,
    rsp: 0x5000n,
    rdi: 7n,
    cr0: 0x80000011n,
    cr3: 0x3000n,
    cr4: 0x20n,
    efer: 0x500n,
    rflags: 2n,
  })
  return hvm.vcpu_hvm_context.encode(64, { mode: hvm.VCPU_HVM_MODE_64B, cpu_regs: registers })
}

function context32(values: object = {}): Uint8Array {
  const registers = hvm.vcpu_hvm_x86_32.encode(64, {
    eip: 0x1000,
    cr0: 0x11,
    cs_limit: 0xffffffff,
    ds_limit: 0xffffffff,
    ss_limit: 0xffffffff,
    es_limit: 0xffffffff,
    tr_limit: 0x67,
    cs_ar: 0xc9b,
    ds_ar: 0xc93,
    ss_ar: 0xc93,
    es_ar: 0xc93,
    tr_ar: 0x8b,
    ...values,
  })
  return hvm.vcpu_hvm_context.encode(64, { mode: hvm.VCPU_HVM_MODE_32B, cpu_regs: registers })
}

test('processors that do not exist are ENOENT, whatever is asked', () => {
  const guest = new TestHost().guest()
  for (const vcpu of [2, 8191, 0xffffffff]) {
    assert.equal(guest.call(OP, [abi.VCPUOP_is_up, vcpu, 0]), -XEN_ENOENT)
  }
  assert.equal(guest.call(OP, [abi.VCPUOP_register_vcpu_info, 9, NOWHERE]), -XEN_ENOENT)
})

test('a processor is initialised once, and then brought up', () => {
  const guest = new TestHost().guest()
  assert.equal(op(guest, abi.VCPUOP_is_up, 0), 1)
  assert.equal(op(guest, abi.VCPUOP_is_up, 1), 0)
  assert.equal(op(guest, abi.VCPUOP_up, 1), -XEN_EINVAL, 'before it is initialised')
  assert.equal(op(guest, abi.VCPUOP_initialise, 1, context64()), 0)
  assert.equal(op(guest, abi.VCPUOP_initialise, 1, context64()), -XEN_EEXIST)
  assert.equal(op(guest, abi.VCPUOP_is_up, 1), 0)
  assert.equal(op(guest, abi.VCPUOP_up, 1), 0)
  assert.equal(op(guest, abi.VCPUOP_is_up, 1), 1)
  const context = guest.processor(1).control.at(-1) as VcpuContext
  assert.equal(context.is64, true)
  assert.equal(context.rip, 0x100000n)
  assert.deepEqual(context.registers, [0n, 0n, 0n, 0n, 0x5000n, 0n, 0n, 7n])
  assert.equal(context.efer, 0x500n)
})

test('a 32-bit context brings its segments, which have to make sense', () => {
  const guest = new TestHost().guest()
  const start = (values: object) => op(guest, abi.VCPUOP_initialise, 1, context32(values))
  assert.equal(start({ pad1: 1 }), -XEN_EINVAL)
  assert.equal(start({ cs_ar: 0xc93 }), -XEN_EINVAL, 'CS is no code')
  assert.equal(start({ cs_ar: 0xc1b }), -XEN_EINVAL, 'CS is not present')
  assert.equal(start({ ss_ar: 0xc91 }), -XEN_EINVAL, 'SS is not writable')
  assert.equal(start({ tr_ar: 0x92 }), -XEN_EINVAL, 'TR is no task')
  assert.equal(start({}), 0)
  const context = guest.processor(1).control.at(-1) as VcpuContext
  assert.deepEqual(context.segments.cs, { base: 0, limit: 0xffffffff, attributes: 0xc9b })
})

test('a context of an unknown mode, with padding, or nowhere is refused', () => {
  const guest = new TestHost().guest()
  const start = (values: object) =>
    op(guest, abi.VCPUOP_initialise, 1, hvm.vcpu_hvm_context.encode(64, values))
  assert.equal(start({ mode: 2 }), -XEN_EINVAL)
  assert.equal(start({ mode: 1, pad: 1 }), -XEN_EINVAL)
  assert.equal(guest.call(OP, [abi.VCPUOP_initialise, 1, NOWHERE]), -XEN_EFAULT)
})

test('the last processor that goes down takes the domain with it', () => {
  const guest = new TestHost().guest()
  op(guest, abi.VCPUOP_initialise, 1, context64())
  op(guest, abi.VCPUOP_up, 1)
  assert.equal(op(guest, abi.VCPUOP_down, 1), 0)
  assert.equal(op(guest, abi.VCPUOP_is_up, 1), 0)
  assert.equal(guest.domain.shutdownReason, undefined)
  assert.equal(op(guest, abi.VCPUOP_down, 0), 0)
  assert.equal(guest.domain.shutdownReason, SHUTDOWN_poweroff)
})

test('vcpu_info moves once, with what it held, and everything is looked at again', () => {
  const guest = new TestHost().guest()
  const move = (vcpu: number, mfn: bigint, offset: number) =>
    op(
      guest,
      abi.VCPUOP_register_vcpu_info,
      vcpu,
      abi.vcpu_register_vcpu_info.encode(64, { mfn, offset }),
    )
  assert.equal(move(0, 20n, 4096 - 63), -XEN_EINVAL, 'crosses the page')
  assert.equal(move(0, 9999n, 0), -XEN_EINVAL, 'no such page')
  assert.equal(move(0, 20n, 4096 - 64), 0)
  assert.equal(move(0, 21n, 0), -XEN_EINVAL, 'a second time')
  const at = 20 * 4096 + 4096 - 64
  assert.equal(guest.get(at, 1)[0], 1, 'the upcall is pending')
  assert.deepEqual(guest.get(at + 8, 8), new Uint8Array(8).fill(0xff))
  assert.notEqual(guest.get32(at + VCPU_INFO_TIME), 0, 'the time has a version')
  assert.equal(move(1, 20n, 0), 0, 'another processor that is down')
  guest.vcpu(1).bringUp()
})

test('vcpu_info of a running processor cannot be moved by another', () => {
  const guest = new TestHost().guest({ vcpus: 3 })
  guest.vcpu(1).bringUp()
  const bytes = abi.vcpu_register_vcpu_info.encode(64, { mfn: 20n })
  assert.equal(op(guest, abi.VCPUOP_register_vcpu_info, 1, bytes), -XEN_EINVAL)
})

test('the singleshot timer is for the caller itself, and raises VIRQ_TIMER', () => {
  const host = new TestHost()
  const guest = host.guest()
  const set = (vcpu: number, timeout: bigint, flags = 0) =>
    op(
      guest,
      abi.VCPUOP_set_singleshot_timer,
      vcpu,
      abi.vcpu_set_singleshot_timer.encode(64, { timeout_abs_ns: timeout, flags }),
    )
  const port = guest.domain.channels.bindVirq(VIRQ_TIMER, 0)
  host.clock.advance(1000)
  assert.equal(set(1, 5000n), -XEN_EINVAL)
  assert.equal(set(0, 500n, abi.VCPU_SSHOTTMR_future), -XEN_ETIME)
  assert.equal(set(0, 5000n), 0)
  assert.equal(host.timers.nextDeadline(), 5000)
  host.clock.skipTo(5000)
  host.timers.runExpired(5000)
  assert.ok(guest.domain.channels.isPending(port))
  assert.equal(set(0, 9000n), 0)
  assert.equal(op(guest, abi.VCPUOP_stop_singleshot_timer, 0), 0)
  assert.equal(op(guest, abi.VCPUOP_stop_singleshot_timer, 1), -XEN_EINVAL)
  assert.equal(host.timers.size, 0)
  assert.equal(set(0, 0xffffffffffffffffn), 0, 'never')
  assert.equal(host.timers.size, 0)
})

test('the periodic timer comes every period, and no more often than a millisecond', () => {
  const host = new TestHost()
  const guest = host.guest()
  const set = (period_ns: bigint) =>
    op(
      guest,
      abi.VCPUOP_set_periodic_timer,
      0,
      abi.vcpu_set_periodic_timer.encode(64, { period_ns }),
    )
  assert.equal(set(999_999n), -XEN_EINVAL)
  assert.equal(set(1_000_000n), 0)
  host.clock.skipTo(1_000_500)
  host.timers.runExpired(1_000_500)
  assert.equal(host.timers.nextDeadline(), 2_000_000, 'without drift')
  assert.equal(op(guest, abi.VCPUOP_stop_periodic_timer, 0), 0)
  assert.equal(host.timers.size, 0)
})

test('run states are told on request and kept in an area of the guest', () => {
  const host = new TestHost()
  const guest = host.guest()
  const area = abi.vcpu_register_runstate_memory_area.encode(64, { 'addr.p': 0x9000n })
  assert.equal(op(guest, abi.VCPUOP_register_runstate_memory_area, 0, area), 0)
  assert.equal(guest.read(abi.vcpu_runstate_info, 0x9000).state, abi.RUNSTATE_running)
  host.clock.advance(700)
  guest.vcpu(0).block()
  host.clock.advance(300)
  guest.vcpu(0).unblock()
  const info = guest.read(abi.vcpu_runstate_info, 0x9000)
  assert.equal(info.state, abi.RUNSTATE_running)
  assert.equal(info.state_entry_time, 1000n)
  assert.deepEqual(info.time, [700n, 0n, 300n, 0n])
  assert.equal(guest.call(OP, [abi.VCPUOP_get_runstate_info, 1, 0xa000]), 0)
  assert.equal(guest.read(abi.vcpu_runstate_info, 0xa000).state, abi.RUNSTATE_offline)
  assert.equal(guest.call(OP, [abi.VCPUOP_get_runstate_info, 1, NOWHERE]), -XEN_EFAULT)
})

test('a 32-bit guest reads run states without padding', () => {
  const host = new TestHost()
  const guest = host.guest()
  guest.width = 32
  const area = abi.vcpu_register_runstate_memory_area.encode(32, { 'addr.p': 0xdead00009000n })
  assert.equal(op(guest, abi.VCPUOP_register_runstate_memory_area, 0, area), 0)
  host.clock.advance(700)
  guest.vcpu(0).block()
  const bytes = guest.get(0x9000, 44)
  const view = new DataView(bytes.buffer, bytes.byteOffset)
  assert.equal(view.getUint32(0, true), abi.RUNSTATE_blocked)
  assert.equal(view.getBigUint64(4, true), 700n)
  assert.equal(view.getBigUint64(12, true), 700n)
})

test('the time area holds what vcpu_info holds', () => {
  const host = new TestHost()
  const guest = host.guest()
  host.clock.advance(12345)
  const area = abi.vcpu_register_time_memory_area.encode(64, { 'addr.p': 0x9000n })
  assert.equal(op(guest, abi.VCPUOP_register_vcpu_time_memory_area, 0, area), 0)
  const time = guest.read(vcpu_time_info, 0x9000)
  assert.equal(time.version % 2, 0)
  assert.equal(time.system_time, 12345n)
  assert.equal(time.tsc_timestamp, 12345n, 'a TSC of 1 GHz')
  // ns = ((ticks << shift) * mul) >> 32, as the guest computes it.
  const ns = ((1000n << BigInt(time.tsc_shift)) * BigInt(time.tsc_to_system_mul)) >> 32n
  assert.equal(ns, 1000n)
})

test('an NMI is sent with a null pointer', () => {
  const guest = new TestHost().guest()
  assert.equal(guest.call(OP, [abi.VCPUOP_send_nmi, 1, ARGUMENT]), -XEN_EINVAL)
  assert.equal(guest.call(OP, [abi.VCPUOP_send_nmi, 1, 0]), 0)
  assert.ok(guest.vcpu(1).isNmiPending)
})

test('arguments nowhere are EFAULT, operations that do not exist ENOSYS', () => {
  const guest = new TestHost().guest()
  for (const operation of [5, 6, 8, 10, 13]) {
    assert.equal(guest.call(OP, [operation, 0, NOWHERE]), -XEN_EFAULT, `operation ${operation}`)
  }
  assert.equal(guest.call(OP, [abi.VCPUOP_get_physid, 0, ARGUMENT]), -XEN_EINVAL)
  assert.equal(guest.call(OP, [14, 0, ARGUMENT]), -XEN_ENOSYS)
})
