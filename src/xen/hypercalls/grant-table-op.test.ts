// Grant table operations, in both versions of the table.
// Why this file is long: one scene (two domains and their tables) serves all operations.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { Mfn } from '../../machine/frame-table.ts'
import {
  XEN_EBUSY,
  XEN_EFAULT,
  XEN_EINVAL,
  XEN_ENOSYS,
  XEN_EPERM,
  XEN_ERANGE,
  XEN_ESRCH,
} from '../abi/errno.ts'
import * as abi from '../abi/grant-table.ts'
import {
  XENMAPIDX_grant_table_status,
  XENMAPSPACE_grant_table,
  XENMEM_add_to_physmap,
  XENMEM_decrease_reservation,
  xen_add_to_physmap,
  xen_memory_reservation,
} from '../abi/memory.ts'
import {
  __HYPERVISOR_grant_table_op as OP,
  __HYPERVISOR_memory_op as MEMORY_OP,
  DOMID_SELF,
} from '../abi/xen.ts'
import { mapGrantedPage } from '../host-services.ts'
import { P2mType } from '../phys-map.ts'
import { NOWHERE, type TestGuest, TestHost } from '../testing/test-host.ts'

/** Where a granter has mapped its table, and the page that it grants. */
const TABLE_GFN = 40
const GIVEN_GFN = 30
/** Where a mapper puts mappings. */
const WINDOW_GFN = 100

function mapTable(guest: TestGuest, index = 0, gfn = TABLE_GFN, flag = 0): number {
  return guest.operate(MEMORY_OP, XENMEM_add_to_physmap, xen_add_to_physmap, {
    domid: DOMID_SELF,
    space: XENMAPSPACE_grant_table,
    idx: BigInt(index + flag),
    gpfn: BigInt(gfn),
  }).result
}

/** Two guests; the first has its grant table mapped and a page with a pattern to give. */
function pair(): { host: TestHost; giver: TestGuest; taker: TestGuest } {
  const host = new TestHost()
  const giver = host.guest()
  const taker = host.guest()
  assert.equal(mapTable(giver), 0)
  giver.put(
    GIVEN_GFN * 4096,
    new Uint8Array(4096).map((_, i) => i * 7),
  )
  return { host, giver, taker }
}

function grant(giver: TestGuest, ref: number, domid: number, flags = abi.GTF_permit_access): void {
  const bytes = abi.grant_entry_v1.encode(64, { flags, domid, frame: GIVEN_GFN })
  giver.put(TABLE_GFN * 4096 + 8 * ref, bytes)
}

const flagsOf = (giver: TestGuest, ref: number) => giver.get32(TABLE_GFN * 4096 + 8 * ref) & 0xffff

function map(taker: TestGuest, giver: TestGuest, ref: number, flags: number, gfn = WINDOW_GFN) {
  return taker.operate(
    OP,
    abi.GNTTABOP_map_grant_ref,
    abi.gnttab_map_grant_ref,
    { host_addr: BigInt(gfn * 4096), flags, ref, dom: giver.domain.domid },
    [1],
  )
}

function unmap(taker: TestGuest, handle: number, gfn = WINDOW_GFN) {
  return taker.operate(
    OP,
    abi.GNTTABOP_unmap_grant_ref,
    abi.gnttab_unmap_grant_ref,
    { host_addr: BigInt(gfn * 4096), handle },
    [1],
  )
}

const HOST = abi.GNTMAP_host_map
const READ = abi.GNTMAP_host_map | abi.GNTMAP_readonly

function references(host: TestHost, mfn: number): number {
  return host.frames.count[host.frames.indexOf(mfn as Mfn)] as number
}

