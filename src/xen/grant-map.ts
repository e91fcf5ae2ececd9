// Mapping grants and giving the mappings back (GNTTABOP_map_grant_ref, _unmap_grant_ref), in the
// order of checks of Xen 4.17. A translated domain maps a grant at a guest frame; a service of the
// host takes the machine frame itself. Answers are GNTST_ statuses.

import type { Mfn } from '../machine/frame-table.ts'
import {
  GNTMAP_application_map,
  GNTMAP_contains_pte,
  GNTMAP_device_map,
  GNTMAP_host_map,
  GNTMAP_readonly,
  GNTST_bad_domain,
  GNTST_bad_gntref,
  GNTST_bad_handle,
  GNTST_bad_page,
  GNTST_general_error,
  GNTST_no_space,
  GNTST_okay,
  GTF_readonly,
} from './abi/grant-table.ts'
import type { FrameMemory } from './frame-memory.ts'
import {
  type ActiveGrant,
  type GrantTable,
  grantableFrame,
  isPinFull,
  PIN_DEVICE_READ,
  PIN_DEVICE_WRITE,
  PIN_HOST_READ,
  PIN_HOST_WRITE,
  PIN_WRITERS,
} from './grant-table.ts'
import { MAX_GFNS, P2mType, type PhysMap } from './phys-map.ts'

/** What grants need of a domain. */
export interface GrantParty {
  readonly domid: number
  readonly grants: GrantTable
  readonly physMap: PhysMap
}

/** What grants need of the hypervisor. */
export interface GrantWorld {
  readonly memory: FrameMemory
  partyOf(domid: number): GrantParty | undefined
}

export interface MapResult {
  readonly status: number
  readonly handle: number
  /** The frame that was granted; -1 if the status is not GNTST_okay. */
  readonly mfn: number
}

const NOT_MAPPABLE = GNTMAP_device_map | GNTMAP_application_map | GNTMAP_contains_pte

const failed = (status: number): MapResult => ({ status, handle: 0, mfn: -1 })

/** GNTTABOP_map_grant_ref for a translated domain: the grant appears at guest-physical `address`. */
export function mapGrant(
  world: GrantWorld,
  local: GrantParty,
  request: { domid: number; ref: number; flags: number; address: bigint },
): MapResult {
  const { flags } = request
  if (!(flags & (GNTMAP_device_map | GNTMAP_host_map))) return failed(GNTST_bad_gntref)
  if (flags & NOT_MAPPABLE) return failed(GNTST_general_error)
  return pinGrant(world, local, request, () => {
    const gfn = Number(request.address >> 12n)
    // What is there must not be a mapping itself; memory of the domain is put out of reach.
    const isFree = gfn < MAX_GFNS && local.physMap.typeOf(gfn) <= P2mType.mmio_dm
    return (flags & ~GNTMAP_readonly) === GNTMAP_host_map && isFree
      ? (mfn) => local.physMap.set(gfn, mfn, windowType(flags))
      : undefined
  })
}

/** The same for a service of the host, which takes the frame as it is. */
export function mapGrantForHost(
  world: GrantWorld,
  local: GrantParty,
  request: { domid: number; ref: number; isReadOnly: boolean },
): MapResult {
  const flags = GNTMAP_host_map | (request.isReadOnly ? GNTMAP_readonly : 0)
  return pinGrant(world, local, { ...request, flags }, () => () => {})
}

