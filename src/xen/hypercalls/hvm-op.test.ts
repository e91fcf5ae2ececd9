import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  XEN_EFAULT,
  XEN_EINVAL,
  XEN_ENOENT,
  XEN_ENOSYS,
  XEN_EOPNOTSUPP,
  XEN_EPERM,
  XEN_ESRCH,
} from '../abi/errno.ts'
import * as abi from '../abi/hvm-op.ts'
import * as params from '../abi/hvm-params.ts'
import { __HYPERVISOR_hvm_op as OP, DOMID_SELF } from '../abi/xen.ts'
import { NOWHERE, type TestGuest, TestHost } from '../testing/test-host.ts'

const set = (guest: TestGuest, index: number, value: bigint, domid = DOMID_SELF) =>
  guest.operate(OP, abi.HVMOP_set_param, abi.xen_hvm_param, { domid, index, value }).result
const get = (guest: TestGuest, index: number, domid = DOMID_SELF) =>
  guest.operate(OP, abi.HVMOP_get_param, abi.xen_hvm_param, { domid, index })

test('a guest reads where its console and xenstore are, and cannot move them', () => {
  const guest = new TestHost().guest()
  guest.domain.params.set(params.HVM_PARAM_STORE_PFN, 0xfeffcn)
  guest.domain.params.set(params.HVM_PARAM_CONSOLE_EVTCHN, 2n)
  assert.equal(get(guest, params.HVM_PARAM_STORE_PFN).value, 0xfeffcn)
  assert.equal(get(guest, params.HVM_PARAM_CONSOLE_EVTCHN).value, 2n)
  assert.equal(set(guest, params.HVM_PARAM_STORE_PFN, 1n), -XEN_EPERM)
  assert.equal(set(guest, params.HVM_PARAM_CONSOLE_EVTCHN, 5n), 0)
})

test('parameters of the toolstack are hidden, unknown ones invalid', () => {
  const host = new TestHost()
  const guest = host.guest()
  const other = host.guest()
  assert.equal(get(guest, params.HVM_PARAM_IDENT_PT).result, -XEN_EPERM)
  assert.equal(get(guest, 39).result, -XEN_EINVAL)
  assert.equal(set(guest, 0xffffffff, 0n), -XEN_EINVAL)
  assert.equal(get(guest, params.HVM_PARAM_STORE_PFN, other.domain.domid).result, -XEN_EPERM)
  assert.equal(get(guest, params.HVM_PARAM_STORE_PFN, 99).result, -XEN_ESRCH)
})

test('a callback vector is injected while events are pending, without the APIC', () => {
  const guest = new TestHost().guest()
  const port = guest.domain.channels.bindIpi(0)
  assert.equal(set(guest, params.HVM_PARAM_CALLBACK_IRQ, (2n << 56n) | 0xf3n), 0)
  assert.equal(guest.vcpu(0).pendingInterrupt(), -1)
  guest.domain.channels.raise(port)
  assert.equal(guest.vcpu(0).pendingInterrupt(), 0xf3)
  assert.equal(guest.apic(0).raised.size, 0)
  guest.processor(0).host.acknowledgeInterrupt(0xf3)
  assert.equal(guest.vcpu(0).pendingInterrupt(), 0xf3, 'until the guest clears the flag')
})

test('setting the callback from 32-bit code makes the shared page a 32-bit one', () => {
  const guest = new TestHost().guest()
  guest.width = 32
  set(guest, params.HVM_PARAM_CALLBACK_IRQ, 1n)
  assert.equal(guest.domain.shared.width, 32)
  assert.equal(guest.domain.channels.abi.maxPorts, 1024)
})

test('an upcall vector goes through the APIC, and is raised once when it is set', () => {
  const guest = new TestHost().guest()
  const vector = (vcpu: number, value: number) =>
    guest.operate(OP, abi.HVMOP_set_evtchn_upcall_vector, abi.xen_hvm_evtchn_upcall_vector, {
      vcpu,
      vector: value,
    }).result
  assert.equal(vector(0, 0x0f), -XEN_EINVAL)
  assert.equal(vector(7, 0xf3), -XEN_ENOENT)
  assert.equal(vector(0, 0xf3), 0)
  assert.deepEqual([...guest.apic(0).raised], [0xf3])
  guest.apic(0).raised.clear()
  guest.domain.channels.raise(guest.domain.channels.bindIpi(0))
  assert.deepEqual([...guest.apic(0).raised], [0xf3])
})

test('get_time is the time of the hypervisor', () => {
  const host = new TestHost()
  const guest = host.guest()
  host.clock.advance(777)
  assert.equal(guest.operate(OP, abi.HVMOP_get_time, abi.xen_hvm_get_time, {}).now, 777n)
})

test('get_mem_type tells memory from the rest', () => {
  const guest = new TestHost().guest()
  const type = (pfn: bigint) =>
    guest.operate(OP, abi.HVMOP_get_mem_type, abi.xen_hvm_get_mem_type, { domid: DOMID_SELF, pfn })
      .mem_type
  assert.equal(type(3n), abi.HVMMEM_ram_rw)
  assert.equal(type(0xfee00n), abi.HVMMEM_mmio_dm)
  assert.equal(type(1n << 60n), abi.HVMMEM_mmio_dm)
})

test('flush_tlbs flushes all processors', () => {
  const guest = new TestHost().guest()
  const before = guest.processor(1).tlbFlushes
  assert.equal(guest.call(OP, [abi.HVMOP_flush_tlbs, 0]), 0)
  assert.equal(guest.call(OP, [abi.HVMOP_flush_tlbs, guest.argument]), -XEN_EINVAL)
  assert.equal(guest.processor(1).tlbFlushes, before + 1)
})

test('pagetable_dying is of no use with hardware paging', () => {
  const guest = new TestHost().guest()
  const { result } = guest.operate(OP, abi.HVMOP_pagetable_dying, abi.xen_hvm_pagetable_dying, {
    domid: DOMID_SELF,
  })
  assert.equal(result, -XEN_EINVAL)
})

test('what is switched off or gone is told apart', () => {
  const guest = new TestHost().guest()
  assert.equal(guest.call(OP, [abi.HVMOP_altp2m, guest.argument]), -XEN_EOPNOTSUPP)
  for (const gone of [2, 3, 4, 7, 8, 12, 13, 16, 26]) {
    assert.equal(guest.call(OP, [gone, guest.argument]), -XEN_ENOSYS, `operation ${gone}`)
  }
  for (const operation of [0, 1, 9, 10, 11, 15, 23]) {
    assert.equal(guest.call(OP, [operation, NOWHERE]), -XEN_EFAULT, `operation ${operation}`)
  }
})
