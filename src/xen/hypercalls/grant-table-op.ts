// grant_table_op (public/grant_table.h): lists of requests, each with a status of its own. A PVH
// guest has the operations that Xen 4.17 lets HVM guests use; the others are -ENOSYS.

import { XEN_EFAULT, XEN_EINVAL, XEN_ENOSYS, XEN_EPERM } from '../abi/errno.ts'
import {
  GNTCOPY_dest_gref,
  GNTCOPY_source_gref,
  GNTST_bad_domain,
  GNTST_bad_virt_addr,
  GNTST_general_error,
  GNTST_okay,
  GNTST_permission_denied,
  GNTTABOP_copy,
  GNTTABOP_get_version,
  GNTTABOP_map_grant_ref,
  GNTTABOP_query_size,
  GNTTABOP_set_version,
  GNTTABOP_setup_table,
  GNTTABOP_swap_grant_ref,
  GNTTABOP_unmap_grant_ref,
  gnttab_copy,
  gnttab_get_version,
  gnttab_map_grant_ref,
  gnttab_query_size,
  gnttab_set_version,
  gnttab_setup_table,
  gnttab_swap_grant_ref,
  gnttab_unmap_grant_ref,
} from '../abi/grant-table.ts'
import type { AbiFields, Structure, Values } from '../abi/structure.ts'
import type { Domain } from '../domain.ts'
import { copyGrant } from '../grant-copy.ts'
import { mapGrant, unmapGrant } from '../grant-map.ts'
import { type Answer, anyDomain, BATCH, type Call, pointer, uint } from './call.ts'

type Operation = (call: Call, address: bigint, count: number) => Answer

/** A list of requests, worked on one after the other; long lists in several goes. */
function listOf<F extends AbiFields>(
  structure: Structure<F>,
  act: (call: Call, values: Values<F>) => Partial<Values<F>>,
): (operation: number) => Operation {
  return (operation) => (call, address, count) => {
    const { guest } = call
    const size = structure.size(guest.width)
    if (!guest.isArrayPossible(address, count, size)) return -XEN_EFAULT
    for (let i = 0; i < count; i++) {
      if (i === BATCH) {
        const rest = address + BigInt(i * size)
        return { again: [BigInt(operation), rest, BigInt(count - i)] }
      }
      const at = address + BigInt(i * size)
      const values = guest.read(structure, at)
      if (!values) return -XEN_EFAULT
      if (!guest.write(structure, at, { ...values, ...act(call, values) })) return -XEN_EFAULT
    }
    return 0
  }
}

const mapAll = listOf(gnttab_map_grant_ref, ({ domain }, request) => {
  const { dom, ref, flags, host_addr } = request
  const { status, handle, mfn } = mapGrant(domain.world, domain, {
    domid: dom,
    ref,
    flags,
    address: host_addr,
  })
  if (status !== GNTST_okay) return { status }
  return { status, handle, dev_bus_addr: BigInt(mfn) << 12n }
})

const unmapAll = listOf(gnttab_unmap_grant_ref, ({ domain }, { handle, host_addr }) => ({
  status: unmapGrant(domain.world, domain, { handle, address: host_addr }),
}))

const copyAll = listOf(gnttab_copy, ({ domain }, request) => ({
  status: copyGrant(domain.world, domain, {
    source: {
      domid: request['source.domid'],
      frame: frameOf(request['source.u.gmfn'], (request.flags & GNTCOPY_source_gref) !== 0),
      offset: request['source.offset'],
    },
    dest: {
      domid: request['dest.domid'],
      frame: frameOf(request['dest.u.gmfn'], (request.flags & GNTCOPY_dest_gref) !== 0),
      offset: request['dest.offset'],
    },
    length: request.len,
    flags: request.flags,
  }),
}))

const swapAll = listOf(gnttab_swap_grant_ref, ({ domain }, { ref_a, ref_b }) => ({
  status: domain.grants.swap(ref_a, ref_b),
}))

