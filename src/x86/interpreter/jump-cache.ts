// The jump cache of a processor: where the block at a linear address begins, for emitted code to
// probe. Direct-mapped, 16 bytes an entry:
//
//   +0 i64 linear address    +8 i32 first record of the block    +12 i32 key
//
// An entry is good only with the key of the running mode, in which a generation counts: to forget
// everything is to go on to the next one.

import type { HostMemory } from '../memory/host-memory.ts'

export const JUMP_CACHE_ENTRIES = 16384
export const JUMP_CACHE_ENTRY_SHIFT = 4

const BYTES = JUMP_CACHE_ENTRIES << JUMP_CACHE_ENTRY_SHIFT
const ENTRY_WORDS = 1 << (JUMP_CACHE_ENTRY_SHIFT - 2)
/** Bits of a key below the generation. */
const MODE_SHIFT = 5
const GENERATIONS = 1 << 26
/** Pages are told apart by the low bits of their numbers. */
const PAGE_MASK = 0xfff
/** More entries that are not global than this are not worth listing. */
const LISTED = 512

export class JumpCache {
  /** Host offset of the entries, for JUMP_CACHE in the state block. */
  readonly base: number
  /** Changes when everything is forgotten. */
  generation = 1
  readonly #memory: HostMemory
  /** Pages that entries may have code of. */
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
    const index = (lo ^ (lo >>> 12)) & (JUMP_CACHE_ENTRIES - 1)
    const at = (this.base + (index << JUMP_CACHE_ENTRY_SHIFT)) >>> 2
    i32[at] = lo
    i32[at + 1] = hi
    i32[at + 2] = rec
    i32[at + 3] = key
    if (!isGlobal) {
      if (this.#localCount < LISTED) this.#locals[this.#localCount] = at + 3
      this.#localCount++
    }
    this.mark(lo >>> 12)
  }

  /** First record of the block at a linear address, if that is known under a key; or 0. */
  find(lo: number, hi: number, key: number): number {
    const { i32 } = this.#memory
    const index = (lo ^ (lo >>> 12)) & (JUMP_CACHE_ENTRIES - 1)
    const at = (this.base + (index << JUMP_CACHE_ENTRY_SHIFT)) >>> 2
    const isKnown = i32[at] === lo && i32[at + 1] === hi && i32[at + 3] === key
    return isKnown ? (i32[at + 2] as number) : 0
  }

  /** Notes that an entry depends on a page. */
  mark(page: number): void {
    this.#pages[page & PAGE_MASK] = 1
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
    if (!this.#pages[page & PAGE_MASK]) return
    const { i32 } = this.#memory
    const end = (this.base + BYTES) >>> 2
    for (let at = this.base >>> 2; at < end; at += ENTRY_WORDS) {
      const distance = page - ((i32[at] as number) >>> 12)
      if (distance === 0 || distance === 1) i32[at + 3] = 0
    }
  }
}
