// GNTTABOP_copy: bytes from one page to another, either of which may be the caller's own or granted
// to it, in whole, in part or through a grant of a grant. A copy ends before anybody else runs, so
// the pins that Xen takes meanwhile are not needed; the checks are the same, in the same order.

import type { Mfn } from '../machine/frame-table.ts'
import {
  GNTCOPY_dest_gref,
  GNTCOPY_source_gref,
  GNTST_bad_copy_arg,
  GNTST_bad_domain,
  GNTST_bad_gntref,
  GNTST_bad_page,
  GNTST_general_error,
  GNTST_okay,
  GNTST_permission_denied,
  GTF_readonly,
  GTF_sub_page,
  GTF_transitive,
  GTF_type_mask,
} from './abi/grant-table.ts'
import { DOMID_SELF } from './abi/xen.ts'
import type { GrantParty, GrantWorld } from './grant-map.ts'
import {
  grantableFrame,
  isPinFull,
  PIN_HOST_READ,
  PIN_HOST_WRITE,
  PIN_WRITERS,
} from './grant-table.ts'

const PAGE = 4096

/** One end of a copy. */
export interface CopyEnd {
  readonly domid: number
  /** A grant reference or a guest frame of the caller, as the flags say. */
  readonly frame: number
  readonly offset: number
}

export interface CopyRequest {
  readonly source: CopyEnd
  readonly dest: CopyEnd
  readonly length: number
  /** GNTCOPY_* bits. */
  readonly flags: number
}

/** What a grant gives to a copy: bytes of a frame. */
export interface Claimed {
  readonly mfn: Mfn
  readonly start: number
  readonly length: number
}

/** Copies, and answers a GNTST_ status. */
export function copyGrant(world: GrantWorld, local: GrantParty, request: CopyRequest): number {
  const { source, dest, length, flags } = request
  const isSourceGrant = (flags & GNTCOPY_source_gref) !== 0
  const isDestGrant = (flags & GNTCOPY_dest_gref) !== 0
  const from = partyOf(world, local, source, isSourceGrant)
  if (typeof from === 'number') return from
  const to = partyOf(world, local, dest, isDestGrant)
  if (typeof to === 'number') return to
  const claimedSource = claim(world, local, from, source.frame, isSourceGrant, true)
  if (typeof claimedSource === 'number') return claimedSource
  const claimedDest = claim(world, local, to, dest.frame, isDestGrant, false)
  if (typeof claimedDest === 'number') return claimedDest
  if (source.offset + length > PAGE || dest.offset + length > PAGE) return GNTST_bad_copy_arg
  if (!isInside(source.offset, length, claimedSource)) return GNTST_general_error
  if (!isInside(dest.offset, length, claimedDest)) return GNTST_general_error
  world.memory.copy(claimedSource.mfn, source.offset, claimedDest.mfn, dest.offset, length)
  return GNTST_okay
}

/**
 * The same for a service of the host, which copies by itself: the bytes that a grant of `domid`
 * gives to `local`, good until the guest runs again; or a GNTST_ status.
 */
export function claimGrantForHost(
  world: GrantWorld,
  local: GrantParty,
  request: { readonly domid: number; readonly ref: number; readonly isReadOnly: boolean },
): Claimed | number {
  const owner = world.partyOf(request.domid)
  if (!owner) return GNTST_bad_domain
  return claimGrant(world, owner, request.ref, local.domid, request.isReadOnly, true)
}

export function isInside(offset: number, length: number, claimed: Claimed): boolean {
  return offset >= claimed.start && offset + length <= claimed.start + claimed.length
}

/** Whose page it is. Only the caller's own pages may be named by their frame. */
function partyOf(
  world: GrantWorld,
  local: GrantParty,
  end: CopyEnd,
  isGrant: boolean,
): GrantParty | number {
  if (end.domid === DOMID_SELF) return local
  if (!isGrant) return GNTST_permission_denied
  return world.partyOf(end.domid) ?? GNTST_bad_domain
}

function claim(
  world: GrantWorld,
  local: GrantParty,
  owner: GrantParty,
  frame: number,
  isGrant: boolean,
  isReadOnly: boolean,
): Claimed | number {
  if (isGrant) return claimGrant(world, owner, frame, local.domid, isReadOnly, true)
  const mfn = grantableFrame(world.memory, owner.physMap, owner.domid, frame, isReadOnly)
  return mfn === undefined ? GNTST_bad_page : { mfn, start: 0, length: PAGE }
}

/** What a grant of `owner` gives to `domid`. A transitive grant is followed once. */
function claimGrant(
  world: GrantWorld,
  owner: GrantParty,
  ref: number,
  domid: number,
  isReadOnly: boolean,
  mayFollow: boolean,
): Claimed | number {
  const { grants } = owner
  if (ref >= grants.entryCount) return GNTST_bad_gntref
  const active = grants.active(ref)
  const entry = grants.entries.read(ref)
  if (active.pin !== 0) {
    // It is mapped: what it gives is what it gave then, whatever the entry has become.
    const isFull = isPinFull(active.pin, isReadOnly ? PIN_HOST_READ : PIN_HOST_WRITE)
    if (active.domid !== domid || isFull) return GNTST_general_error
    const isCovered = isReadOnly || (active.pin & PIN_WRITERS) !== 0
    if (!isCovered) {
      if (entry.flags & GTF_readonly) return GNTST_general_error
      const mfn = grantableFrame(world.memory, owner.physMap, owner.domid, entry.gfn, false)
      if (mfn === undefined) return GNTST_bad_page
    }
    return { mfn: active.mfn as Mfn, start: 0, length: PAGE }
  }
  const isTransitive = grants.version === 2 && (entry.flags & GTF_type_mask) === GTF_transitive
  if (!grants.entries.permits(entry, domid, isReadOnly, false)) return GNTST_general_error
  if (isTransitive) {
    if (!mayFollow || entry.transitiveDomid === owner.domid) return GNTST_general_error
    const next = world.partyOf(entry.transitiveDomid)
    if (!next) return GNTST_general_error
    return claimGrant(world, next, entry.transitiveRef, owner.domid, isReadOnly, false)
  }
  // Version 1 knows no parts of pages: the bit means nothing there.
  const isPart = grants.version === 2 && (entry.flags & GTF_sub_page) !== 0
  const mfn = grantableFrame(world.memory, owner.physMap, owner.domid, entry.gfn, isReadOnly)
  if (mfn === undefined) return GNTST_bad_page
  return isPart
    ? { mfn, start: entry.start, length: entry.length }
    : { mfn, start: 0, length: PAGE }
}