const OPERATIONS: ReadonlyMap<number, Operation> = new Map([
  [GNTTABOP_map_grant_ref, mapAll(GNTTABOP_map_grant_ref)],
  [GNTTABOP_unmap_grant_ref, unmapAll(GNTTABOP_unmap_grant_ref)],
  [GNTTABOP_copy, copyAll(GNTTABOP_copy)],
  [GNTTABOP_swap_grant_ref, swapAll(GNTTABOP_swap_grant_ref)],
  [GNTTABOP_setup_table, setupTable],
  [GNTTABOP_query_size, querySize],
  [GNTTABOP_set_version, setVersion],
  [GNTTABOP_get_version, getVersion],
])

export function grantTableOp(call: Call, args: readonly bigint[]): Answer {
  const count = uint(args, 2)
  const operation = OPERATIONS.get(uint(args, 0))
  if (!operation) return -XEN_ENOSYS
  if (count > 0x7fffffff) return -XEN_EINVAL
  return operation(call, pointer(args, 1), count)
}

/** A union of a 32-bit reference and a long; frames beyond any memory stay beyond it. */
function frameOf(value: bigint, isGrant: boolean): number {
  return isGrant ? Number(value & 0xffffffffn) : Number(value)
}

/** The domain whose table is looked at, or a status: a guest may look at its own only. */
function ownTable(call: Call, domid: number): Domain | number {
  const domain = anyDomain(call, domid)
  if (typeof domain === 'number') return GNTST_bad_domain
  return domain === call.domain ? domain : GNTST_permission_denied
}

function setupTable(call: Call, address: bigint, count: number): number {
  const { guest } = call
  if (count !== 1) return -XEN_EINVAL
  const request = guest.read(gnttab_setup_table, address)
  if (!request) return -XEN_EFAULT
  const { dom, nr_frames, frame_list } = request
  if (!guest.isArrayPossible(frame_list, nr_frames, guest.longSize)) return -XEN_EFAULT
  const domain = ownTable(call, dom)
  let status = GNTST_okay
  if (typeof domain === 'number') status = domain
  else if (!domain.grants.grow(nr_frames)) status = GNTST_general_error
  else {
    for (let i = 0; i < nr_frames && status === GNTST_okay; i++) {
      // Where the guest itself has mapped the frame; all ones if nowhere.
      const gfn = BigInt(domain.grants.gfnOf(i, false))
      if (!guest.writeLong(frame_list, i, gfn)) status = GNTST_bad_virt_addr
    }
  }
  return guest.writeField(gnttab_setup_table, address, 'status', status) ? 0 : -XEN_EFAULT
}

function querySize(call: Call, address: bigint, count: number): number {
  if (count !== 1) return -XEN_EINVAL
  const request = call.guest.read(gnttab_query_size, address)
  if (!request) return -XEN_EFAULT
  const domain = ownTable(call, request.dom)
  const answer =
    typeof domain === 'number'
      ? { status: domain }
      : {
          nr_frames: domain.grants.frameCount,
          max_nr_frames: domain.grants.maxFrames,
          status: GNTST_okay,
        }
  const isWritten = call.guest.write(gnttab_query_size, address, { ...request, ...answer })
  return isWritten ? 0 : -XEN_EFAULT
}

function setVersion(call: Call, address: bigint, count: number): number {
  if (count !== 1) return -XEN_EINVAL
  const request = call.guest.read(gnttab_set_version, address)
  if (!request) return -XEN_EFAULT
  const { grants } = call.domain
  const result = grants.setVersion(request.version)
  const isWritten = call.guest.write(gnttab_set_version, address, { version: grants.version })
  return isWritten ? result : -XEN_EFAULT
}

function getVersion(call: Call, address: bigint, count: number): number {
  if (count !== 1) return -XEN_EINVAL
  const request = call.guest.read(gnttab_get_version, address)
  if (!request) return -XEN_EFAULT
  const domain = anyDomain(call, request.dom)
  if (typeof domain === 'number') return domain
  if (domain !== call.domain) return -XEN_EPERM
  const { version } = domain.grants
  const isWritten = call.guest.writeField(gnttab_get_version, address, 'version', version)
  return isWritten ? 0 : -XEN_EFAULT
}
