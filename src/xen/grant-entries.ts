// The entries of a grant table as they lie in the guest's shared frames (public/grant_table.h), in
// both versions. The guest may change an entry at any time: each field is read once, and what was
// read is what counts.

import type { Mfn } from '../machine/frame-table.ts'
import {
  GTF_permit_access,
  GTF_reading,
  GTF_readonly,
  GTF_sub_page,
  GTF_transitive,
  GTF_type_mask,
  GTF_writing,
} from './abi/grant-table.ts'
import type { FrameMemory } from './frame-memory.ts'

export type GrantVersion = 1 | 2

/** What a grant says, copied once. */
export interface GrantEntry {
  readonly flags: number
  readonly domid: number
  /** Guest frame that is granted (not for transitive grants). */
  readonly gfn: number
  /** The part of the page that is granted. */
  readonly start: number
  readonly length: number
  /** For transitive grants: whose grant is passed on. */
  readonly transitiveDomid: number
  readonly transitiveRef: number
}

const PAGE = 4096

function wholePage(flags: number, domid: number, gfn: number): GrantEntry {
  return { flags, domid, gfn, start: 0, length: PAGE, transitiveDomid: 0, transitiveRef: 0 }
}

/** Entries in a shared frame. */
export function entriesPerFrame(version: GrantVersion): number {
  return version === 1 ? 512 : 256
}

/** Status words in a status frame. */
export const STATUS_PER_FRAME = 2048

export class GrantEntries {
  readonly #memory: FrameMemory
  readonly #shared: readonly Mfn[]
  readonly #status: readonly Mfn[]
  readonly #version: GrantVersion

  constructor(
    memory: FrameMemory,
    shared: readonly Mfn[],
    status: readonly Mfn[],
    version: GrantVersion,
  ) {
    this.#memory = memory
    this.#shared = shared
    this.#status = status
    this.#version = version
  }

  /** A word for each read: a page of a disk or a packet costs one of these. */
  read(ref: number): GrantEntry {
    const perFrame = entriesPerFrame(this.#version)
    const mfn = this.#shared[Math.floor(ref / perFrame)] as Mfn
    const offset = (ref % perFrame) * (PAGE / perFrame)
    const head = this.#memory.get32(mfn, offset)
    const second = this.#memory.get32(mfn, offset + 4)
    const flags = head & 0xffff
    const domid = head >>> 16
    if (this.#version === 1) return wholePage(flags, domid, second)
    const low = this.#memory.get32(mfn, offset + 8)
    const gfn = this.#memory.get32(mfn, offset + 12) * 2 ** 32 + low
    if ((flags & GTF_type_mask) === GTF_transitive) {
      const transitive = { transitiveDomid: second & 0xffff, transitiveRef: low }
      // What a frame would be, for who has mapped the grant before it became one of these.
      return { ...wholePage(flags, domid, gfn), ...transitive }
    }
    if (!(flags & GTF_sub_page)) return wholePage(flags, domid, gfn)
    return { ...wholePage(flags, domid, gfn), start: second & 0xffff, length: second >>> 16 }
  }

  /**
   * May `domid` begin to use the grant, and for writing if not `isReadOnly`. While it does, only
   * GTF_readonly counts of what the guest may change. Mapping takes whole pages only; copying also
   * takes parts of pages and transitive grants (version 2).
   */
  permits(entry: GrantEntry, domid: number, isReadOnly: boolean, isMapping: boolean): boolean {
    if (entry.domid !== domid) return false
    if (!isReadOnly && entry.flags & GTF_readonly) return false
    const mask = isMapping ? GTF_type_mask | GTF_sub_page : GTF_type_mask
    const kind = entry.flags & mask
    if (kind === GTF_permit_access) return true
    return this.#version === 2 && !isMapping && kind === GTF_transitive
  }

  /** Shows the guest that the grant is in use: in the flags (v1) or the status word (v2). */
  mark(ref: number, isReadOnly: boolean): void {
    const bits = isReadOnly ? GTF_reading : GTF_reading | GTF_writing
    this.#setUse(ref, this.#use(ref) | bits)
  }

  /** Takes marks away: `GTF_writing`, `GTF_reading` or both. */
  unmark(ref: number, bits: number): void {
    this.#setUse(ref, this.#use(ref) & ~bits)
  }

  /** The whole entry as it lies in memory. */
  raw(ref: number): Uint8Array {
    const { mfn, offset } = this.#place(ref)
    return this.#memory.read(mfn, offset, this.#version === 1 ? 8 : 16)
  }

  writeRaw(ref: number, bytes: Uint8Array): void {
    const { mfn, offset } = this.#place(ref)
    this.#memory.write(mfn, offset, bytes)
  }

  /** The word that says how the grant is used. */
  status(ref: number): number {
    return this.#use(ref)
  }

  setStatus(ref: number, status: number): void {
    this.#setUse(ref, status)
  }

  #use(ref: number): number {
    const { mfn, offset } = this.#usePlace(ref)
    return this.#memory.get16(mfn, offset)
  }

  #setUse(ref: number, value: number): void {
    const { mfn, offset } = this.#usePlace(ref)
    this.#memory.set16(mfn, offset, value)
  }

  #place(ref: number): { mfn: Mfn; offset: number } {
    const perFrame = entriesPerFrame(this.#version)
    const mfn = this.#shared[Math.floor(ref / perFrame)] as Mfn
    return { mfn, offset: (ref % perFrame) * (PAGE / perFrame) }
  }

  #usePlace(ref: number): { mfn: Mfn; offset: number } {
    if (this.#version === 1) return this.#place(ref)
    const mfn = this.#status[Math.floor(ref / STATUS_PER_FRAME)] as Mfn
    return { mfn, offset: (ref % STATUS_PER_FRAME) * 2 }
  }
}
