// Putting a page somewhere in a domain's physical map (XENMEM_add_to_physmap and its batch), and
// taking one out. What was at the place before goes: memory of the domain is freed, one of Xen's
// own frames is merely unhooked there. Answers are 0 or an error number negated.

import { FRAME_XEN_HEAP, type Mfn } from '../machine/frame-table.ts'
import {
  XEN_EINVAL,
  XEN_ENOENT,
  XEN_ENXIO,
  XEN_EOPNOTSUPP,
  XEN_EPERM,
  XEN_ESRCH,
} from './abi/errno.ts'
import {
  XENMAPIDX_grant_table_status,
  XENMAPSPACE_gmfn,
  XENMAPSPACE_gmfn_foreign,
  XENMAPSPACE_gmfn_range,
  XENMAPSPACE_grant_table,
  XENMAPSPACE_shared_info,
} from './abi/memory.ts'
import type { Domain } from './domain.ts'
import { MAX_GFNS, P2mType } from './phys-map.ts'

/** The frame that is to be placed, and how its old place is left. */
interface Source {
  readonly mfn: Mfn
  /** Where it is now; -1 for nowhere. */
  readonly oldGfn: number
  /** Notes the new place. */
  readonly placed: (gfn: number) => void
}

/** Places one page. `foreign` is the other domain for XENMAPSPACE_gmfn_foreign. */
export function addToPhysmap(
  domain: Domain,
  space: number,
  idx: bigint,
  gpfn: bigint,
  foreign?: Domain,
): number {
  if (gpfn >= BigInt(MAX_GFNS)) return -XEN_EINVAL
  if (space === XENMAPSPACE_gmfn_foreign) {
    if (!foreign) return -XEN_ESRCH
    // Foreign pages are for privileged domains, which a domU is not; its own are not foreign.
    return foreign === domain ? -XEN_EINVAL : -XEN_EPERM
  }
  const source = sourceOf(domain, space, idx)
  if (typeof source === 'number') return source
  const gfn = Number(gpfn)
  const cleared = clear(domain, gfn, source.mfn)
  if (cleared < 0) return cleared
  const { oldGfn } = source
  // Something else may have been put over it since.
  if (oldGfn !== gfn && domain.physMap.frameOf(oldGfn) === source.mfn) domain.physMap.remove(oldGfn)
  domain.physMap.set(gfn, source.mfn, P2mType.ram_rw)
  source.placed(gfn)
  return 0
}

/** XENMEM_remove_from_physmap: the frame stays the domain's, but out of its reach. */
export function removeFromPhysmap(domain: Domain, gpfn: bigint): number {
  const gfn = gpfn < BigInt(MAX_GFNS) ? Number(gpfn) : -1
  const mfn = domain.physMap.ramAt(gfn)
  if (mfn === undefined) return -XEN_ENOENT
  forget(domain, gfn, mfn)
  domain.physMap.remove(gfn)
  return 0
}

/** Gives one page back to Xen (XENMEM_decrease_reservation). */
export function freePage(domain: Domain, gpfn: bigint): number {
  const gfn = gpfn < BigInt(MAX_GFNS) ? Number(gpfn) : -1
  const type = domain.physMap.typeOf(gfn)
  if (type === P2mType.mmio_direct) return -XEN_EPERM
  // A page of somebody else.
  if (type > P2mType.mmio_direct) return -XEN_ENXIO
  const mfn = domain.physMap.ramAt(gfn)
  if (mfn === undefined) return -XEN_EINVAL
  forget(domain, gfn, mfn)
  domain.physMap.remove(gfn)
  if (!isXenHeap(domain, mfn)) domain.world.memory.table.free(mfn)
  return 0
}

function sourceOf(domain: Domain, space: number, idx: bigint): Source | number {
  const { shared, grants, physMap } = domain
  switch (space) {
    case XENMAPSPACE_shared_info: {
      if (idx !== 0n) return -XEN_EINVAL
      const placed = (gfn: number) => {
        shared.gfn = gfn
      }
      return { mfn: shared.mfn, oldGfn: shared.gfn, placed }
    }
    case XENMAPSPACE_grant_table: {
      const flag = BigInt(XENMAPIDX_grant_table_status)
      const isStatus = grants.version === 2 && (idx & flag) !== 0n
      const wanted = isStatus ? idx & ~flag : idx
      const index = wanted < BigInt(MAX_GFNS) ? Number(wanted) : MAX_GFNS
      const mfn = grants.frameForMapping(index, isStatus)
      if (mfn === undefined) return -XEN_EINVAL
      const placed = (gfn: number) => grants.setGfn(index, isStatus, gfn)
      return { mfn, oldGfn: grants.gfnOf(index, isStatus), placed }
    }
    case XENMAPSPACE_gmfn:
    case XENMAPSPACE_gmfn_range: {
      const from = idx < BigInt(MAX_GFNS) ? Number(idx) : -1
      const mfn = physMap.ramAt(from)
      if (mfn === undefined) return -XEN_EINVAL
      return { mfn, oldGfn: from, placed: (gfn) => moved(domain, from, gfn) }
    }
    default:
      return -XEN_EOPNOTSUPP
  }
}

/** Makes room at a guest frame for `mfn`. */
function clear(domain: Domain, gfn: number, mfn: Mfn): number {
  const { physMap } = domain
  const type = physMap.typeOf(gfn)
  if (type === P2mType.invalid || type === P2mType.mmio_dm) return 0
  const old = physMap.ramAt(gfn)
  if (old === mfn) return 0
  return freePage(domain, BigInt(gfn))
}

/** One of Xen's own frames has left its place. */
function forget(domain: Domain, gfn: number, mfn: Mfn): void {
  if (!isXenHeap(domain, mfn)) return
  if (domain.shared.gfn === gfn) domain.shared.gfn = -1
  domain.grants.forgetGfn(gfn)
}

/** One of Xen's own frames may have been moved by its guest frame. */
function moved(domain: Domain, from: number, to: number): void {
  if (domain.shared.gfn === from) domain.shared.gfn = to
  domain.grants.moveGfn(from, to)
}

function isXenHeap(domain: Domain, mfn: Mfn): boolean {
  const { table } = domain.world.memory
  return ((table.flags[table.indexOf(mfn)] as number) & FRAME_XEN_HEAP) !== 0
}