/** `place` answers how to enter the frame into the mapper's address space, if that is possible. */
function pinGrant(
  world: GrantWorld,
  local: GrantParty,
  request: { domid: number; ref: number; flags: number },
  place: () => ((mfn: Mfn) => void) | undefined,
): MapResult {
  const { domid, ref, flags } = request
  const isReadOnly = (flags & GNTMAP_readonly) !== 0
  const remote = world.partyOf(domid)
  if (!remote) return failed(GNTST_bad_domain)
  const handle = local.grants.newHandle({ ref, domid, flags })
  if (handle < 0) return failed(GNTST_no_space)
  const fail = (status: number) => {
    local.grants.freeHandle(handle)
    return failed(status)
  }
  if (ref >= remote.grants.entryCount) return fail(GNTST_bad_gntref)
  const active: ActiveGrant = { ...remote.grants.active(ref) }
  if (active.pin !== 0) {
    const isTaken = active.domid !== local.domid || active.isSubPage
    if (isTaken || isPinFull(active.pin, pinFor(flags))) return fail(GNTST_general_error)
  }
  const { entries } = remote.grants
  if (active.pin === 0 || (!isReadOnly && !(active.pin & PIN_WRITERS))) {
    const entry = entries.read(ref)
    const isAllowed =
      active.pin === 0
        ? entries.permits(entry, local.domid, isReadOnly, true)
        : (entry.flags & GTF_readonly) === 0
    if (!isAllowed) return fail(GNTST_general_error)
    if (active.pin === 0) {
      const mfn = grantableFrame(world.memory, remote.physMap, domid, entry.gfn, isReadOnly)
      if (mfn === undefined) return fail(GNTST_bad_page)
      active.domid = local.domid
      active.mfn = mfn
      active.isSubPage = false
    }
  }
  const enter = place()
  if (!enter) return fail(GNTST_general_error)
  const mfn = active.mfn as Mfn
  if (!world.memory.table.get(mfn, domid)) return fail(GNTST_general_error)
  enter(mfn)
  active.pin += pinFor(flags)
  entries.mark(ref, isReadOnly)
  remote.grants.setActive(ref, active)
  return { status: GNTST_okay, handle, mfn }
}

/** GNTTABOP_unmap_grant_ref for a translated domain. */
export function unmapGrant(
  world: GrantWorld,
  local: GrantParty,
  request: { handle: number; address: bigint },
): number {
  const mapping = local.grants.mapping(request.handle)
  if (!mapping) return GNTST_bad_handle
  const remote = world.partyOf(mapping.domid)
  if (!remote) return GNTST_bad_domain
  const active: ActiveGrant = { ...remote.grants.active(mapping.ref) }
  if (request.address !== 0n && mapping.flags & GNTMAP_host_map) {
    const gfn = Number(request.address >> 12n)
    const type = local.physMap.typeOf(gfn)
    // Of the same rights: a window for writing must not outlive the pin that allows it.
    const isSame = type === windowType(mapping.flags)
    if (!isSame || local.physMap.frameOf(gfn) !== active.mfn) return GNTST_general_error
    local.physMap.remove(gfn)
    release(world, remote, mapping, active)
    local.grants.freeHandle(request.handle)
  }
  return GNTST_okay
}

/** Gives back what {@link mapGrantForHost} took. */
export function unmapGrantForHost(world: GrantWorld, local: GrantParty, handle: number): number {
  const mapping = local.grants.mapping(handle)
  if (!mapping) return GNTST_bad_handle
  const remote = world.partyOf(mapping.domid)
  if (!remote) return GNTST_bad_domain
  release(world, remote, mapping, { ...remote.grants.active(mapping.ref) })
  local.grants.freeHandle(handle)
  return GNTST_okay
}

/** Gives back everything a domain has mapped of others: it ends. */
export function releaseAllGrants(world: GrantWorld, local: GrantParty): void {
  for (const { gfn, type } of [...local.physMap.entries()]) {
    if (type === P2mType.grant_map_rw || type === P2mType.grant_map_ro) local.physMap.remove(gfn)
  }
  for (const [handle, mapping] of local.grants.mappings()) {
    const remote = world.partyOf(mapping.domid)
    if (remote) release(world, remote, mapping, { ...remote.grants.active(mapping.ref) })
    local.grants.freeHandle(handle)
  }
}

/** Undoes one pin; the rights are those that were recorded when it was made. */
function release(
  world: GrantWorld,
  remote: GrantParty,
  mapping: { readonly ref: number; readonly flags: number },
  active: ActiveGrant,
): void {
  active.pin -= pinFor(mapping.flags)
  remote.grants.settle(mapping.ref, active)
  world.memory.table.put(active.mfn as Mfn)
}

function windowType(flags: number): P2mType {
  return flags & GNTMAP_readonly ? P2mType.grant_map_ro : P2mType.grant_map_rw
}

function pinFor(flags: number): number {
  const isReadOnly = (flags & GNTMAP_readonly) !== 0
  const host = isReadOnly ? PIN_HOST_READ : PIN_HOST_WRITE
  const device = isReadOnly ? PIN_DEVICE_READ : PIN_DEVICE_WRITE
  return (flags & GNTMAP_host_map ? host : 0) + (flags & GNTMAP_device_map ? device : 0)
}
