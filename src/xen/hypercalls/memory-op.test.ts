import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  XEN_EACCES,
  XEN_EFAULT,
  XEN_EINVAL,
  XEN_ENOENT,
  XEN_ENOSYS,
  XEN_ENXIO,
  XEN_EOPNOTSUPP,
  XEN_EPERM,
  XEN_ESRCH,
} from '../abi/errno.ts'
import * as abi from '../abi/memory.ts'
import { __HYPERVISOR_memory_op as OP, DOMID_SELF } from '../abi/xen.ts'
import { mapForeignPage } from '../host-services.ts'
import { P2mType } from '../phys-map.ts'
import { NOWHERE, type TestGuest, TestHost } from '../testing/test-host.ts'

function add(guest: TestGuest, space: number, idx: number, gpfn: number, domid = DOMID_SELF) {
  return guest.operate(OP, abi.XENMEM_add_to_physmap, abi.xen_add_to_physmap, {
    domid,
    space,
    idx: BigInt(idx),
    gpfn: BigInt(gpfn),
  }).result
}

/** Puts a list of guest frames at 0x9000. */
function putList(guest: TestGuest, list: readonly number[]): bigint {
  const size = guest.width / 8
  const view = new DataView(new ArrayBuffer(list.length * size))
  list.forEach((value, i) => {
    if (size === 8) view.setBigUint64(i * 8, BigInt(value), true)
    else view.setUint32(i * 4, value, true)
  })
  guest.put(0x9000, new Uint8Array(view.buffer))
  return 0x9000n
}

function reserve(guest: TestGuest, operation: number, list: readonly number[], extent_order = 0) {
  return guest.operate(OP, operation, abi.xen_memory_reservation, {
    extent_start: putList(guest, list),
    nr_extents: BigInt(list.length),
    extent_order,
    domid: DOMID_SELF,
  }).result
}

test('shared_info replaces the page that was there, whose memory goes back to Xen', () => {
  const { guest, host } = fresh()
  const free = host.frames.freeFrames
  assert.equal(add(guest, abi.XENMAPSPACE_shared_info, 0, 16), 0)
  assert.equal(guest.domain.physMap.frameOf(16), guest.domain.shared.mfn)
  assert.equal(guest.domain.totalPages, 63)
  assert.equal(host.frames.freeFrames, free + 1)
  // wc_version is even and the wall clock is that of the host.
  assert.equal(guest.get32(16 * 4096 + 0xc00) & 1, 0)
  assert.equal(guest.get32(16 * 4096 + 0xc04), 1_700_000_000)
})

function fresh(pages = 64) {
  const host = new TestHost()
  return { host, guest: host.guest({}, pages) }
}

test('shared_info that is mapped again leaves its old place empty', () => {
  const { guest } = fresh()
  add(guest, abi.XENMAPSPACE_shared_info, 0, 16)
  assert.equal(add(guest, abi.XENMAPSPACE_shared_info, 0, 17), 0)
  assert.equal(guest.domain.physMap.frameOf(16), -1)
  assert.equal(guest.domain.physMap.frameOf(17), guest.domain.shared.mfn)
  assert.equal(add(guest, abi.XENMAPSPACE_shared_info, 0, 17), 0, 'in its own place')
  assert.equal(guest.domain.physMap.frameOf(17), guest.domain.shared.mfn)
  assert.equal(add(guest, abi.XENMAPSPACE_shared_info, 1, 18), -XEN_EINVAL)
})

test('grant frames appear above the memory of the guest, and grow the table up to its limit', () => {
  const { guest } = fresh()
  assert.equal(add(guest, abi.XENMAPSPACE_grant_table, 0, 0x17fff), 0)
  assert.equal(add(guest, abi.XENMAPSPACE_grant_table, 3, 0x18000), 0)
  assert.equal(guest.domain.grants.frameCount, 4)
  assert.equal(add(guest, abi.XENMAPSPACE_grant_table, 64, 0x18001), -XEN_EINVAL)
  assert.equal(guest.domain.grants.frameCount, 4)
  assert.equal(guest.domain.physMap.maximumGfn, 0x18000)
})