test('a mapped grant shows the page, and the flags show the use', () => {
  const { host, giver, taker } = pair()
  grant(giver, 9, taker.domain.domid)
  const mapped = map(taker, giver, 9, HOST)
  assert.equal(mapped.result, 0)
  assert.equal(mapped.status, abi.GNTST_okay)
  const mfn = giver.domain.physMap.frameOf(GIVEN_GFN)
  assert.equal(mapped.dev_bus_addr, BigInt(mfn) << 12n)
  assert.equal(taker.domain.physMap.frameOf(WINDOW_GFN), mfn)
  assert.equal(taker.domain.physMap.typeOf(WINDOW_GFN), P2mType.grant_map_rw)
  assert.equal(references(host, mfn), 2)
  assert.equal(flagsOf(giver, 9), abi.GTF_permit_access | abi.GTF_reading | abi.GTF_writing)
  assert.equal(unmap(taker, mapped.handle).status, abi.GNTST_okay)
  assert.equal(taker.domain.physMap.frameOf(WINDOW_GFN), -1)
  assert.equal(references(host, mfn), 1)
  assert.equal(flagsOf(giver, 9), abi.GTF_permit_access)
  assert.equal(unmap(taker, mapped.handle).status, abi.GNTST_bad_handle, 'a second time')
})

test('a read-only mapping cannot be written through the physical map', () => {
  const { giver, taker } = pair()
  grant(giver, 9, taker.domain.domid, abi.GTF_permit_access | abi.GTF_readonly)
  assert.equal(map(taker, giver, 9, HOST).status, abi.GNTST_general_error)
  assert.equal(map(taker, giver, 9, READ).status, abi.GNTST_okay)
  assert.equal(taker.domain.physMap.isWritable(WINDOW_GFN), false)
  assert.equal(flagsOf(giver, 9), abi.GTF_permit_access | abi.GTF_readonly | abi.GTF_reading)
})

test('each reason to refuse a mapping has its status, and the call itself succeeds (XSA-316)', () => {
  const { giver, taker } = pair()
  const status = (ref: number, flags: number, gfn?: number) => {
    const { result, status } = map(taker, giver, ref, flags, gfn)
    assert.equal(result, 0)
    return status
  }
  grant(giver, 9, taker.domain.domid)
  grant(giver, 10, 77)
  grant(giver, 11, taker.domain.domid, abi.GTF_invalid)
  grant(giver, 12, taker.domain.domid, abi.GTF_permit_access | abi.GTF_sub_page)
  assert.equal(status(9, 0), abi.GNTST_bad_gntref, 'neither host nor device')
  assert.equal(status(9, HOST | abi.GNTMAP_device_map), abi.GNTST_general_error)
  assert.equal(status(9, HOST | abi.GNTMAP_contains_pte), abi.GNTST_general_error)
  assert.equal(status(512, HOST), abi.GNTST_bad_gntref, 'beyond the table')
  assert.equal(status(10, HOST), abi.GNTST_general_error, 'for another domain')
  assert.equal(status(11, HOST), abi.GNTST_general_error, 'not a grant')
  assert.equal(status(12, HOST), abi.GNTST_general_error, 'part of a page')
  giver.put32(TABLE_GFN * 4096 + 8 * 9 + 4, 5000)
  assert.equal(status(9, HOST), abi.GNTST_bad_page, 'no page behind it')
  const elsewhere = taker.operate(
    OP,
    abi.GNTTABOP_map_grant_ref,
    abi.gnttab_map_grant_ref,
    { flags: HOST, ref: 9, dom: 99 },
    [1],
  )
  assert.equal(elsewhere.status, abi.GNTST_bad_domain)
  assert.equal(taker.domain.grants.mappings().length, 0, 'no handle is left behind')
})

test('a mapping over another mapping is refused, and unmapping needs the right place', () => {
  const { giver, taker } = pair()
  grant(giver, 9, taker.domain.domid)
  grant(giver, 10, taker.domain.domid)
  const first = map(taker, giver, 9, HOST)
  assert.equal(map(taker, giver, 10, HOST).status, abi.GNTST_general_error)
  assert.equal(unmap(taker, first.handle, WINDOW_GFN + 1).status, abi.GNTST_general_error)
  assert.equal(unmap(taker, 12345).status, abi.GNTST_bad_handle)
  assert.equal(unmap(taker, first.handle).status, abi.GNTST_okay)
})

