// GNTTABOP_copy for a service of the host, whose own end of the copy is not a page but bytes. The
// checks of the guest's end are those of grant-copy.ts.

import { GNTST_bad_copy_arg, GNTST_bad_domain, GNTST_okay } from './abi/grant-table.ts'
import { type Claimed, claimGrant, isInside } from './grant-copy.ts'
import type { GrantParty, GrantWorld } from './grant-map.ts'

const PAGE = 4096

interface HostWorld extends GrantWorld {
  readonly control: GrantParty
}

/** Fills `into` from a page that a guest granted to domain 0; a GNTST_ status. */
export function copyFromGrant(
  world: HostWorld,
  domid: number,
  ref: number,
  offset: number,
  into: Uint8Array,
): number {
  const claimed = claimPart(world, domid, ref, offset, into.length, true)
  if (typeof claimed === 'number') return claimed
  world.memory.readInto(claimed.mfn, offset, into)
  return GNTST_okay
}

/** Stores `from` into a page that a guest granted to domain 0 for writing; a GNTST_ status. */
export function copyToGrant(
  world: HostWorld,
  domid: number,
  ref: number,
  offset: number,
  from: Uint8Array,
): number {
  const claimed = claimPart(world, domid, ref, offset, from.length, false)
  if (typeof claimed === 'number') return claimed
  world.memory.write(claimed.mfn, offset, from)
  return GNTST_okay
}

function claimPart(
  world: HostWorld,
  domid: number,
  ref: number,
  offset: number,
  length: number,
  isReadOnly: boolean,
): Claimed | number {
  const owner = world.partyOf(domid)
  if (!owner) return GNTST_bad_domain
  const claimed = claimGrant(world, owner, ref, world.control.domid, isReadOnly, true)
  if (typeof claimed === 'number') return claimed
  return offset + length <= PAGE && isInside(offset, length, claimed) ? claimed : GNTST_bad_copy_arg
}