test('gmfn moves a page of the guest', () => {
  const { guest } = fresh()
  const mfn = guest.domain.physMap.frameOf(20)
  assert.equal(add(guest, abi.XENMAPSPACE_gmfn, 20, 200), 0)
  assert.equal(guest.domain.physMap.frameOf(200), mfn)
  assert.equal(guest.domain.physMap.frameOf(20), -1)
  assert.equal(add(guest, abi.XENMAPSPACE_gmfn, 20, 201), -XEN_EINVAL, 'nothing there')
})

test('gmfn_range moves pages in a row', () => {
  const { guest } = fresh()
  const request = {
    domid: DOMID_SELF,
    space: abi.XENMAPSPACE_gmfn_range,
    size: 4,
    idx: 20n,
    gpfn: 300n,
  }
  const result = guest.operate(OP, abi.XENMEM_add_to_physmap, abi.xen_add_to_physmap, request)
  assert.equal(result.result, 0)
  assert.deepEqual(
    [300, 301, 302, 303, 20].map((gfn) => guest.domain.physMap.typeOf(gfn)),
    [1, 1, 1, 1, 0],
  )
})

test('foreign pages, registers and unknown spaces are refused, each in its way', () => {
  const { guest, host } = fresh()
  const other = host.guest()
  assert.equal(add(guest, abi.XENMAPSPACE_gmfn_foreign, 0, 100), -XEN_ENOSYS)
  assert.equal(add(guest, abi.XENMAPSPACE_dev_mmio, 0, 100), -XEN_EACCES)
  assert.equal(add(guest, 9, 0, 100), -XEN_EOPNOTSUPP)
  assert.equal(add(guest, abi.XENMAPSPACE_gmfn, 1, 100, other.domain.domid), -XEN_EPERM)
  assert.equal(add(guest, abi.XENMAPSPACE_gmfn, 1, 100, 99), -XEN_ESRCH)
  const batch = guest.operate(OP, abi.XENMEM_add_to_physmap_batch, abi.xen_add_to_physmap_batch, {
    domid: DOMID_SELF,
    space: abi.XENMAPSPACE_gmfn_foreign,
    size: 1,
    'u.foreign_domid': other.domain.domid,
    idxs: putList(guest, [1, 100]),
    gpfns: 0x9008n,
    errs: 0x9100n,
  })
  assert.equal(batch.result, 0)
  assert.equal(guest.get32(0x9100) | 0, -XEN_EPERM)
})

test('a mapping of a grant is not pushed aside by add_to_physmap', () => {
  const { guest } = fresh()
  guest.domain.physMap.set(120, 5, P2mType.grant_map_rw)
  assert.equal(add(guest, abi.XENMAPSPACE_shared_info, 0, 120), -XEN_ENXIO)
})

test('a batch answers for each page', () => {
  const { guest } = fresh()
  const size = 600
  const idxs = Array.from({ length: size }, (_, i) => (i < 30 ? 30 + i : 5000))
  const list = putList(guest, [...idxs])
  const gpfns = 0xa800n
  const values = new BigUint64Array(size).map((_, i) => BigInt(1000 + i))
  guest.put(gpfns, new Uint8Array(values.buffer))
  const errs = 0xc000n
  const { result } = guest.operate(
    OP,
    abi.XENMEM_add_to_physmap_batch,
    abi.xen_add_to_physmap_batch,
    { domid: DOMID_SELF, space: abi.XENMAPSPACE_gmfn, size, idxs: list, gpfns, errs },
  )
  assert.equal(result, 0)
  assert.equal(guest.get32(errs), 0)
  assert.equal(guest.get32(Number(errs) + 4 * 29), 0)
  assert.equal(guest.get32(Number(errs) + 4 * 30) | 0, -XEN_EINVAL)
  assert.equal(guest.get32(Number(errs) + 4 * 599) | 0, -XEN_EINVAL)
})