test('a grant can be used by one domain only, and at most 128 times in one way', () => {
  const { host, giver, taker } = pair()
  const third = host.guest()
  grant(giver, 9, taker.domain.domid)
  for (let i = 0; i < 128; i++) {
    assert.equal(map(taker, giver, 9, HOST, WINDOW_GFN + i).status, abi.GNTST_okay)
  }
  assert.equal(map(taker, giver, 9, HOST, WINDOW_GFN + 128).status, abi.GNTST_general_error)
  grant(giver, 9, third.domain.domid)
  assert.equal(map(third, giver, 9, HOST).status, abi.GNTST_general_error)
})

test('the number of mappings is limited by max_maptrack_frames', () => {
  const host = new TestHost()
  const giver = host.guest()
  const taker = host.guest({ maxMaptrackFrames: 0 })
  mapTable(giver)
  grant(giver, 9, taker.domain.domid)
  assert.equal(map(taker, giver, 9, HOST).status, abi.GNTST_no_space)
})

test('a page stays alive while it is mapped, even when the giver gives it back to Xen', () => {
  const { host, giver, taker } = pair()
  grant(giver, 9, taker.domain.domid)
  const { handle } = map(taker, giver, 9, HOST)
  const mfn = giver.domain.physMap.frameOf(GIVEN_GFN)
  giver.put(0x9000, new Uint8Array(new BigUint64Array([BigInt(GIVEN_GFN)]).buffer))
  giver.operate(MEMORY_OP, XENMEM_decrease_reservation, xen_memory_reservation, {
    extent_start: 0x9000n,
    nr_extents: 1n,
    domid: DOMID_SELF,
  })
  assert.equal(giver.domain.physMap.frameOf(GIVEN_GFN), -1)
  assert.equal(references(host, mfn), 1)
  assert.equal(host.frames.owner(mfn), giver.domain.domid)
  unmap(taker, handle)
  assert.equal(host.frames.owner(mfn), undefined, 'now it is free')
})

test('a domain that ends lets go of what it has mapped, and what others mapped lives on', () => {
  const { host, giver, taker } = pair()
  const free = host.frames.freeFrames
  const extra = host.guest()
  grant(giver, 9, extra.domain.domid)
  map(extra, giver, 9, HOST)
  host.hypervisor.destroyDomain(extra.domain)
  assert.equal(flagsOf(giver, 9), abi.GTF_permit_access)
  assert.equal(host.frames.freeFrames, free)
  grant(giver, 10, taker.domain.domid)
  const { handle } = map(taker, giver, 10, HOST)
  const mfn = taker.domain.physMap.frameOf(WINDOW_GFN)
  host.hypervisor.destroyDomain(giver.domain)
  assert.equal(host.hypervisor.domain(giver.domain.domid), undefined)
  assert.deepEqual(host.frames.framesOf(giver.domain.domid), [mfn])
  assert.equal(unmap(taker, handle).status, abi.GNTST_okay)
  assert.deepEqual(host.frames.framesOf(giver.domain.domid), [])
})

