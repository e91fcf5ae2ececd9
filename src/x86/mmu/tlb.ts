// The software TLB of a virtual processor, in linear memory so that emitted code can probe it.
// Three direct-mapped contexts: user, supervisor, and supervisor with RFLAGS.AC set (SMAP lets
// go); and one that stays empty, for code whose accesses all want a closer look. Large pages are
// entered in pieces of 4 KiB. Entries are listed, global ones and others, so that a flush, which
// kernels cause often, costs no more than the entries it takes. An entry is 32 bytes:
//
//   +0 i64 tag for loads    +8 i64 tag for stores    +16 i32 host offset minus linear address
//
// A tag is the linear address of the page, or -1: no access of that kind without a closer look.

import type { HostMemory } from '../memory/host-memory.ts'
import { FetchTlb } from './fetch-tlb.ts'

export const TLB_READ = 0
export const TLB_WRITE = 8
export const TLB_ADDEND = 16
export const TLB_ENTRY_SHIFT = 5
/**
 * Entries of a context less one. A miss costs as much as a hundred instructions: with a quarter
 * of this the kernel `memory` of bench/interpreter takes 1.4 times as long.
 */
export const TLB_INDEX_MASK = 4095

const ENTRIES = TLB_INDEX_MASK + 1
const CONTEXT_BYTES = ENTRIES << TLB_ENTRY_SHIFT

export const CONTEXT_USER = 0
export const CONTEXT_SUPERVISOR = 1
export const CONTEXT_SUPERVISOR_AC = 2
const CONTEXTS = 3
/** Entries that a list remembers. Clearing more one by one costs more than clearing all. */
const LISTED = 1024
/** log2 of the size of the regions for which it is known whether they have large pages. */
const REGION_SHIFT = 21

const NO_TAG = 0xffffffffffffffffn

export class Tlb {
  /** Translations of code, which are forgotten along with those of data. */
  readonly code = new FetchTlb()
  readonly #memory: HostMemory
  readonly #base: number
  /** For each region of the lower address half: log2 of the largest page met there, or 0. */
  readonly #large = new Uint8Array(1 << (32 - REGION_SHIFT))
  #hasLarge = false
  readonly #local = new EntryList()
  readonly #global = new EntryList()
  /** Entries filled since the last flush; a flush of an empty TLB costs nothing. */
  #isEmpty = true
  fills = 0
  flushes = 0

  constructor(memory: HostMemory) {
    this.#memory = memory
    this.#base = memory.allocate((CONTEXTS + 1) * CONTEXT_BYTES, 4096, 'tlb')
    memory.u8.fill(0xff, this.#base, this.#base + (CONTEXTS + 1) * CONTEXT_BYTES)
  }

  /** Host offset of a context's entries, for TLB_BASE in the state block; -1: always empty. */
  contextBase(context: number): number {
    return this.#base + (context < 0 ? CONTEXTS : context) * CONTEXT_BYTES
  }

  #entry(context: number, page: number): number {
    return this.contextBase(context) + ((page & TLB_INDEX_MASK) << TLB_ENTRY_SHIFT)
  }

  /**
   * Host offset of a linear address that a context's entry lets be read, or written (`write`)
   * without a closer look; -1 if there is no such entry.
   */
  find(context: number, lo: number, hi: number, write: boolean): number {
    const { i32 } = this.#memory
    const at = this.#entry(context, lo >>> 12) >>> 2
    const tag = write ? at + 2 : at
    if (i32[tag] !== (lo & ~0xfff) || i32[tag + 1] !== hi) return -1
    return (lo + (i32[at + 4] as number)) >>> 0
  }

  /**
   * Enters a translation. `lo`, `hi`: halves of the linear address; `host`: host offset of the
   * page's first byte; `write`: stores need no closer look; `isGlobal`: flushLocal keeps it.
   */
  fill(
    context: number,
    lo: number,
    hi: number,
    host: number,
    write: boolean,
    isGlobal = false,
  ): void {
    const { i32 } = this.#memory
    const pageLo = lo & ~0xfff
    const at = this.#entry(context, lo >>> 12) >>> 2
    i32[at] = pageLo
    i32[at + 1] = hi
    i32[at + 2] = write ? pageLo : -1
    i32[at + 3] = write ? hi : -1
    i32[at + 4] = (host - pageLo) | 0
    this.#isEmpty = false
    this.fills++
    const list = isGlobal ? this.#global : this.#local
    list.add(at)
  }

