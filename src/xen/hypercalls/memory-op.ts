// memory_op (public/memory.h): the part a PVH guest may use. Bits of the command above the sixth
// say where an interrupted list is to be taken up again.

import {
  XEN_EACCES,
  XEN_EFAULT,
  XEN_EINVAL,
  XEN_ENOSYS,
  XEN_EOPNOTSUPP,
  XEN_EPERM,
  XEN_ESRCH,
} from '../abi/errno.ts'
import {
  XENMAPSPACE_dev_mmio,
  XENMAPSPACE_gmfn_foreign,
  XENMAPSPACE_gmfn_range,
  XENMEM_access_op,
  XENMEM_acquire_resource,
  XENMEM_add_to_physmap,
  XENMEM_add_to_physmap_batch,
  XENMEM_claim_pages,
  XENMEM_current_reservation,
  XENMEM_decrease_reservation,
  XENMEM_exchange,
  XENMEM_get_pod_target,
  XENMEM_get_sharing_freed_pages,
  XENMEM_get_sharing_shared_pages,
  XENMEM_get_vnumainfo,
  XENMEM_increase_reservation,
  XENMEM_machine_memory_map,
  XENMEM_maximum_gpfn,
  XENMEM_maximum_ram_page,
  XENMEM_maximum_reservation,
  XENMEM_memory_map,
  XENMEM_paging_op,
  XENMEM_populate_physmap,
  XENMEM_remove_from_physmap,
  XENMEM_set_memory_map,
  XENMEM_set_pod_target,
  XENMEM_sharing_op,
  xen_add_to_physmap,
  xen_add_to_physmap_batch,
  xen_foreign_memory_map,
  xen_mem_acquire_resource,
  xen_memory_domain,
  xen_memory_map,
  xen_memory_reservation,
  xen_remove_from_physmap,
  xen_vnuma_topology_info,
} from '../abi/memory.ts'
import { addToPhysmap, removeFromPhysmap } from '../add-to-physmap.ts'
import { DOMID_SELF } from '../abi/xen.ts'
import type { Domain } from '../domain.ts'
import { type Answer, BATCH, type Call, pointer, targetDomain } from './call.ts'
import { exchange } from './memory-exchange.ts'
import { decreaseReservation, increaseReservation, populatePhysmap } from './memory-reservation.ts'

const COMMAND_BITS = 6n
const E820_ENTRY = 20
const E820_MAX = 128

export function memoryOp(call: Call, args: readonly bigint[]): Answer {
  const command = Number((args[0] ?? 0n) & 63n)
  const start = (args[0] ?? 0n) >> COMMAND_BITS
  const address = pointer(args, 1)
  const again = (done: bigint): Answer => ({
    again: [(done << COMMAND_BITS) | BigInt(command), address],
  })
  switch (command) {
    case XENMEM_increase_reservation:
      return onReservation(call, address, start, again, increaseReservation)
    case XENMEM_decrease_reservation:
      return onReservation(call, address, start, again, decreaseReservation)
    case XENMEM_populate_physmap:
      return onReservation(call, address, start, again, populatePhysmap)
    case XENMEM_exchange:
      return exchange(call, address)
    case XENMEM_maximum_ram_page:
      return call.world.maxFrame
    case XENMEM_current_reservation:
      return onDomain(call, address, (domain) => domain.totalPages)
    case XENMEM_maximum_reservation:
      return onDomain(call, address, (domain) => domain.maxPages)
    case XENMEM_maximum_gpfn:
      return onDomain(call, address, (domain) => domain.physMap.maximumGfn)
    case XENMEM_add_to_physmap:
      return add(call, address, start, again)
    case XENMEM_add_to_physmap_batch:
      return addBatch(call, address, start, again)
    case XENMEM_remove_from_physmap: {
      const request = call.guest.read(xen_remove_from_physmap, address)
      if (!request) return -XEN_EFAULT
      const domain = targetDomain(call, request.domid)
      return typeof domain === 'number' ? domain : removeFromPhysmap(domain, request.gpfn)
    }
    case XENMEM_memory_map:
      return memoryMap(call, address)
    case XENMEM_set_memory_map:
      return setMemoryMap(call, address)
    case XENMEM_get_sharing_freed_pages:
    case XENMEM_get_sharing_shared_pages:
      return 0
    case XENMEM_get_vnumainfo: {
      const request = call.guest.read(xen_vnuma_topology_info, address)
      if (!request) return -XEN_EFAULT
      if (request.pad !== 0) return -XEN_EINVAL
      const domain = targetDomain(call, request.domid)
      return typeof domain === 'number' ? domain : -XEN_EOPNOTSUPP
    }
    case XENMEM_acquire_resource: {
      const request = call.guest.read(xen_mem_acquire_resource, address)
      if (!request) return -XEN_EFAULT
      return -XEN_EACCES
    }
    case XENMEM_machine_memory_map:
    case XENMEM_set_pod_target:
    case XENMEM_get_pod_target:
    case XENMEM_claim_pages:
    case XENMEM_paging_op:
    case XENMEM_access_op:
    case XENMEM_sharing_op:
      return -XEN_EPERM
    default:
      return -XEN_ENOSYS
  }
}