test('copy moves bytes from a grant to an own page and back', () => {
  const { giver, taker } = pair()
  grant(giver, 9, taker.domain.domid)
  const copy = (values: Parameters<typeof abi.gnttab_copy.encode>[1]) =>
    taker.operate(OP, abi.GNTTABOP_copy, abi.gnttab_copy, values, [1])
  const fromGrant = {
    'source.u.gmfn': 9n,
    'source.domid': giver.domain.domid,
    'dest.domid': DOMID_SELF,
    'dest.u.gmfn': 12n,
    flags: abi.GNTCOPY_source_gref,
  }
  const done = copy({ ...fromGrant, 'source.offset': 100, 'dest.offset': 200, len: 300 })
  assert.equal(done.status, abi.GNTST_okay)
  assert.deepEqual(taker.get(12 * 4096 + 200, 300), giver.get(GIVEN_GFN * 4096 + 100, 300))
  assert.equal(flagsOf(giver, 9), abi.GTF_permit_access, 'no mark stays')
  assert.equal(
    copy({ ...fromGrant, 'source.offset': 4000, len: 97 }).status,
    abi.GNTST_bad_copy_arg,
  )
  assert.equal(copy({ ...fromGrant, 'source.u.gmfn': 600n }).status, abi.GNTST_bad_gntref)
  assert.equal(copy({ ...fromGrant, 'source.domid': 99 }).status, abi.GNTST_bad_domain)
  assert.equal(copy({ ...fromGrant, 'dest.u.gmfn': 999n }).status, abi.GNTST_bad_page)
  assert.equal(
    copy({ ...fromGrant, flags: 0 }).status,
    abi.GNTST_permission_denied,
    'a page of another domain by its frame',
  )
  const toGrant = {
    'source.u.gmfn': 12n,
    'source.domid': DOMID_SELF,
    'dest.u.gmfn': 9n,
    'dest.domid': giver.domain.domid,
    len: 16,
    flags: abi.GNTCOPY_dest_gref,
  }
  assert.equal(copy(toGrant).status, abi.GNTST_okay)
  grant(giver, 9, taker.domain.domid, abi.GTF_permit_access | abi.GTF_readonly)
  assert.equal(copy(toGrant).status, abi.GNTST_general_error, 'read-only')
})

test('copy of a grant whose right has ended is refused', () => {
  const { giver, taker } = pair()
  grant(giver, 9, taker.domain.domid, abi.GTF_invalid)
  const { status } = taker.operate(
    OP,
    abi.GNTTABOP_copy,
    abi.gnttab_copy,
    {
      'source.u.gmfn': 9n,
      'source.domid': giver.domain.domid,
      'dest.domid': DOMID_SELF,
      'dest.u.gmfn': 12n,
      len: 8,
      flags: abi.GNTCOPY_source_gref,
    },
    [1],
  )
  assert.equal(status, abi.GNTST_general_error)
})

function setVersion(guest: TestGuest, version: number) {
  return guest.operate(OP, abi.GNTTABOP_set_version, abi.gnttab_set_version, { version }, [1])
}

test('set_version keeps the reserved grants, drops the others, and refuses while some are used', () => {
  const { giver, taker } = pair()
  grant(giver, 1, 0)
  grant(giver, 9, taker.domain.domid)
  const { handle } = map(taker, giver, 9, HOST)
  assert.equal(setVersion(giver, 2).result, -XEN_EBUSY)
  assert.equal(setVersion(giver, 3).result, -XEN_EINVAL)
  unmap(taker, handle)
  assert.equal(setVersion(giver, 2).result, 0)
  assert.equal(giver.domain.grants.version, 2)
  const kept = abi.grant_entry_v2_full_page.decode(64, giver.get(TABLE_GFN * 4096 + 16, 16))
  assert.equal(kept['full_page.hdr.flags'], abi.GTF_permit_access)
  assert.equal(kept['full_page.frame'], BigInt(GIVEN_GFN))
  assert.equal(giver.get32(TABLE_GFN * 4096 + 16 * 9), 0)
  assert.equal(map(taker, giver, 9, HOST).status, abi.GNTST_general_error)
  const version = giver.operate(
    OP,
    abi.GNTTABOP_get_version,
    abi.gnttab_get_version,
    { dom: DOMID_SELF },
    [1],
  )
  assert.deepEqual([version.result, version.version], [0, 2])
})

