// The jump cache of a processor: where the block at a linear address begins, for emitted code to
// probe. Sets of two entries, or two frequent targets that share a place would push each other out
// all the time; the first has what was entered last. 16 bytes an entry:
//
//   +0 i64 linear address    +8 i32 first record of the block    +12 i32 key
//
// An entry is good only with the key of the running mode, in which a generation counts: to forget
// everything is to go on to the next one.

import type { HostMemory } from '../memory/host-memory.ts'

export const JUMP_CACHE_SETS = 16384
export const JUMP_CACHE_ENTRY_SHIFT = 4

const SET_SHIFT = JUMP_CACHE_ENTRY_SHIFT + 1
const BYTES = JUMP_CACHE_SETS << SET_SHIFT
/** Sets that the code of a page can be in: only two bits of their numbers are the page's alone. */
const QUARTER = 4096
const ENTRY_WORDS = 1 << (JUMP_CACHE_ENTRY_SHIFT - 2)
/** Bits of a key below the generation. */
const MODE_SHIFT = 5
const GENERATIONS = 1 << 26
/** Pages are told apart by the low bits of their numbers. */
const PAGE_MASK = 0x3fff
/** What entries may have of a page: code that begins in it, or that goes on in it. */
const BEGINS = 1
const GOES_ON = 2
/** More entries that are not global than this are not worth listing. */
const LISTED = 512

export class JumpCache {
  /** Host offset of the entries, for JUMP_CACHE in the state block. */
  readonly base: number
  /** Changes when everything is forgotten. */
  generation = 1
  readonly #memory: HostMemory
  /** What entries may have of each page. */
  readonly #pages = new Uint8Array(PAGE_MASK + 1)
  /** Keys of the entries for code that is not global, as indices of 32-bit words. */
  readonly #locals = new Int32Array(LISTED)
  #localCount = 0

  constructor(memory: HostMemory) {
    this.#memory = memory
    this.base = memory.allocate(BYTES, 64, 'jump cache')
  }

  /** The key of a mode: of code size and segments, and of privilege. */
  keyOf(mode: number, isUser: boolean): number {
    return (this.generation << MODE_SHIFT) | (mode << 1) | (isUser ? 1 : 0)
  }

  /** Enters the block at a linear address; `isGlobal`: its mapping outlives address spaces. */
  remember(lo: number, hi: number, rec: number, key: number, isGlobal: boolean): void {
    const { i32 } = this.#memory
    let at = this.#setOf(lo)
    const second = at + ENTRY_WORDS
    const isFirst = i32[at] === lo && i32[at + 1] === hi
    if (!isFirst && i32[second] === lo && i32[second + 1] === hi) at = second
    else if (!isFirst && i32[at + 3] !== 0) {
      // A call of copyWithin takes longer.
      for (let i = 0; i < ENTRY_WORDS; i++) i32[second + i] = i32[at + i] as number
      this.#list(second)
    }
    i32[at] = lo
    i32[at + 1] = hi
    i32[at + 2] = rec
    i32[at + 3] = key
    if (!isGlobal) this.#list(at)
    this.#mark(lo >>> 12, BEGINS)
  }

  /** The first entry of the set for an address, as an index of 32-bit words. */
  #setOf(lo: number): number {
    const index = (lo ^ (lo >>> 12)) & (JUMP_CACHE_SETS - 1)
    return (this.base + (index << SET_SHIFT)) >>> 2
  }

  /** Notes that an entry may not be global. */
  #list(at: number): void {
    if (this.#localCount < LISTED) this.#locals[this.#localCount] = at + 3
    this.#localCount++
  }

  /** First record of the block at a linear address, if that is known under a key; or 0. */
  find(lo: number, hi: number, key: number): number {
    const { i32 } = this.#memory
    let at = this.#setOf(lo)
    if (i32[at] !== lo || i32[at + 1] !== hi) at += ENTRY_WORDS
    const isKnown = i32[at] === lo && i32[at + 1] === hi && i32[at + 3] === key
    return isKnown ? (i32[at + 2] as number) : 0
  }

  /** Notes that the code of an entry goes on in a page. */
  markCrossing(page: number): void {
    this.#mark(page, GOES_ON)
  }

  #mark(page: number, what: number): void {
    const at = page & PAGE_MASK
    this.#pages[at] = (this.#pages[at] as number) | what
  }

  /** Forgets everything. Keys have to be made anew. */
  forget(): void {
    this.#pages.fill(0)
    this.#localCount = 0
    this.generation++
    if (this.generation < GENERATIONS) return
    this.#memory.u8.fill(0, this.base, this.base + BYTES)
    this.generation = 1
  }

  /** Forgets what is not global. False if that means everything: keys have to be made anew. */
  forgetLocal(): boolean {
    if (this.#localCount > LISTED) {
      this.forget()
      return false
    }
    const { i32 } = this.#memory
    for (let i = 0; i < this.#localCount; i++) i32[this.#locals[i] as number] = 0
    this.#localCount = 0
    return true
  }

  /** Forgets the code of one page, and what crosses into it from the page before. */
  forgetPage(page: number): void {
    const marks = this.#pages[page & PAGE_MASK] as number
    if (marks & BEGINS) this.#forgetFrom(page)
    if (marks & GOES_ON) this.#forgetFrom((page - 1) & 0xfffff)
  }

  /** Forgets the code that begins in a page; its entries are all in one quarter of the cache. */
  #forgetFrom(page: number): void {
    const { i32 } = this.#memory
    const first = ((page ^ (page >>> 12)) & 3) * QUARTER
    const start = (this.base + (first << SET_SHIFT)) >>> 2
    const end = start + ((QUARTER << SET_SHIFT) >>> 2)
    for (let at = start; at < end; at += ENTRY_WORDS) {
      if ((i32[at] as number) >>> 12 === page) i32[at + 3] = 0
    }
  }
}