test('remove_from_physmap leaves a hole', () => {
  const { guest } = fresh()
  const remove = (gpfn: number) =>
    guest.operate(OP, abi.XENMEM_remove_from_physmap, abi.xen_remove_from_physmap, {
      domid: DOMID_SELF,
      gpfn: BigInt(gpfn),
    }).result
  assert.equal(remove(20), 0)
  assert.equal(remove(20), -XEN_ENOENT)
  assert.equal(guest.domain.physMap.frameOf(20), -1)
})

test('decrease_reservation frees pages and stops at the first that is not there (XSA-277)', () => {
  const { guest, host } = fresh()
  const free = host.frames.freeFrames
  assert.equal(reserve(guest, abi.XENMEM_decrease_reservation, [20, 21, 999, 22]), 2)
  assert.equal(guest.domain.totalPages, 62)
  assert.equal(host.frames.freeFrames, free + 2)
  for (let i = 0; i < 5; i++) {
    assert.equal(reserve(guest, abi.XENMEM_decrease_reservation, [999]), 0)
  }
  assert.equal(guest.domain.physMap.frameOf(22) >= 0, true)
})

test('populate_physmap gives zeroed pages, up to the allowance of the domain', () => {
  const { guest } = fresh()
  reserve(guest, abi.XENMEM_decrease_reservation, [20])
  assert.equal(reserve(guest, abi.XENMEM_populate_physmap, [20, 400]), 2)
  assert.deepEqual(guest.get(400 * 4096, 4096), new Uint8Array(4096))
  guest.domain.maxPages = guest.domain.totalPages + 1
  assert.equal(reserve(guest, abi.XENMEM_populate_physmap, [401, 402]), 1)
  assert.equal(guest.domain.physMap.frameOf(402), -1)
})

test('populate_physmap takes extents of several pages, whole or not at all', () => {
  const { guest } = fresh()
  assert.equal(reserve(guest, abi.XENMEM_populate_physmap, [512], 3), 1)
  assert.equal(guest.domain.totalPages, 72)
  guest.domain.maxPages = 75
  assert.equal(reserve(guest, abi.XENMEM_populate_physmap, [520], 3), 0)
  assert.equal(guest.domain.totalPages, 72)
  assert.equal(reserve(guest, abi.XENMEM_populate_physmap, [600], 10), 0, 'more than 2 MiB')
})

test('what is asked of a reservation that makes no sense is answered by nothing done', () => {
  const { guest } = fresh()
  assert.equal(guest.call(OP, [abi.XENMEM_populate_physmap, NOWHERE]), 0)
  const odd = (values: object) =>
    guest.operate(OP, abi.XENMEM_populate_physmap, abi.xen_memory_reservation, {
      extent_start: 0x9000n,
      nr_extents: 1n,
      domid: DOMID_SELF,
      ...values,
    }).result
  assert.equal(odd({ domid: 99 }), 0)
  assert.equal(odd({ domid: 0 }), 0)
  assert.equal(odd({ nr_extents: 1n << 60n }), 0)
  assert.equal(odd({ extent_start: NOWHERE }), 0)
  assert.equal(odd({ nr_extents: 0n }), 0)
})

test('increase_reservation adds memory that lies nowhere', () => {
  const { guest } = fresh()
  assert.equal(reserve(guest, abi.XENMEM_increase_reservation, [0, 0, 0]), 3)
  assert.equal(guest.domain.totalPages, 67)
})