test('version 1 is refused while a reserved grant cannot be written in it', () => {
  const { giver } = pair()
  assert.equal(setVersion(giver, 2).result, 0)
  const reserved = (entry: Uint8Array) => giver.put(TABLE_GFN * 4096 + 16 * 3, entry)
  reserved(abi.grant_entry_v2_transitive.encode(64, { 'transitive.hdr.flags': abi.GTF_transitive }))
  assert.equal(setVersion(giver, 1).result, -XEN_ERANGE)
  const access = { 'full_page.hdr.flags': abi.GTF_permit_access, 'full_page.hdr.domid': 7 }
  reserved(
    abi.grant_entry_v2_full_page.encode(64, { ...access, 'full_page.frame': 0x1_0000_0000n }),
  )
  assert.equal(setVersion(giver, 1).result, -XEN_ERANGE)
  assert.equal(giver.domain.grants.version, 2)
  reserved(abi.grant_entry_v2_full_page.encode(64, { ...access, 'full_page.frame': 0xfffff000n }))
  assert.equal(setVersion(giver, 1).result, 0)
  const kept = abi.grant_entry_v1.decode(64, giver.get(TABLE_GFN * 4096 + 8 * 3, 8))
  assert.deepEqual(kept, { flags: abi.GTF_permit_access, domid: 7, frame: 0xfffff000 })
})

test('while a grant is mapped only its read-only flag counts for further uses, as on Xen', () => {
  const { host, giver, taker } = pair()
  const { domid } = taker.domain
  const third = host.guest()
  grant(giver, 9, domid)
  assert.equal(map(taker, giver, 9, READ).status, abi.GNTST_okay)
  grant(giver, 9, third.domain.domid, abi.GTF_permit_access | abi.GTF_readonly)
  assert.equal(map(taker, giver, 9, HOST, WINDOW_GFN + 1).status, abi.GNTST_general_error)
  grant(giver, 9, third.domain.domid)
  const second = map(taker, giver, 9, HOST, WINDOW_GFN + 1)
  assert.equal(second.status, abi.GNTST_okay)
  // A window for writing is only given back with the mapping that is for writing.
  assert.equal(unmap(taker, 0, WINDOW_GFN + 1).status, abi.GNTST_general_error)
  assert.equal(unmap(taker, second.handle, WINDOW_GFN).status, abi.GNTST_general_error)
  assert.equal(unmap(taker, second.handle, WINDOW_GFN + 1).status, abi.GNTST_okay)
})

test('a host may forbid version 2', () => {
  const guest = new TestHost().guest({ maxGrantVersion: 1 })
  const { result, version } = setVersion(guest, 2)
  assert.equal(result, -XEN_ENOSYS)
  assert.equal(version, 1)
})

test('in version 2 the status frames show the use, and leave the guest with version 1 (XSA-379)', () => {
  const { host, giver, taker } = pair()
  assert.equal(setVersion(giver, 2).result, 0)
  assert.equal(mapTable(giver, 0, TABLE_GFN + 1, XENMAPIDX_grant_table_status), 0)
  giver.put(
    TABLE_GFN * 4096 + 16 * 20,
    abi.grant_entry_v2_full_page.encode(64, {
      'full_page.hdr.flags': abi.GTF_permit_access,
      'full_page.hdr.domid': taker.domain.domid,
      'full_page.frame': BigInt(GIVEN_GFN),
    }),
  )
  const { handle, status } = map(taker, giver, 20, HOST)
  assert.equal(status, abi.GNTST_okay)
  const word = () => giver.get32((TABLE_GFN + 1) * 4096 + 2 * 20) & 0xffff
  assert.equal(word(), abi.GTF_reading | abi.GTF_writing)
  assert.equal(giver.get32(TABLE_GFN * 4096 + 16 * 20) & 0xffff, abi.GTF_permit_access)
  unmap(taker, handle)
  assert.equal(word(), 0)
  const free = host.frames.freeFrames
  assert.equal(setVersion(giver, 1).result, 0)
  assert.equal(giver.domain.physMap.frameOf(TABLE_GFN + 1), -1)
  assert.equal(host.frames.freeFrames, free + 1)
  assert.equal(mapTable(giver, 0, TABLE_GFN + 1, XENMAPIDX_grant_table_status), -XEN_EINVAL)
})

