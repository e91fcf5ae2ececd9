// The software TLB of a virtual processor, in linear memory so that emitted code can probe it.
// Three contexts: user, supervisor, and supervisor with RFLAGS.AC set (SMAP lets go); and one that
// stays empty, for code whose accesses all want a closer look. Sets of two entries, the first for
// what was entered last: the interpreter's fast forms look there only. Large pages are entered in
// pieces of 4 KiB. Entries are listed, global ones and others, so that a flush, which kernels cause
// often, costs no more than the entries it takes. An entry is 32 bytes:
//
//   +0 i64 tag for loads    +8 i64 tag for stores    +16 i32 host offset minus linear address
//   +20 i32 1 if flushes of the address space leave it
//
// A tag is the linear address of the page, or -1: no access of that kind without a closer look.

import type { HostMemory } from '../memory/host-memory.ts'
import { FetchTlb } from './fetch-tlb.ts'
import type { StoreRights } from './store-rights.ts'

export const TLB_READ = 0
export const TLB_WRITE = 8
export const TLB_ADDEND = 16
export const TLB_IS_GLOBAL = 20
/** Bytes from the first entry of a set to the second. */
export const TLB_WAY = 32
export const TLB_SET_SHIFT = 6
/**
 * Sets of a context less one. A miss costs as much as a hundred instructions: with a quarter
 * of this the kernel `memory` of bench/interpreter takes 1.4 times as long.
 */
export const TLB_INDEX_MASK = 2047

const CONTEXT_BYTES = (TLB_INDEX_MASK + 1) << TLB_SET_SHIFT
const WAY_WORDS = TLB_WAY >>> 2
/** Words of an entry that are used. */
const ENTRY_WORDS = 6
const IS_GLOBAL = TLB_IS_GLOBAL >>> 2

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
  readonly #rights: StoreRights
  /** What this one is among those that give the right to store. */
  readonly #number: number
  /** For each region of the lower address half: log2 of the largest page met there, or 0. */
  readonly #large = new Uint8Array(1 << (32 - REGION_SHIFT))
  #hasLarge = false
  readonly #local = new EntryList()
  readonly #global = new EntryList()
  /** Entries filled since the last flush; a flush of an empty TLB costs nothing. */
  #isEmpty = true
  fills = 0
  flushes = 0

  constructor(memory: HostMemory, rights: StoreRights) {
    this.#memory = memory
    this.#rights = rights
    this.#number = rights.add(this)
    this.#base = memory.allocate((CONTEXTS + 1) * CONTEXT_BYTES, 4096, 'tlb')
    memory.u8.fill(0xff, this.#base, this.#base + (CONTEXTS + 1) * CONTEXT_BYTES)
  }

  /** Gives back what it has of the host. It must not be used again. */
  retire(): void {
    this.#rights.remove(this.#number)
    this.#memory.release(this.#base)
  }

  /** Host offset of a context's entries, for TLB_BASE in the state block; -1: always empty. */
  contextBase(context: number): number {
    return this.#base + (context < 0 ? CONTEXTS : context) * CONTEXT_BYTES
  }

  /** The first entry of the set for a page, as an index of 32-bit words. */
  #set(context: number, page: number): number {
    return (this.contextBase(context) + ((page & TLB_INDEX_MASK) << TLB_SET_SHIFT)) >>> 2
  }

  /**
   * Host offset of a linear address that a context's entry lets be read, or written (`write`)
   * without a closer look; -1 if there is no such entry.
   */
  find(context: number, lo: number, hi: number, write: boolean): number {
    const { i32 } = this.#memory
    const first = this.#set(context, lo >>> 12)
    for (let at = first; at <= first + WAY_WORDS; at += WAY_WORDS) {
      const tag = write ? at + 2 : at
      if (i32[tag] !== (lo & ~0xfff) || i32[tag + 1] !== hi) continue
      return (lo + (i32[at + 4] as number)) >>> 0
    }
    return -1
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
    const at = this.#set(context, lo >>> 12)
    if (i32[at] !== pageLo || i32[at + 1] !== hi) this.#makeSecond(at)
    i32[at] = pageLo
    i32[at + 1] = hi
    i32[at + 2] = write ? pageLo : -1
    i32[at + 3] = write ? hi : -1
    i32[at + 4] = (host - pageLo) | 0
    i32[at + IS_GLOBAL] = isGlobal ? 1 : 0
    if (write) this.#rights.given(host, this.#number)
    this.#isEmpty = false
    this.fills++
    this.#list(at)
  }

  /** Makes the first entry of a set the second. */
  #makeSecond(at: number): void {
    const { i32 } = this.#memory
    if (i32[at] === -1) return
    const second = at + WAY_WORDS
    // A call of copyWithin takes longer.
    for (let i = 0; i < ENTRY_WORDS; i++) i32[second + i] = i32[at + i] as number
    this.#list(second)
  }

  #list(at: number): void {
    const list = this.#memory.i32[at + IS_GLOBAL] === 1 ? this.#global : this.#local
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
    const { i32 } = this.#memory
    const pageLo = lo & ~0xfff
    for (let context = 0; context < CONTEXTS; context++) {
      const at = this.#set(context, lo >>> 12)
      if (i32[at] === pageLo) clear(i32, at)
      if (i32[at + WAY_WORDS] === pageLo) clear(i32, at + WAY_WORDS)
    }
    return false
  }

  #flushLarge(lo: number, shift: number): void {
    const { i32 } = this.#memory
    // A page of less than all sets lies in those that follow each other from its start on.
    const pages = Math.min(1 << (shift - 12), TLB_INDEX_MASK + 1)
    const words = (pages << TLB_SET_SHIFT) >>> 2
    for (let context = 0; context < CONTEXTS; context++) {
      const start = this.#set(context, (lo >>> 12) & -pages)
      for (let at = start; at < start + words; at += WAY_WORDS) {
        if (((i32[at] as number) ^ lo) >>> shift === 0) clear(i32, at)
      }
    }
  }

  /** Forgets what is not global. */
  flushLocal(): void {
    this.code.flush()
    if (this.#local.isComplete) this.#local.clear(this.#memory.i32, 0)
    else this.flush()
  }

  flush(): void {
    this.code.flush()
    if (this.#isEmpty) return
    if (this.#local.isComplete && this.#global.isComplete) {
      this.#local.clear(this.#memory.i32, 0)
      this.#global.clear(this.#memory.i32, 1)
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

  /** Takes the right to store without a closer look from all entries of a host page (StoreRights). */
  protect(host: number): void {
    const { i32, u64 } = this.#memory
    const end = (this.#base + CONTEXTS * CONTEXT_BYTES) >>> 2
    for (let at = this.#base >>> 2; at < end; at += WAY_WORDS) {
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

  /** Empties the entries of a complete list that still are what it is a list of, and the list. */
  clear(words: Int32Array, isGlobal: 0 | 1): void {
    for (let i = 0; i < this.count; i++) {
      const at = this.#entries[i] as number
      if (words[at + IS_GLOBAL] === isGlobal) clear(words, at)
    }
    this.count = 0
  }
}

/** Empties an entry. The lower halves of its tags are enough: no page has them. */
function clear(words: Int32Array, at: number): void {
  words[at] = -1
  words[at + 2] = -1
}
