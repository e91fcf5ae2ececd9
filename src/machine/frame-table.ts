// The frame table: who owns each machine frame (4 KiB of the host's memory), how many hold it,
// and what a PV domain uses it for. It follows the rules of Xen's page_info (count_info and
// type_info): an allocated frame carries one reference of its own; it returns to the pool, wiped,
// when that reference and all others are gone, and no sooner. Nothing here throws for what a guest
// passes: a number that is no frame of ours is answered like a frame of nobody.
//
// Left out: the contents of the frames (a snapshot of the host's memory holds them), and what a
// type means (the validation of page tables belongs to the hypervisor).

import { Bug, invariant } from '../base/errors.ts'

declare const mfnBrand: unique symbol

/** A machine frame number: the offset of the frame in the host's memory, divided by 4096. */
export type Mfn = number & { readonly [mfnBrand]: true }

/** Bytes of a frame. */
export const FRAME_BYTES = 4096

/** What a frame is used for at the moment; it may change only while its type count is 0. */
export const FrameType = {
  none: 0,
  l1: 1,
  l2: 2,
  l3: 3,
  l4: 4,
  segdesc: 5,
  shared: 6,
  writable: 7,
} as const
export type FrameType = (typeof FrameType)[keyof typeof FrameType]

/** The frame still has the reference it was allocated with. */
export const FRAME_ALLOCATED = 1
/** The frame serves the hypervisor (shared_info and the like): not part of a domain's total. */
export const FRAME_XEN_HEAP = 2
/** The contents have been checked against the type. Kept by whoever validates. */
export const FRAME_VALIDATED = 4
/** Pinned to its type by MMUEXT_PIN_*. Kept by whoever validates. */
export const FRAME_PINNED = 8
/** A validation was interrupted and can be resumed. Kept by whoever validates. */
export const FRAME_PARTIAL = 16

const USED_BEFORE = 128
const NOBODY = 0xffff
const NONE = -1
const POISON = 0xc2
const POISON_WORD = 0xc2c2c2c2
const WORDS = FRAME_BYTES / 4

/** The part of the host's memory that the table needs. */
export interface FrameMemory {
  readonly u8: Uint8Array
  readonly u32: Uint32Array
}

export interface FrameTableOptions {
  /**
   * What a freed frame is filled with. `zero`: frames are always handed out as zeros. `poison`:
   * frames are handed out full of 0xC2, as a debug build of Xen does, which shows guests that
   * rely on zeros and, through `onDirty`, writers to frames that were free.
   */
  readonly scrub?: 'zero' | 'poison'
  /** Told when a free frame was written to (poison mode): the frame and the first changed byte. */
  readonly onDirty?: (mfn: Mfn, byteOffset: number) => void
}

/** The plain form of a {@link FrameTable}. */
export interface FrameTableState {
  readonly version: 1
  readonly first: number
  readonly frames: number
  readonly owner: Uint16Array
  readonly count: Uint32Array
  readonly type: Uint8Array
  readonly typeCount: Uint32Array
  readonly flags: Uint8Array
  readonly nextFree: Int32Array
  readonly firstFree: number
}

export class FrameTable {
  /** The lowest frame of the table. */
  readonly first: Mfn
  /** Frames in the table, free or not. */
  readonly frames: number
  /** References to each frame, that of its allocation included, by index ({@link indexOf}). */
  readonly count: Uint32Array
  /** The {@link FrameType} of each frame, by index. */
  readonly type: Uint8Array
  /** References to each frame in its type, by index. */
  readonly typeCount: Uint32Array
  /** FRAME_* bits of each frame, by index. */
  readonly flags: Uint8Array
  readonly #owner: Uint16Array
  // The free frames are a doubly linked list, so that both the next one and any given one (for a
  // contiguous run) leave it at once. A freed frame goes to the front: it is still in the cache.
  readonly #nextFree: Int32Array
  readonly #previousFree: Int32Array
  #firstFree = NONE
  #free = 0
  readonly #total = new Map<number, number>()
  readonly #memory: FrameMemory
  readonly #poison: boolean
  readonly #onDirty: (mfn: Mfn, byteOffset: number) => void