test('part of a page can be copied from, and no byte beside it', () => {
  const { giver, taker } = pair()
  setVersion(giver, 2)
  giver.put(
    TABLE_GFN * 4096 + 16 * 20,
    abi.grant_entry_v2_sub_page.encode(64, {
      'sub_page.hdr.flags': abi.GTF_permit_access | abi.GTF_sub_page,
      'sub_page.hdr.domid': taker.domain.domid,
      'sub_page.page_off': 512,
      'sub_page.length': 64,
      'sub_page.frame': BigInt(GIVEN_GFN),
    }),
  )
  const copy = (offset: number, len: number) =>
    taker.operate(
      OP,
      abi.GNTTABOP_copy,
      abi.gnttab_copy,
      {
        'source.u.gmfn': 20n,
        'source.domid': giver.domain.domid,
        'source.offset': offset,
        'dest.domid': DOMID_SELF,
        'dest.u.gmfn': 12n,
        len,
        flags: abi.GNTCOPY_source_gref,
      },
      [1],
    ).status
  assert.equal(copy(512, 64), abi.GNTST_okay)
  assert.equal(copy(511, 1), abi.GNTST_general_error)
  assert.equal(copy(575, 2), abi.GNTST_general_error)
  assert.equal(map(taker, giver, 20, READ).status, abi.GNTST_general_error)
})

test('a transitive grant is followed once, and no further (XSA-226)', () => {
  const host = new TestHost()
  const [source, middle, taker] = [host.guest(), host.guest(), host.guest()]
  for (const guest of [source, middle]) {
    mapTable(guest)
    setVersion(guest, 2)
  }
  source.put(GIVEN_GFN * 4096, new Uint8Array([1, 2, 3, 4]))
  source.put(
    TABLE_GFN * 4096 + 16 * 8,
    abi.grant_entry_v2_full_page.encode(64, {
      'full_page.hdr.flags': abi.GTF_permit_access,
      'full_page.hdr.domid': middle.domain.domid,
      'full_page.frame': BigInt(GIVEN_GFN),
    }),
  )
  const pass = (ref: number, to: number, onDomid: number, onRef: number) =>
    middle.put(
      TABLE_GFN * 4096 + 16 * ref,
      abi.grant_entry_v2_transitive.encode(64, {
        'transitive.hdr.flags': abi.GTF_transitive,
        'transitive.hdr.domid': to,
        'transitive.trans_domid': onDomid,
        'transitive.gref': onRef,
      }),
    )
  const copy = (ref: number) =>
    taker.operate(
      OP,
      abi.GNTTABOP_copy,
      abi.gnttab_copy,
      {
        'source.u.gmfn': BigInt(ref),
        'source.domid': middle.domain.domid,
        'dest.domid': DOMID_SELF,
        'dest.u.gmfn': 12n,
        len: 4,
        flags: abi.GNTCOPY_source_gref,
      },
      [1],
    ).status
  pass(8, taker.domain.domid, source.domain.domid, 8)
  assert.equal(copy(8), abi.GNTST_okay)
  assert.deepEqual(taker.get(12 * 4096, 4), new Uint8Array([1, 2, 3, 4]))
  pass(9, taker.domain.domid, middle.domain.domid, 9)
  assert.equal(copy(9), abi.GNTST_general_error, 'itself')
  pass(10, taker.domain.domid, 99, 1)
  assert.equal(copy(10), abi.GNTST_general_error, 'nobody')
  source.put(
    TABLE_GFN * 4096 + 16 * 9,
    abi.grant_entry_v2_transitive.encode(64, {
      'transitive.hdr.flags': abi.GTF_transitive,
      'transitive.hdr.domid': middle.domain.domid,
      'transitive.trans_domid': middle.domain.domid,
      'transitive.gref': 12,
    }),
  )
  // Each link of the chain is allowed by itself, down to a page.
  middle.put(
    TABLE_GFN * 4096 + 16 * 12,
    abi.grant_entry_v2_full_page.encode(64, {
      'full_page.hdr.flags': abi.GTF_permit_access,
      'full_page.hdr.domid': source.domain.domid,
      'full_page.frame': BigInt(GIVEN_GFN),
    }),
  )
  pass(11, taker.domain.domid, source.domain.domid, 9)
  assert.equal(copy(11), abi.GNTST_general_error, 'a chain')
})

