import assert from 'node:assert/strict'
import { test } from 'node:test'
import { XEN_EFAULT, XEN_EINVAL, XEN_ENOSYS, XEN_EOPNOTSUPP } from '../abi/errno.ts'
import * as abi from '../abi/event-channel-3l.ts'
import { __HYPERVISOR_event_channel_op as OP } from '../abi/xen.ts'
import { NOWHERE, type TestGuest, TestHost } from '../testing/test-host.ts'

const LISTS = 0x9000

function guestWithThreeLevels(): TestGuest {
  return new TestHost().guest({ eventAbis: ['2l', '3l'] })
}

/** Registers the bitmaps from guest frame 20 on, as lists in the caller's width. */
function registerBitmaps(guest: TestGuest, pages: number): number {
  const long = guest.width / 8
  for (let i = 0; i < 2 * pages; i++) {
    guest.put32(LISTS + i * long, 20 + i)
    if (long === 8) guest.put32(LISTS + i * long + 4, 0)
  }
  return guest.operate(OP, abi.EVTCHNOP_register_3level, abi.evtchn_register_3level, {
    cmd: abi.REGISTER_BITMAP,
    nr_pages: pages,
    evtchn_pending: BigInt(LISTS),
    evtchn_mask: BigInt(LISTS + pages * long),
  }).result
}

function registerSelector(guest: TestGuest, cpu_id: number, gfn: bigint, offset: bigint): number {
  return guest.operate(OP, abi.EVTCHNOP_register_3level, abi.evtchn_register_3level_l2, {
    cmd: abi.REGISTER_L2_SELECTOR,
    cpu_id,
    gfn,
    offset,
  }).result
}

test('a guest finds out that there are three levels, registers them, and gets an event', () => {
  const guest = guestWithThreeLevels()
  const query = guest.operate(
    OP,
    abi.EVTCHNOP_query_extended_abis,
    abi.evtchn_query_extended_abis,
    {},
  )
  assert.deepEqual([query.result, query.abis], [0, 1n])
  assert.equal(registerBitmaps(guest, 8), 0)
  assert.equal(registerSelector(guest, 0, 36n, 512n), 0)
  guest.domain.channels.send(guest.domain.channels.bindIpi(0))
  assert.equal(guest.get32(20 * 4096), 2, 'the pending bit of port 1')
  assert.equal(guest.get32(36 * 4096 + 512), 1, 'the second selector')
})

test('a 32-bit guest passes lists of 32-bit frame numbers', () => {
  const guest = guestWithThreeLevels()
  guest.width = 32
  guest.domain.latchWidth(32)
  assert.equal(registerBitmaps(guest, 1), 0)
  assert.equal(registerSelector(guest, 0, 22n, 128n), 0)
  assert.equal(guest.domain.channels.abi.maxPorts, 32_768)
})

test('absurd sizes, pointers and commands are refused, and where it is not allowed all of it', () => {
  const guest = guestWithThreeLevels()
  assert.equal(registerBitmaps(guest, 4), -XEN_EINVAL)
  const register = (values: object, on = guest) =>
    on.operate(OP, abi.EVTCHNOP_register_3level, abi.evtchn_register_3level, values).result
  assert.equal(register({ cmd: 1, nr_pages: 0xffffffff }), -XEN_EINVAL)
  assert.equal(register({ cmd: 1, nr_pages: 8, evtchn_pending: NOWHERE }), -XEN_EFAULT)
  assert.equal(register({ cmd: 3 }), -XEN_ENOSYS)
  assert.equal(registerSelector(guest, 0, 36n, 0n), -XEN_EOPNOTSUPP, 'before the bitmaps')
  assert.equal(registerBitmaps(guest, 8), 0)
  assert.equal(registerSelector(guest, 0, 36n, 1n << 40n), -XEN_EINVAL)
  const usual = guest.host.guest()
  assert.equal(register({ cmd: 1, nr_pages: 8 }, usual), -XEN_ENOSYS)
  const query = usual.operate(
    OP,
    abi.EVTCHNOP_query_extended_abis,
    abi.evtchn_query_extended_abis,
    {},
  )
  assert.equal(query.result, -XEN_ENOSYS)
})

test('the operations have names in traces', () => {
  const guest = guestWithThreeLevels()
  registerBitmaps(guest, 8)
  const counters = guest.host.hypervisor.counters.snapshot()
  assert.equal(counters.get('event_channel_op EVTCHNOP_register_3level')?.calls, 1)
})
