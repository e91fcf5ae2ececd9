// A domain's grant table: the shared frames in which the guest writes its grants, what Xen knows
// about those in use (active entries), and the handles of what the domain has mapped of others
// (maptrack). Mapping, unmapping and copying are in grant-map.ts and grant-copy.ts.
//
// Invariant: a pinned active entry holds one reference of its frame for each pin.

import { invariant } from '../base/errors.ts'
import type { Mfn } from '../machine/frame-table.ts'
import { XEN_EBUSY, XEN_EINVAL, XEN_ENOMEM, XEN_ENOSYS, XEN_ERANGE } from './abi/errno.ts'
import {
  GNTTAB_NR_RESERVED_ENTRIES,
  GNTST_bad_gntref,
  GNTST_eagain,
  GNTST_okay,
  GTF_permit_access,
  GTF_reading,
  GTF_transitive,
  GTF_type_mask,
  GTF_writing,
} from './abi/grant-table.ts'
import {
  entriesPerFrame,
  GrantEntries,
  type GrantVersion,
  STATUS_PER_FRAME,
} from './grant-entries.ts'
import type { FrameMemory } from './frame-memory.ts'
import { P2mType, type PhysMap } from './phys-map.ts'

/** Handles in one frame of Xen's maptrack table. */
const MAPTRACK_PER_FRAME = 256

/** Counts of one active entry, 8 bits each, as Xen packs them. */
export const PIN_HOST_WRITE = 1
export const PIN_HOST_READ = 1 << 8
export const PIN_DEVICE_WRITE = 1 << 16
export const PIN_DEVICE_READ = 1 << 24
export const PIN_WRITERS = 0x00ff00ff
/** Could one more of each of the counts in `pins` overflow: whether their upper bits are set. */
export function isPinFull(pin: number, pins: number): boolean {
  return (pin & (pins << 7)) !== 0
}

/** What Xen knows about a grant in use. */
export interface ActiveGrant {
  /** Four counts; 0 when the grant is not in use. */
  pin: number
  /** Who uses it. */
  domid: number
  mfn: number
  isSubPage: boolean
}

/** A grant of another domain that this one has mapped. */
export interface Mapping {
  ref: number
  domid: number
  /** GNTMAP_* bits that are still in force; 0 for a free handle. */
  flags: number
}

export interface GrantTableOptions {
  readonly domid: number
  readonly maxFrames: number
  readonly maxMaptrackFrames: number
  readonly maxVersion: GrantVersion
}

/** The plain form of a {@link GrantTable}. */
export interface GrantTableState {
  readonly version: 1
  readonly grantVersion: GrantVersion
  readonly shared: readonly number[]
  readonly sharedGfns: readonly number[]
  readonly status: readonly number[]
  readonly statusGfns: readonly number[]
  readonly active: readonly (readonly [number, ActiveGrant])[]
  readonly mappings: readonly (readonly [number, Mapping])[]
}

export class GrantTable {
  readonly domid: number
  readonly maxFrames: number
  readonly maxVersion: GrantVersion
  readonly #maxMappings: number
  readonly #memory: FrameMemory
  readonly #physMap: PhysMap
  #version: GrantVersion = 1
  #shared: Mfn[] = []
  /** Where the guest has mapped each shared frame; -1 where it has not. */
  #sharedGfns: number[] = []
  #status: Mfn[] = []
  #statusGfns: number[] = []
  #entries: GrantEntries
  readonly #active = new Map<number, ActiveGrant>()
  readonly #mappings = new Map<number, Mapping>()
  #lowestHandle = 0

  constructor(memory: FrameMemory, physMap: PhysMap, options: GrantTableOptions) {
    this.domid = options.domid
    this.maxFrames = options.maxFrames
    this.maxVersion = options.maxVersion
    this.#maxMappings = options.maxMaptrackFrames * MAPTRACK_PER_FRAME
    this.#memory = memory
    this.#physMap = physMap
    this.#entries = this.#viewEntries()
    if (options.maxFrames > 0) this.grow(1)
  }