test('query_size and setup_table tell about the own table only', () => {
  const { host, giver, taker } = pair()
  const query = (dom: number) =>
    giver.operate(OP, abi.GNTTABOP_query_size, abi.gnttab_query_size, { dom }, [1])
  const own = query(DOMID_SELF)
  assert.deepEqual([own.status, own.nr_frames, own.max_nr_frames], [0, 1, 64])
  assert.equal(query(taker.domain.domid).status, abi.GNTST_permission_denied)
  assert.equal(query(99).status, abi.GNTST_bad_domain)
  const setup = (nr_frames: number, frame_list: bigint) =>
    giver.operate(
      OP,
      abi.GNTTABOP_setup_table,
      abi.gnttab_setup_table,
      { dom: DOMID_SELF, nr_frames, frame_list },
      [1],
    )
  assert.equal(setup(2, 0x9000n).status, abi.GNTST_okay)
  assert.equal(giver.domain.grants.frameCount, 2)
  const list = new BigUint64Array(giver.get(0x9000, 16).slice().buffer)
  assert.deepEqual([...list], [BigInt(TABLE_GFN), 0xffffffffffffffffn])
  assert.equal(setup(65, 0x9000n).status, abi.GNTST_general_error)
  assert.equal(setup(1, NOWHERE).status, abi.GNTST_bad_virt_addr)
  assert.ok(host.frames.freeFrames > 0)
})

test('swap_grant_ref exchanges two entries that are not in use', () => {
  const { giver, taker } = pair()
  grant(giver, 9, taker.domain.domid)
  const swap = (ref_a: number, ref_b: number) =>
    giver.operate(OP, abi.GNTTABOP_swap_grant_ref, abi.gnttab_swap_grant_ref, { ref_a, ref_b }, [1])
      .status
  assert.equal(swap(9, 10), abi.GNTST_okay)
  assert.equal(flagsOf(giver, 9), 0)
  assert.equal(flagsOf(giver, 10), abi.GTF_permit_access)
  assert.equal(swap(9, 512), abi.GNTST_bad_gntref)
  map(taker, giver, 10, HOST)
  assert.equal(swap(9, 10), abi.GNTST_eagain)
})

test('an HVM guest lacks some operations, as on Xen', () => {
  const guest = new TestHost().guest()
  for (const operation of [
    abi.GNTTABOP_dump_table,
    abi.GNTTABOP_transfer,
    abi.GNTTABOP_unmap_and_replace,
    abi.GNTTABOP_get_status_frames,
    abi.GNTTABOP_cache_flush,
    13,
  ]) {
    assert.equal(guest.call(OP, [operation, guest.argument, 1]), -XEN_ENOSYS)
  }
})

test('lists that cannot be reached are EFAULT; an absurd count is EINVAL', () => {
  const guest = new TestHost().guest()
  assert.equal(guest.call(OP, [abi.GNTTABOP_map_grant_ref, NOWHERE, 1]), -XEN_EFAULT)
  assert.equal(guest.call(OP, [abi.GNTTABOP_copy, guest.argument, 0x80000000]), -XEN_EINVAL)
  assert.equal(guest.call(OP, [abi.GNTTABOP_query_size, guest.argument, 2]), -XEN_EINVAL)
  assert.equal(guest.call(OP, [abi.GNTTABOP_map_grant_ref, guest.argument, 0]), 0)
  const other = guest.operate(
    OP,
    abi.GNTTABOP_get_version,
    abi.gnttab_get_version,
    { dom: 99 },
    [1],
  )
  assert.equal(other.result, -XEN_ESRCH)
  assert.equal(guest.call(OP, [abi.GNTTABOP_get_version, NOWHERE, 1]), -XEN_EFAULT)
})