  /** A table over `bytes` bytes at `offset` of the memory, both multiples of 4096. All is free. */
  constructor(memory: FrameMemory, offset: number, bytes: number, options: FrameTableOptions = {}) {
    invariant(offset % FRAME_BYTES === 0, `frames cannot start at offset ${offset}`)
    const frames = bytes / FRAME_BYTES
    invariant(Number.isInteger(frames), `${bytes} bytes are not a whole number of frames`)
    this.#memory = memory
    this.first = (offset / FRAME_BYTES) as Mfn
    this.frames = frames
    this.#owner = new Uint16Array(frames).fill(NOBODY)
    this.count = new Uint32Array(frames)
    this.type = new Uint8Array(frames)
    this.typeCount = new Uint32Array(frames)
    this.flags = new Uint8Array(frames)
    this.#nextFree = new Int32Array(frames)
    this.#previousFree = new Int32Array(frames)
    this.#poison = options.scrub === 'poison'
    this.#onDirty = options.onDirty ?? (() => {})
    // Put in from the top, so that the lowest frame is handed out first.
    for (let i = frames - 1; i >= 0; i--) this.#pushFree(i)
  }

  /** Frames that nobody owns. */
  get freeFrames(): number {
    return this.#free
  }

  /** Frames of a domain that count towards its total (those of the Xen heap do not). */
  totalOf(domid: number): number {
    return this.#total.get(domid) ?? 0
  }

  /** Whether the number names a frame of this table. */
  contains(mfn: number): mfn is Mfn {
    const i = mfn - this.first
    return i >= 0 && i < this.frames && Number.isInteger(i)
  }

  /** Where the frame stands in the arrays of the table. The frame must be in the table. */
  indexOf(mfn: Mfn): number {
    return mfn - this.first
  }

  /** Where the frame starts in the host's memory, in bytes. */
  offsetOf(mfn: Mfn): number {
    return mfn * FRAME_BYTES
  }

  /** The frame's bytes themselves, not a copy. */
  bytes(mfn: Mfn): Uint8Array {
    return this.#memory.u8.subarray(mfn * FRAME_BYTES, (mfn + 1) * FRAME_BYTES)
  }

  /** The domain that owns the frame; undefined if it is free or not in the table. */
  owner(mfn: number): number | undefined {
    const owner = this.contains(mfn) ? this.#owner[mfn - this.first] : NOBODY
    return owner === NOBODY ? undefined : owner
  }