test('a long list of pages is worked on in several goes', () => {
  const host = new TestHost({}, 8192)
  const guest = host.guest({ maxPages: 7000 }, 64)
  const list = Array.from({ length: 6000 }, (_, i) => 1000 + i)
  const size = list.length * 8
  const view = new BigUint64Array(list.map(BigInt))
  guest.put(0x10000, new Uint8Array(view.buffer).subarray(0, size))
  const request = {
    extent_start: 0x10000n,
    nr_extents: BigInt(list.length),
    domid: DOMID_SELF,
  }
  const done = guest.operate(OP, abi.XENMEM_populate_physmap, abi.xen_memory_reservation, request)
  assert.equal(done.result, 6000)
  assert.equal(guest.domain.totalPages, 6064)
})

test('exchange is refused after its arguments were checked (XSA-29, XSA-212)', () => {
  const { guest } = fresh()
  const exchange = (values: object) =>
    guest.operate(OP, abi.XENMEM_exchange, abi.xen_memory_exchange, {
      'in.extent_start': putList(guest, [20]),
      'in.nr_extents': 1n,
      'in.domid': DOMID_SELF,
      'out.extent_start': 0x9100n,
      'out.nr_extents': 1n,
      'out.domid': DOMID_SELF,
      ...values,
    }).result
  assert.equal(exchange({}), -XEN_EINVAL)
  assert.equal(exchange({ 'in.extent_order': 20 }), -XEN_EPERM)
  assert.equal(exchange({ 'out.nr_extents': 2n }), -XEN_EINVAL)
  assert.equal(exchange({ nr_exchanged: 5n }), -XEN_EINVAL)
  assert.equal(exchange({ 'in.domid': 99, 'out.domid': 99 }), -XEN_ESRCH)
  assert.equal(exchange({ 'in.extent_start': NOWHERE }), -XEN_EFAULT)
  const far = 1n << 61n
  assert.equal(
    exchange({
      'in.nr_extents': far,
      'out.nr_extents': far,
      nr_exchanged: far - 1n,
    }),
    -XEN_EFAULT,
    'the array does not fit into an address space',
  )
  assert.equal(guest.call(OP, [abi.XENMEM_exchange, NOWHERE]), -XEN_EFAULT)
})

test('reservations and the highest frame are told for the own domain', () => {
  const { guest, host } = fresh()
  const other = host.guest()
  const ask = (operation: number, domid = DOMID_SELF) =>
    guest.operate(OP, operation, abi.xen_memory_domain, { domid }).result
  assert.equal(ask(abi.XENMEM_current_reservation), 64)
  assert.equal(ask(abi.XENMEM_maximum_reservation), 256)
  assert.equal(ask(abi.XENMEM_maximum_gpfn), 63)
  assert.equal(ask(abi.XENMEM_current_reservation, other.domain.domid), -XEN_EPERM)
  assert.equal(ask(abi.XENMEM_current_reservation, 99), -XEN_ESRCH)
  assert.equal(guest.call(OP, [abi.XENMEM_current_reservation, NOWHERE]), -XEN_EFAULT)
  assert.equal(guest.call(OP, [abi.XENMEM_maximum_ram_page, 0]), 1023)
})

test('memory_map gives as many entries as there is room for', () => {
  const { guest } = fresh()
  const ask = (nr_entries: number, buffer = 0x9000n) =>
    guest.operate(OP, abi.XENMEM_memory_map, abi.xen_memory_map, { nr_entries, buffer })
  assert.equal(ask(32).result, -XEN_ENOSYS, 'the toolstack gave none')
  guest.domain.memoryMap = new Uint8Array(60).map((_, i) => i + 1)
  const all = ask(32)
  assert.deepEqual([all.result, all.nr_entries], [0, 3])
  assert.deepEqual(guest.get(0x9000, 60), guest.domain.memoryMap)
  assert.equal(ask(2).nr_entries, 2)
  assert.equal(ask(2, NOWHERE).result, -XEN_EFAULT)
  const set = guest.operate(OP, abi.XENMEM_set_memory_map, abi.xen_foreign_memory_map, {
    domid: DOMID_SELF,
    'map.nr_entries': 1,
    'map.buffer': 0x9000n,
  })
  assert.equal(set.result, 0)
  assert.equal(ask(32).nr_entries, 1)
})