  /** Notes that an address lies in a page of 2^`shift` bytes, more than 4 KiB. */
  noteLarge(lo: number, shift: number): void {
    const region = lo >>> REGION_SHIFT
    if ((this.#large[region] as number) >= shift) return
    const regions = 1 << (shift - REGION_SHIFT)
    const first = region & -regions
    for (let i = first; i < first + regions; i++) {
      if ((this.#large[i] as number) < shift) this.#large[i] = shift
    }
    this.#hasLarge = true
    this.#isEmpty = false
  }

  /**
   * Forgets the page of an address, in all contexts. True if that may have been a large page:
   * then everything in the same place is forgotten, whatever its upper address half.
   */
  flushPage(lo: number): boolean {
    const shift = this.#hasLarge ? (this.#large[lo >>> REGION_SHIFT] as number) : 0
    if (shift !== 0) {
      this.#flushLarge(lo, shift)
      this.code.flush()
      return true
    }
    this.code.forget(lo)
    const { u64 } = this.#memory
    for (let context = 0; context < CONTEXTS; context++) {
      const at = this.#entry(context, lo >>> 12) >>> 3
      u64[at] = NO_TAG
      u64[at + 1] = NO_TAG
    }
    return false
  }

  #flushLarge(lo: number, shift: number): void {
    const { u32, u64 } = this.#memory
    const end = (this.#base + CONTEXTS * CONTEXT_BYTES) >>> 2
    for (let at = this.#base >>> 2; at < end; at += 1 << (TLB_ENTRY_SHIFT - 2)) {
      if (((u32[at] as number) ^ lo) >>> shift !== 0) continue
      u64[at >>> 1] = NO_TAG
      u64[(at + 2) >>> 1] = NO_TAG
    }
  }

  /** Forgets what is not global. */
  flushLocal(): void {
    this.code.flush()
    if (this.#local.isComplete) this.#local.clear(this.#memory.i32)
    else this.flush()
  }

  flush(): void {
    this.code.flush()
    if (this.#isEmpty) return
    if (this.#local.isComplete && this.#global.isComplete) {
      this.#local.clear(this.#memory.i32)
      this.#global.clear(this.#memory.i32)
    } else {
      this.#memory.u8.fill(0xff, this.#base, this.#base + CONTEXTS * CONTEXT_BYTES)
      this.#local.count = 0
      this.#global.count = 0
    }
    if (this.#hasLarge) this.#large.fill(0)
    this.#hasLarge = false
    this.#isEmpty = true
    this.flushes++
  }

  /** Takes the right to store without a closer look from all entries of a host page. */
  protect(host: number): void {
    const { i32, u64 } = this.#memory
    const end = (this.#base + CONTEXTS * CONTEXT_BYTES) >>> 2
    for (let at = this.#base >>> 2; at < end; at += 1 << (TLB_ENTRY_SHIFT - 2)) {
      const pageLo = i32[at] as number
      if ((((i32[at + 4] as number) + pageLo) | 0) === (host | 0)) u64[(at + 2) >>> 1] = NO_TAG
    }
  }
}

/** Entries that were filled, as indices of 32-bit words. */
class EntryList {
  readonly #entries = new Int32Array(LISTED)
  /** How many were filled; beyond LISTED they are not remembered. */
  count = 0

  add(entry: number): void {
    if (this.count < LISTED) this.#entries[this.count] = entry
    this.count++
  }

  get isComplete(): boolean {
    return this.count <= LISTED
  }

  /** Empties the entries of a complete list, and the list. */
  clear(words: Int32Array): void {
    for (let i = 0; i < this.count; i++) {
      const at = this.#entries[i] as number
      // The lower half is enough: no page has it.
      words[at] = -1
      words[at + 2] = -1
    }
    this.count = 0
  }
}