  /** A frame for a domain, with one reference, wiped; undefined if none is free. */
  allocate(owner: number, options: { readonly xenHeap?: boolean } = {}): Mfn | undefined {
    if (this.#firstFree === NONE) return undefined
    return this.#take(this.#firstFree, owner, options.xenHeap ? FRAME_XEN_HEAP : 0)
  }

  /** As many frames, anywhere; undefined, and nothing changes, if there are not enough. */
  allocateMany(owner: number, howMany: number): Mfn[] | undefined {
    if (howMany > this.#free) return undefined
    return Array.from({ length: howMany }, () => this.#take(this.#firstFree, owner, 0))
  }

  /**
   * `1 << order` frames in a row, the first a multiple of that number: the lowest such run.
   * Undefined if there is none. The search looks at every frame: not for frequent use.
   */
  allocateContiguous(owner: number, order: number): Mfn | undefined {
    const run = 2 ** order
    for (
      let start = run - 1 - ((this.first + run - 1) % run);
      start + run <= this.frames;
      start += run
    ) {
      if (!this.#isFreeRun(start, run)) continue
      for (let i = start; i < start + run; i++) this.#take(i, owner, 0)
      return (this.first + start) as Mfn
    }
    return undefined
  }

  /**
   * Ends the allocation: drops the reference that came with it. Whoever else holds the frame
   * keeps it alive, and it stays the domain's, until the last {@link put}.
   * False if the frame is not allocated (freed twice, or not a frame).
   */
  free(mfn: number): boolean {
    if (!this.contains(mfn)) return false
    const i = mfn - this.first
    if (!(this.#flag(i) & FRAME_ALLOCATED)) return false
    this.flags[i] = this.#flag(i) & ~FRAME_ALLOCATED
    this.put(mfn)
    return true
  }

  /** Takes a reference, if the frame is in use and belongs to `owner` (any owner, if not given). */
  get(mfn: number, owner?: number): mfn is Mfn {
    if (!this.contains(mfn)) return false
    const i = mfn - this.first
    const count = this.count[i] as number
    if (count === 0 || count === 0xffffffff) return false
    if (owner !== undefined && this.#owner[i] !== owner) return false
    this.count[i] = count + 1
    return true
  }

  /** Gives a reference back; the last one wipes the frame and returns it to the pool. */
  put(mfn: Mfn): void {
    const i = mfn - this.first
    const count = this.count[i] as number
    if (!(count > 0)) throw new Bug(`a reference too many was given back to frame ${mfn}`)
    this.count[i] = count - 1
    if (count === 1) this.#release(i)
  }

  /**
   * Takes a reference to the frame in its use as `type`. False if it is in use as another type.
   * When the type changes, FRAME_VALIDATED and FRAME_PARTIAL are cleared: the caller validates.
   * The caller holds a general reference.
   */
  getType(mfn: Mfn, type: FrameType): boolean {
    const i = mfn - this.first
    const count = this.typeCount[i] as number
    if (this.type[i] !== type) {
      if (count !== 0) return false
      this.type[i] = type
      this.flags[i] = this.#flag(i) & ~(FRAME_VALIDATED | FRAME_PARTIAL)
    }
    if (count === 0xffffffff) return false
    this.typeCount[i] = count + 1
    return true
  }

  /** Gives a reference of {@link getType} back. The type stays until another one is asked for. */
  putType(mfn: Mfn): void {
    const i = mfn - this.first
    const count = this.typeCount[i] as number
    if (!(count > 0)) throw new Bug(`a type reference too many was given back to frame ${mfn}`)
    this.typeCount[i] = count - 1
  }

  /**
   * Moves a frame to another domain, contents and all (GNTTABOP_transfer, XENMEM_exchange).
   * False if it is not `from`'s, if anybody else holds it, or if it is in use as some type.
   */
  changeOwner(mfn: number, from: number, to: number): boolean {
    if (!this.contains(mfn)) return false
    const i = mfn - this.first
    if (this.#owner[i] !== from || this.count[i] !== 1 || this.typeCount[i] !== 0) return false
    if ((this.#flag(i) & (FRAME_ALLOCATED | FRAME_XEN_HEAP)) !== FRAME_ALLOCATED) return false
    this.#owner[i] = to
    this.type[i] = FrameType.none
    this.#addTotal(from, -1)
    this.#addTotal(to, 1)
    return true
  }

  /** All frames of a domain, in ascending order. Looks at the whole table. */
  framesOf(domid: number): Mfn[] {
    const found: Mfn[] = []
    for (let i = 0; i < this.frames; i++) {
      if (this.#owner[i] === domid) found.push((this.first + i) as Mfn)
    }
    return found
  }

  save(): FrameTableState {
    return {
      version: 1,
      first: this.first,
      frames: this.frames,
      owner: this.#owner.slice(),
      count: this.count.slice(),
      type: this.type.slice(),
      typeCount: this.typeCount.slice(),
      flags: this.flags.slice(),
      nextFree: this.#nextFree.slice(),
      firstFree: this.#firstFree,
    }
  }

  /** Takes a state saved from a table of the same size and place. */
  restore(state: FrameTableState): void {
    invariant(state.version === 1, `a frame table of version ${state.version} is not known`)
    invariant(
      state.first === this.first && state.frames === this.frames,
      'a frame table can only be restored in its own place and size',
    )
    this.#owner.set(state.owner)
    this.count.set(state.count)
    this.type.set(state.type)
    this.typeCount.set(state.typeCount)
    this.flags.set(state.flags)
    this.#nextFree.set(state.nextFree)
    this.#firstFree = state.firstFree
    this.#recount()
  }

  #recount(): void {
    this.#free = 0
    let previous = NONE
    for (let i = this.#firstFree; i !== NONE; i = this.#nextFree[i] as number) {
      this.#previousFree[i] = previous
      previous = i
      this.#free++
    }
    this.#total.clear()
    for (let i = 0; i < this.frames; i++) {
      if (this.#owner[i] !== NOBODY && !(this.#flag(i) & FRAME_XEN_HEAP)) {
        this.#addTotal(this.#owner[i] as number, 1)
      }
    }
  }

  #flag(i: number): number {
    return this.flags[i] as number
  }

  #addTotal(domid: number, by: number): void {
    const total = this.totalOf(domid) + by
    if (total === 0) this.#total.delete(domid)
    else this.#total.set(domid, total)
  }

  #isFreeRun(start: number, run: number): boolean {
    for (let i = start; i < start + run; i++) if (this.#owner[i] !== NOBODY) return false
    return true
  }

  #take(i: number, owner: number, flags: number): Mfn {
    invariant(owner >= 0 && owner < NOBODY, `${owner} cannot own a frame`)
    this.#unlinkFree(i)
    const mfn = (this.first + i) as Mfn
    if (this.#poison) this.#checkPoison(mfn, i)
    this.#owner[i] = owner
    this.count[i] = 1
    this.flags[i] = FRAME_ALLOCATED | USED_BEFORE | flags
    if (!(flags & FRAME_XEN_HEAP)) this.#addTotal(owner, 1)
    return mfn
  }

  #release(i: number): void {
    const mfn = (this.first + i) as Mfn
    invariant(
      !(this.#flag(i) & FRAME_ALLOCATED),
      `frame ${mfn} lost the reference of its allocation`,
    )
    invariant(this.typeCount[i] === 0, `frame ${mfn} is still in use as type ${this.type[i]}`)
    if (!(this.#flag(i) & FRAME_XEN_HEAP)) this.#addTotal(this.#owner[i] as number, -1)
    this.#owner[i] = NOBODY
    this.type[i] = FrameType.none
    this.flags[i] = USED_BEFORE
    this.#scrub(mfn)
    this.#pushFree(i)
  }

  // A frame that its owner never wrote to is zero already. Writing zeros to it would make the host
  // find real memory for it; reading does not (65,536 untouched frames: 4 MiB instead of 256).
  #scrub(mfn: Mfn): void {
    if (this.#poison) this.bytes(mfn).fill(POISON)
    else if (!this.#isFilledWith(mfn, 0)) this.bytes(mfn).fill(0)
  }

  #isFilledWith(mfn: Mfn, word: number): boolean {
    const { u32 } = this.#memory
    const start = mfn * WORDS
    for (let at = start; at < start + WORDS; at++) if (u32[at] !== word) return false
    return true
  }

  // A frame that was never used is still zero: filling it only now spares the host the memory.
  #checkPoison(mfn: Mfn, i: number): void {
    const bytes = this.bytes(mfn)
    if (this.#flag(i) & USED_BEFORE && !this.#isFilledWith(mfn, POISON_WORD)) {
      this.#onDirty(
        mfn,
        bytes.findIndex((byte) => byte !== POISON),
      )
    }
    bytes.fill(POISON)
  }

  #pushFree(i: number): void {
    this.#nextFree[i] = this.#firstFree
    this.#previousFree[i] = NONE
    if (this.#firstFree !== NONE) this.#previousFree[this.#firstFree] = i
    this.#firstFree = i
    this.#free++
  }

  #unlinkFree(i: number): void {
    const next = this.#nextFree[i] as number
    const previous = this.#previousFree[i] as number
    if (previous === NONE) this.#firstFree = next
    else this.#nextFree[previous] = next
    if (next !== NONE) this.#previousFree[next] = previous
    this.#free--
  }
}
