// Memory that a domain gives back and takes anew (ballooning): XENMEM_increase_reservation,
// _decrease_reservation and _populate_physmap. The answer is the number of extents that were done;
// the first that fails ends the list.

import { FRAME_BYTES } from '../../machine/frame-table.ts'
import { freePage } from '../add-to-physmap.ts'
import type { Domain } from '../domain.ts'
import { MAX_GFNS, P2mType } from '../phys-map.ts'
import type { Call } from './call.ts'

/** Extents of a domU have at most 2 MiB. */
export const MAX_ORDER = 9

/** Pages worked on before the guest may be interrupted. */
const PAGES_PER_GO = 4096
const PAGE_EFFORT = 4

export interface ExtentList {
  readonly extent_start: bigint
  readonly nr_extents: bigint
  readonly extent_order: number
  /** Extents that are done already. */
  readonly start: bigint
}

export interface Progress {
  readonly done: bigint
  readonly isInterrupted: boolean
}

export function populatePhysmap(call: Call, domain: Domain, list: ExtentList): Progress {
  return eachExtent(call, list, (gfn, pages) => {
    if (gfn + BigInt(pages) > BigInt(MAX_GFNS)) return false
    for (let i = 0; i < pages; i++) if (isMapping(domain, Number(gfn) + i)) return false
    return allocate(domain, list.extent_order, (mfn, i) => {
      domain.physMap.set(Number(gfn) + i, mfn, P2mType.ram_rw)
    })
  })
}

/** In a translated domain the new memory lies nowhere: the guest can do nothing with it. */
export function increaseReservation(call: Call, domain: Domain, list: ExtentList): Progress {
  if (list.extent_order > MAX_ORDER) return { done: list.start, isInterrupted: false }
  let done = list.start
  for (let pages = 0; done < list.nr_extents; done++) {
    if (pages >= PAGES_PER_GO) return { done, isInterrupted: true }
    if (!allocate(domain, list.extent_order, () => {})) break
    pages += 2 ** list.extent_order
    guestWorks(call, 2 ** list.extent_order)
  }
  return { done, isInterrupted: false }
}

export function decreaseReservation(call: Call, domain: Domain, list: ExtentList): Progress {
  return eachExtent(call, list, (gfn, pages) => {
    for (let i = 0; i < pages; i++) if (freePage(domain, gfn + BigInt(i)) < 0) return false
    return true
  })
}

function eachExtent(
  call: Call,
  list: ExtentList,
  act: (gfn: bigint, pages: number) => boolean,
): Progress {
  const { guest } = call
  const stop = (done: bigint) => ({ done, isInterrupted: false })
  if (list.extent_order > MAX_ORDER) return stop(list.start)
  if (!guest.isArrayPossible(list.extent_start, list.nr_extents, guest.longSize)) {
    return stop(list.start)
  }
  const pages = 2 ** list.extent_order
  let worked = 0
  for (let done = list.start; done < list.nr_extents; done++) {
    if (worked >= PAGES_PER_GO) return { done, isInterrupted: true }
    const gfn = guest.readLong(list.extent_start + done * BigInt(guest.longSize), 0)
    if (gfn === undefined || !act(gfn, pages)) return stop(done)
    worked += pages
    guestWorks(call, pages)
  }
  return stop(list.nr_extents)
}

/** Wiping a page and entering it takes as long as some accesses. */
function guestWorks({ vcpu }: Call, pages: number): void {
  vcpu.processor.exert(PAGE_EFFORT * pages)
}

/** Does a page of others lie there, of which only its own operations may let go. */
function isMapping(domain: Domain, gfn: number): boolean {
  return domain.physMap.typeOf(gfn) > P2mType.mmio_dm
}

/** Memory for one extent, all or nothing, zeroed or poisoned as the frame table is set up. */
function allocate(
  domain: Domain,
  order: number,
  place: (mfn: number, index: number) => void,
): boolean {
  const pages = 2 ** order
  if (domain.totalPages + pages > domain.maxPages) return false
  const frames = domain.world.memory.table.allocateMany(domain.domid, pages)
  if (!frames) return false
  frames.forEach((mfn, i) => {
    domain.world.memory.written(mfn, FRAME_BYTES)
    place(mfn, i)
  })
  return true
}