/** Errors before the list is looked at are told as "nothing done beyond where it stood". */
function onReservation(
  call: Call,
  address: bigint,
  start: bigint,
  again: (done: bigint) => Answer,
  work: typeof populatePhysmap,
): Answer {
  const request = call.guest.read(xen_memory_reservation, address)
  const stood = Number(start)
  if (!request) return stood
  const most = ((1n << BigInt(call.guest.width)) - 1n) >> COMMAND_BITS
  if (request.nr_extents > most || start >= request.nr_extents) return stood
  const domain = targetDomain(call, request.domid)
  if (typeof domain === 'number') return stood
  const list = { ...request, start }
  const { done, isInterrupted } = work(call, domain, list)
  return isInterrupted ? again(done) : Number(done)
}

function onDomain(call: Call, address: bigint, look: (domain: Domain) => number): number {
  const request = call.guest.read(xen_memory_domain, address)
  if (!request) return -XEN_EFAULT
  const domain = targetDomain(call, request.domid)
  return typeof domain === 'number' ? domain : look(domain)
}

function add(call: Call, address: bigint, start: bigint, again: (done: bigint) => Answer): Answer {
  const request = call.guest.read(xen_add_to_physmap, address)
  if (!request) return -XEN_EFAULT
  const { domid, size, space, idx, gpfn } = request
  if (space === XENMAPSPACE_gmfn_foreign) return -XEN_ENOSYS
  const domain = mappableBy(call, domid, space)
  if (typeof domain === 'number') return domain
  if (space !== XENMAPSPACE_gmfn_range) return addToPhysmap(domain, space, idx, gpfn)
  for (let i = start; i < BigInt(size); i++) {
    if (i - start === BigInt(BATCH)) return again(i)
    const result = addToPhysmap(domain, space, idx + i, gpfn + i)
    if (result < 0) return result
  }
  return 0
}

function addBatch(
  call: Call,
  address: bigint,
  start: bigint,
  again: (done: bigint) => Answer,
): Answer {
  const { guest, world } = call
  const request = guest.read(xen_add_to_physmap_batch, address)
  if (!request) return -XEN_EFAULT
  const { domid, space, size, idxs, gpfns, errs } = request
  if (space === XENMAPSPACE_gmfn_range) return -XEN_EOPNOTSUPP
  const areListsPossible =
    guest.isArrayPossible(idxs, size, guest.longSize) &&
    guest.isArrayPossible(gpfns, size, guest.longSize) &&
    guest.isArrayPossible(errs, size, 4)
  if (!areListsPossible) return -XEN_EFAULT
  const domain = mappableBy(call, domid, space)
  if (typeof domain === 'number') return domain
  const other = request['u.foreign_domid']
  const foreign = other === DOMID_SELF ? domain : world.domain(other)
  for (let i = Number(start); i < size; i++) {
    if (i - Number(start) === BATCH) return again(BigInt(i))
    const idx = guest.readLong(idxs, i)
    const gpfn = idx === undefined ? undefined : guest.readLong(gpfns, i)
    if (idx === undefined || gpfn === undefined) return -XEN_EFAULT
    const result = addToPhysmap(domain, space, idx, gpfn, foreign)
    if (!guest.writeU32(errs, i, result)) return -XEN_EFAULT
  }
  return 0
}

function mappableBy(call: Call, domid: number, space: number): Domain | number {
  const domain = targetDomain(call, domid)
  if (typeof domain === 'number' && domain === -XEN_ESRCH) return domain
  // Registers of devices are the hardware domain's.
  return space === XENMAPSPACE_dev_mmio ? -XEN_EACCES : domain
}

function memoryMap(call: Call, address: bigint): number {
  const request = call.guest.read(xen_memory_map, address)
  if (!request) return -XEN_EFAULT
  const { memoryMap: map } = call.domain
  if (map.length === 0) return -XEN_ENOSYS
  const entries = Math.min(request.nr_entries, map.length / E820_ENTRY)
  const isCopied = call.guest.writeBytes(request.buffer, map.subarray(0, entries * E820_ENTRY))
  if (!isCopied) return -XEN_EFAULT
  const answer = { ...request, nr_entries: entries }
  return call.guest.write(xen_memory_map, address, answer) ? 0 : -XEN_EFAULT
}

function setMemoryMap(call: Call, address: bigint): number {
  const request = call.guest.read(xen_foreign_memory_map, address)
  if (!request) return -XEN_EFAULT
  if (request['map.nr_entries'] > E820_MAX) return -XEN_EINVAL
  const domain = targetDomain(call, request.domid)
  if (typeof domain === 'number') return domain
  const bytes = call.guest.readBytes(request['map.buffer'], request['map.nr_entries'] * E820_ENTRY)
  if (!bytes) return -XEN_EFAULT
  domain.memoryMap = bytes.slice()
  return 0
}