test('get_version of another domain is refused', () => {
  const { giver, taker } = pair()
  const { result } = giver.operate(
    OP,
    abi.GNTTABOP_get_version,
    abi.gnttab_get_version,
    { dom: taker.domain.domid },
    [1],
  )
  assert.equal(result, -XEN_EPERM)
})

test('a long list is worked on in several goes, and every request is answered', () => {
  const { giver, taker } = pair()
  grant(giver, 9, taker.domain.domid, abi.GTF_permit_access)
  const size = abi.gnttab_unmap_grant_ref.size(64)
  const list = new Uint8Array(1000 * size)
  for (let i = 0; i < 1000; i++) {
    list.set(abi.gnttab_unmap_grant_ref.encode(64, { handle: i, status: 99 }), i * size)
  }
  taker.put(0x10000, list)
  assert.equal(taker.call(OP, [abi.GNTTABOP_unmap_grant_ref, 0x10000, 1000]), 0)
  for (let i = 0; i < 1000; i++) {
    const { status } = taker.read(abi.gnttab_unmap_grant_ref, 0x10000 + i * size)
    assert.equal(status, abi.GNTST_bad_handle)
  }
})

test('whatever is mapped and unmapped in whatever order, references add up (XSA-224, XSA-234)', () => {
  const steps = fc.array(
    fc.record({
      isMap: fc.boolean(),
      ref: fc.integer({ min: 8, max: 11 }),
      flags: fc.constantFrom(HOST, READ, abi.GNTMAP_device_map, HOST | abi.GNTMAP_device_map, 0),
      gfn: fc.integer({ min: WINDOW_GFN, max: WINDOW_GFN + 4 }),
      handle: fc.integer({ min: 0, max: 6 }),
    }),
    { maxLength: 40 },
  )
  fc.assert(
    fc.property(steps, (list) => {
      const { host, giver, taker } = pair()
      for (let ref = 8; ref <= 11; ref++) {
        grant(
          giver,
          ref,
          taker.domain.domid,
          abi.GTF_permit_access | (ref & 1 ? abi.GTF_readonly : 0),
        )
      }
      const mfn = giver.domain.physMap.frameOf(GIVEN_GFN)
      for (const { isMap, ref, flags, gfn, handle } of list) {
        if (isMap) map(taker, giver, ref, flags, gfn)
        else unmap(taker, handle, gfn)
        const mapped = taker.domain.grants.mappings().length
        assert.equal(references(host, mfn), 1 + mapped)
        const windows = [0, 1, 2, 3, 4].filter(
          (i) => taker.domain.physMap.frameOf(WINDOW_GFN + i) === mfn,
        )
        assert.equal(windows.length, mapped)
      }
      host.hypervisor.destroyDomain(taker.domain)
      assert.equal(references(host, mfn), 1)
      for (let ref = 8; ref <= 11; ref++) {
        assert.equal(flagsOf(giver, ref) & (abi.GTF_reading | abi.GTF_writing), 0)
      }
    }),
    { numRuns: 75 },
  )
})

test('a service of the host maps a grant to domain 0 and gives it back', () => {
  const { host, giver } = pair()
  grant(giver, 9, 0)
  grant(giver, 10, 5)
  const page = mapGrantedPage(host.hypervisor, giver.domain.domid, 9)
  assert.ok(typeof page !== 'number')
  assert.equal(page.read(3, 1)[0], 21)
  page.write(0, new Uint8Array([42]))
  assert.equal(giver.get(GIVEN_GFN * 4096, 1)[0], 42)
  page.release()
  page.release()
  assert.equal(flagsOf(giver, 9), abi.GTF_permit_access)
  assert.throws(() => page.read(0, 1))
  assert.equal(mapGrantedPage(host.hypervisor, giver.domain.domid, 10), abi.GNTST_general_error)
})