test('what is not for guests is EPERM, and what is not there ENOSYS', () => {
  const { guest } = fresh()
  for (const operation of [
    abi.XENMEM_machine_memory_map,
    abi.XENMEM_set_pod_target,
    abi.XENMEM_get_pod_target,
    abi.XENMEM_claim_pages,
    abi.XENMEM_access_op,
    abi.XENMEM_paging_op,
    abi.XENMEM_sharing_op,
  ]) {
    assert.equal(guest.call(OP, [operation, guest.argument]), -XEN_EPERM)
  }
  assert.equal(guest.call(OP, [abi.XENMEM_machphys_mapping, guest.argument]), -XEN_ENOSYS)
  assert.equal(guest.call(OP, [63, guest.argument]), -XEN_ENOSYS)
  assert.equal(guest.call(OP, [abi.XENMEM_acquire_resource, guest.argument]), -XEN_EACCES)
  const vnuma = guest.operate(OP, abi.XENMEM_get_vnumainfo, abi.xen_vnuma_topology_info, {
    domid: DOMID_SELF,
  })
  assert.equal(vnuma.result, -XEN_EOPNOTSUPP)
})

test('a 32-bit guest passes the shorter structures', () => {
  const { guest } = fresh()
  guest.width = 32
  assert.equal(add(guest, abi.XENMAPSPACE_shared_info, 0, 16), 0)
  assert.equal(reserve(guest, abi.XENMEM_decrease_reservation, [20, 21]), 2)
  assert.equal(guest.domain.physMap.frameOf(21), -1)
})

test('listeners hear of every change of the physical map', () => {
  const { guest } = fresh()
  const before = guest.processor(1).tlbFlushes
  add(guest, abi.XENMAPSPACE_shared_info, 0, 16)
  assert.ok(guest.processor(1).tlbFlushes > before)
})

test('a mapping of a grant is not replaced by new memory', () => {
  const { guest } = fresh()
  guest.domain.physMap.set(120, 5, P2mType.grant_map_ro)
  assert.equal(reserve(guest, abi.XENMEM_populate_physmap, [119, 120, 121]), 1)
  assert.equal(guest.domain.physMap.frameOf(120), 5)
})

test('shared_info that memory was put over is found again when it is mapped elsewhere', () => {
  const { guest } = fresh()
  add(guest, abi.XENMAPSPACE_shared_info, 0, 16)
  assert.equal(reserve(guest, abi.XENMEM_populate_physmap, [16]), 1)
  const memory = guest.domain.physMap.frameOf(16)
  assert.equal(add(guest, abi.XENMAPSPACE_shared_info, 0, 17), 0)
  assert.equal(guest.domain.physMap.frameOf(16), memory)
})

test('giving back a page of Xen itself only unhooks it', () => {
  const { guest, host } = fresh()
  add(guest, abi.XENMAPSPACE_shared_info, 0, 16)
  const free = host.frames.freeFrames
  assert.equal(reserve(guest, abi.XENMEM_decrease_reservation, [16]), 1)
  assert.equal(guest.domain.physMap.frameOf(16), -1)
  assert.equal(host.frames.freeFrames, free)
  assert.equal(host.frames.owner(guest.domain.shared.mfn), guest.domain.domid)
  assert.equal(add(guest, abi.XENMAPSPACE_shared_info, 0, 18), 0)
})

test('a page that a service of the host holds is not given to anybody else meanwhile', () => {
  const { guest, host } = fresh()
  const page = mapForeignPage(guest.domain, 20)
  assert.ok(page)
  assert.equal(reserve(guest, abi.XENMEM_decrease_reservation, [20]), 1)
  page.write(0, new Uint8Array([1, 2, 3]))
  assert.equal(host.frames.owner(page.mfn), guest.domain.domid)
  page.release()
  assert.equal(host.frames.owner(page.mfn), undefined)
  assert.equal(mapForeignPage(guest.domain, 20), undefined)
})