  get version(): GrantVersion {
    return this.#version
  }

  /** Shared frames there are. */
  get frameCount(): number {
    return this.#shared.length
  }

  get statusFrameCount(): number {
    return this.#status.length
  }

  /** References are below this. */
  get entryCount(): number {
    return this.#shared.length * entriesPerFrame(this.#version)
  }

  get entries(): GrantEntries {
    return this.#entries
  }

  /** Grants in use, by reference, in ascending order. */
  activeGrants(): [number, Readonly<ActiveGrant>][] {
    return [...this.#active].sort(([a], [b]) => a - b)
  }

  /** The active entry of a reference; a fresh one, not in the table, if it is not in use. */
  active(ref: number): ActiveGrant {
    return this.#active.get(ref) ?? { pin: 0, domid: 0, mfn: -1, isSubPage: false }
  }

  /** Stores an active entry, or forgets it when nothing pins it any more. */
  setActive(ref: number, active: ActiveGrant): void {
    if (active.pin === 0) this.#active.delete(ref)
    else this.#active.set(ref, active)
  }

  /** Makes at least `frames` shared frames. False if there may not or cannot be so many. */
  grow(frames: number): boolean {
    if (frames > this.maxFrames) return false
    while (this.#shared.length < frames) {
      const mfn = this.#allocate()
      if (mfn === undefined) return false
      this.#shared.push(mfn)
      this.#sharedGfns.push(-1)
    }
    return this.#version === 1 || this.#growStatus()
  }

  /**
   * The frame for XENMAPSPACE_grant_table, made if it may be: a shared frame, or, with version 2,
   * a status frame. Undefined if there is none of that number.
   */
  frameForMapping(index: number, isStatus: boolean): Mfn | undefined {
    if (isStatus) {
      const frames = (index + 1) * (STATUS_PER_FRAME / entriesPerFrame(2))
      if (index >= this.#status.length) this.grow(Math.min(frames, this.maxFrames))
      return this.#status[index]
    }
    if (index >= this.#shared.length) this.grow(index + 1)
    return this.#shared[index]
  }

  /** Where the guest has mapped a frame of the table; -1 if it has not. */
  gfnOf(index: number, isStatus: boolean): number {
    return (isStatus ? this.#statusGfns : this.#sharedGfns)[index] ?? -1
  }

  setGfn(index: number, isStatus: boolean, gfn: number): void {
    const gfns = isStatus ? this.#statusGfns : this.#sharedGfns
    gfns[index] = gfn
  }

  /** The guest has taken a frame out of its physical map: forget that it was there. */
  forgetGfn(gfn: number): void {
    for (const gfns of [this.#sharedGfns, this.#statusGfns]) {
      const index = gfns.indexOf(gfn)
      if (index >= 0) gfns[index] = -1
    }
  }

  /** A frame of the table that lay at one guest frame lies at another now. */
  moveGfn(from: number, to: number): void {
    for (const gfns of [this.#sharedGfns, this.#statusGfns]) {
      const index = gfns.indexOf(from)
      if (index >= 0) gfns[index] = to
    }
  }

  /** GNTTABOP_set_version: keeps the reserved grants and drops all others. 0 or an error. */
  setVersion(version: number): number {
    if (version !== 1 && version !== 2) return -XEN_EINVAL
    if (version > this.maxVersion) return -XEN_ENOSYS
    if (version === this.#version) return 0
    for (const ref of this.#active.keys()) {
      if (ref >= GNTTAB_NR_RESERVED_ENTRIES) return -XEN_EBUSY
    }
    if (version === 1 && !this.#areReservedPlain()) return -XEN_ERANGE
    const kept = this.#reservedEntries()
    if (version === 2 && !this.#growStatus(version)) return -XEN_ENOMEM
    this.#version = version
    if (version === 1) this.#dropStatus()
    for (const mfn of this.#shared) this.#memory.clear(mfn)
    this.#entries = this.#viewEntries()
    kept.forEach(({ flags, domid, gfn, status }, ref) =>
      this.#write(ref, flags, domid, gfn, status),
    )
    return 0
  }

  /** Drops all grants, as in a new domain. Those in use stay so until their users let go. */
  renew(): void {
    this.#version = 1
    this.#dropStatus()
    for (const mfn of this.#shared) this.#memory.clear(mfn)
    this.#entries = this.#viewEntries()
  }

  /** Writes a grant of access on the guest's behalf, as a toolstack does for console and xenstore. */
  seed(ref: number, domid: number, gfn: number): void {
    invariant(ref < this.entryCount, `domain ${this.domid} has no grant ${ref}`)
    this.#write(ref, GTF_permit_access, domid, gfn, 0)
  }

  /** GNTTABOP_swap_grant_ref. A GNTST_ status. */
  swap(a: number, b: number): number {
    if (a >= this.entryCount || b >= this.entryCount) return GNTST_bad_gntref
    if (a === b) return GNTST_okay
    if (this.#active.has(a) || this.#active.has(b)) return GNTST_eagain
    const first = this.#entries.raw(a)
    const status = this.#entries.status(a)
    const second = this.#entries.raw(b)
    const secondStatus = this.#entries.status(b)
    this.#entries.writeRaw(a, second)
    this.#entries.writeRaw(b, first)
    if (this.#version === 2) {
      this.#entries.setStatus(a, secondStatus)
      this.#entries.setStatus(b, status)
    }
    return GNTST_okay
  }

  /** A handle for a new mapping; -1 if the domain may have no more. */
  newHandle(mapping: Mapping): number {
    if (this.#mappings.size >= this.#maxMappings) return -1
    let handle = this.#lowestHandle
    while (this.#mappings.has(handle)) handle++
    this.#lowestHandle = handle + 1
    this.#mappings.set(handle, mapping)
    return handle
  }

  mapping(handle: number): Mapping | undefined {
    return this.#mappings.get(handle)
  }

  freeHandle(handle: number): void {
    this.#mappings.delete(handle)
    this.#lowestHandle = Math.min(this.#lowestHandle, handle)
  }

  /** Everything the domain has mapped of others, by handle. */
  mappings(): [number, Readonly<Mapping>][] {
    return [...this.#mappings].sort(([a], [b]) => a - b)
  }

  /** The domain ends: gives the table's own frames back. What others have mapped stays theirs. */
  destroy(): void {
    for (const mfn of [...this.#shared, ...this.#status]) this.#memory.table.free(mfn)
    this.#shared = []
    this.#status = []
    this.#sharedGfns = []
    this.#statusGfns = []
    this.#entries = this.#viewEntries()
  }

  save(): GrantTableState {
    return {
      version: 1,
      grantVersion: this.#version,
      shared: [...this.#shared],
      sharedGfns: [...this.#sharedGfns],
      status: [...this.#status],
      statusGfns: [...this.#statusGfns],
      active: this.activeGrants().map(([ref, active]) => [ref, { ...active }]),
      mappings: this.mappings().map(([handle, mapping]) => [handle, { ...mapping }]),
    }
  }

  restore(state: GrantTableState): void {
    invariant(state.version === 1, `a grant table of version ${state.version} is not known`)
    this.#version = state.grantVersion
    this.#shared = state.shared.map((mfn) => mfn as Mfn)
    this.#sharedGfns = [...state.sharedGfns]
    this.#status = state.status.map((mfn) => mfn as Mfn)
    this.#statusGfns = [...state.statusGfns]
    this.#active.clear()
    for (const [ref, active] of state.active) this.#active.set(ref, { ...active })
    this.#mappings.clear()
    for (const [handle, mapping] of state.mappings) this.#mappings.set(handle, { ...mapping })
    this.#lowestHandle = 0
    this.#entries = this.#viewEntries()
  }

  /** The users of a grant, as its pins say: clears the marks that no longer hold. */
  settle(ref: number, active: ActiveGrant): void {
    if (ref < this.entryCount) {
      if (!(active.pin & PIN_WRITERS)) this.#entries.unmark(ref, GTF_writing)
      if (active.pin === 0) this.#entries.unmark(ref, GTF_reading)
    }
    this.setActive(ref, active)
  }

  /** Can the reserved grants be written as those of version 1: none transitive, no frame beyond. */
  #areReservedPlain(): boolean {
    return Array.from({ length: GNTTAB_NR_RESERVED_ENTRIES }, (_, ref) => {
      const { flags, gfn } = this.#entries.read(ref)
      const type = flags & GTF_type_mask
      return type !== GTF_transitive && (type !== GTF_permit_access || gfn < 2 ** 32)
    }).every(Boolean)
  }

  /** The reserved grants for the other version; version 1 takes none but those of access. */
  #reservedEntries(): { flags: number; domid: number; gfn: number; status: number }[] {
    return Array.from({ length: GNTTAB_NR_RESERVED_ENTRIES }, (_, ref) => {
      const { flags, domid, gfn } = this.#entries.read(ref)
      const status = this.#entries.status(ref) & (GTF_reading | GTF_writing)
      const isKept = this.#version === 1 || (flags & GTF_type_mask) === GTF_permit_access
      const clean = flags & ~(GTF_reading | GTF_writing)
      return isKept
        ? { flags: clean, domid, gfn, status }
        : { flags: 0, domid: 0, gfn: 0, status: 0 }
    })
  }

  #write(ref: number, flags: number, domid: number, gfn: number, status: number): void {
    const bytes = new Uint8Array(this.#version === 1 ? 8 : 16)
    const view = new DataView(bytes.buffer)
    view.setUint16(0, flags, true)
    view.setUint16(2, domid, true)
    if (this.#version === 1) view.setUint32(4, gfn, true)
    else view.setBigUint64(8, BigInt(gfn), true)
    this.#entries.writeRaw(ref, bytes)
    this.#entries.setStatus(ref, this.#version === 1 ? flags | status : status)
  }

  #growStatus(version: GrantVersion = this.#version): boolean {
    const entries = this.#shared.length * entriesPerFrame(version)
    while (this.#status.length < Math.ceil(entries / STATUS_PER_FRAME)) {
      const mfn = this.#allocate()
      if (mfn === undefined) return false
      this.#status.push(mfn)
      this.#statusGfns.push(-1)
    }
    return true
  }

  /** Gives the status frames back; each leaves the guest's physical map before it is free. */
  #dropStatus(): void {
    this.#status.forEach((mfn, index) => {
      const gfn = this.#statusGfns[index] ?? -1
      if (gfn >= 0 && this.#physMap.frameOf(gfn) === mfn) this.#physMap.remove(gfn)
      this.#memory.table.free(mfn)
    })
    this.#status = []
    this.#statusGfns = []
  }

  #allocate(): Mfn | undefined {
    const mfn = this.#memory.table.allocate(this.domid, { xenHeap: true })
    if (mfn !== undefined) this.#memory.clear(mfn)
    return mfn
  }

  #viewEntries(): GrantEntries {
    return new GrantEntries(this.#memory, this.#shared, this.#status, this.#version)
  }
}

/** Is a frame at a guest frame one that a grant may give: plain memory of the domain itself. */
export function grantableFrame(
  memory: FrameMemory,
  physMap: PhysMap,
  domid: number,
  gfn: number,
  isReadOnly: boolean,
): Mfn | undefined {
  const mfn = physMap.ramAt(gfn)
  if (mfn === undefined || memory.table.owner(mfn) !== domid) return undefined
  if (!isReadOnly && physMap.typeOf(gfn) === P2mType.ram_ro) return undefined
  return mfn
}
