// Guest memory by linear address, in TypeScript: the accesses that emitted code's fast path does
// not cover (TLB misses, page crossings, MMIO, pages with decoded code), and those of host
// instructions, descriptor tables and stacks that exceptions push.

import type { CpuHost } from '../cpu-host.ts'
import { GuestFault } from '../guest-fault.ts'
import type { CodeCache } from '../interpreter/code-cache.ts'
import type { HostMemory } from '../memory/host-memory.ts'
import { CONTEXT_SUPERVISOR, CONTEXT_SUPERVISOR_AC, CONTEXT_USER, type Tlb } from './tlb.ts'
import { ACCESS_FETCH, ACCESS_READ, ACCESS_WRITE, MMIO_FRAME, type Walker } from './walker.ts'

const PAGE = 4096
const PF = 14
const GP = 13

/** Whose rights an access has. */
export interface Privilege {
  readonly isUser: boolean
  /** RFLAGS.AC is set and counts: SMAP lets go. */
  readonly ac: boolean
  /** TLB context that translations are entered into, or -1 for none. */
  readonly context: number
  /** Misaligned accesses fault (#AC). */
  readonly isAligned: boolean
}

function privilege(isUser: boolean, ac: boolean, context: number, isAligned = false): Privilege {
  return { isUser, ac, context, isAligned }
}

export const USER: Privilege = privilege(true, false, CONTEXT_USER)
/** User code with CR0.AM and RFLAGS.AC set; without entries, each access is looked at. */
export const USER_ALIGNED: Privilege = privilege(true, false, -1, true)
export const SUPERVISOR: Privilege = privilege(false, false, CONTEXT_SUPERVISOR)
export const SUPERVISOR_AC: Privilege = privilege(false, true, CONTEXT_SUPERVISOR_AC)

/** Host address of bytes without memory behind them (unpopulated or MMIO). */
const NOT_MEMORY = -1
/** In place of a host address: the access is a fault. */
export const FAULTED = -2

export class LinearMemory {
  readonly #memory: HostMemory
  readonly #walker: Walker
  readonly #tlb: Tlb
  readonly #code: CodeCache
  readonly #host: CpuHost
  /** Guest physical address of the last translation that led to no memory. */
  gpa = 0
  /** The fault that find() met last: vector, error code, halves of the address for CR2. */
  faultVector = 0
  faultCode = 0
  faultLo = 0
  faultHi = 0
  /** Addresses in 64-bit mode must be canonical; outside it they have 32 bits. */
  isLongMode = false

  constructor(memory: HostMemory, walker: Walker, tlb: Tlb, code: CodeCache, host: CpuHost) {
    this.#memory = memory
    this.#walker = walker
    this.#tlb = tlb
    this.#code = code
    this.#host = host
  }

  /**
   * Host address of a linear address, or -1 for what is not memory, or may not be written. Throws
   * the page fault or #GP that the access deserves. Enters the translation into the TLB.
   */
  translate(lo: number, high: number, access: number, who: Privilege): number {
    const at = this.find(lo, high, access, who)
    if (at === FAULTED) throw this.fault()
    return at
  }

  /** The same, with FAULTED for what fault() then is. */
  find(lo: number, high: number, access: number, who: Privilege): number {
    const hi = this.isLongMode ? high : 0
    const known =
      access === ACCESS_FETCH
        ? this.#tlb.code.find(lo, hi, who.isUser)
        : this.#tlb.find(who.context, lo, hi, access === ACCESS_WRITE)
    return known >= 0 ? known : this.#walk(lo, hi, access, who)
  }

  /**
   * Host address of `size` bytes at a multiple of 4 that can be read, or written, as 32-bit words
   * there; -1 for a fault, and for what is not memory, goes on in another page, or has code in it.
   */
  findWords(lo: number, high: number, size: number, access: number, who: Privilege): number {
    if ((lo & (PAGE - 1)) + size > PAGE || (lo & 3) !== 0) return NOT_MEMORY
    const at = this.find(lo, high, access, who)
    if (at < 0 || (access === ACCESS_WRITE && this.#code.hasCode(at))) return NOT_MEMORY
    return at
  }

  #walk(lo: number, hi: number, access: number, who: Privilege): number {
    const top = hi >> 15
    if (top !== 0 && top !== -1) {
      this.faultVector = GP
      this.faultCode = 0
      this.faultLo = 0
      this.faultHi = 0
      return FAULTED
    }
    const walker = this.#walker
    const { result } = walker
    if (!walker.walk(lo, hi, access, who.isUser, who.ac)) {
      this.faultVector = PF
      this.faultCode = result.errorCode
      this.faultLo = lo
      this.faultHi = hi
      return FAULTED
    }
    const { gfn, frame, pageShift, isGlobal } = result
    this.gpa = gfn * PAGE + (lo & (PAGE - 1))
    if (frame < 0) return NOT_MEMORY
    const isReadOnly = !this.#host.isWritable(gfn)
    if (isReadOnly && access === ACCESS_WRITE) return NOT_MEMORY
    const page = frame * PAGE
    if (pageShift !== 12) this.#tlb.noteLarge(lo, pageShift)
    if (access === ACCESS_FETCH) {
      this.#tlb.code.fill(lo, hi, who.isUser, page, isGlobal)
      this.#tlb.code.isGlobal = isGlobal
    } else if (who.context >= 0) {
      const isWriteReady = result.isWriteReady && !isReadOnly && !this.#code.hasCode(page)
      this.#tlb.fill(who.context, lo, hi, page, isWriteReady, isGlobal)
    }
    return page + (lo & (PAGE - 1))
  }

  /** The fault that find() met. */
  fault(): GuestFault {
    return new GuestFault(this.faultVector, this.faultCode, linearOf(this.faultLo, this.faultHi))
  }

  /** Copies `size` bytes out of guest memory to host address `to`. Throws GuestFault. */
  readTo(lo: number, hi: number, size: number, to: number, who: Privilege): void {
    const first = Math.min(size, PAGE - (lo & (PAGE - 1)))
    this.#readPiece(lo, hi, first, to, who)
    if (first < size) {
      const next = nextPage(lo, hi)
      this.#readPiece(next.lo, next.hi, size - first, to + first, who)
    }
  }

  #readPiece(lo: number, hi: number, size: number, to: number, who: Privilege): void {
    const from = this.translate(lo, hi, ACCESS_READ, who)
    if (from >= 0) this.#copy(to, from, size)
    else this.#readDevice(this.gpa, size, to)
  }

  #copy(to: number, from: number, size: number): void {
    const { u8 } = this.#memory
    // A call of copyWithin takes longer than what it has to do here.
    if (size > 8) u8.copyWithin(to, from, from + size)
    else for (let i = 0; i < size; i++) u8[to + i] = u8[from + i] as number
  }

  #readDevice(gpa: number, size: number, to: number): void {
    const { view, u8 } = this.#memory
    for (let done = 0; done < size; ) {
      const piece = pieceOf(gpa + done, size - done)
      const value = this.#isDevice(gpa) ? this.#host.mmioRead(gpa + done, piece) : ONES
      if (piece === 8) view.setBigUint64(to + done, BigInt.asUintN(64, value), true)
      else
        for (let i = 0; i < piece; i++) u8[to + done + i] = Number((value >> BigInt(8 * i)) & 255n)
      done += piece
    }
  }

  #isDevice(gpa: number): boolean {
    return this.#host.frameOf(Math.floor(gpa / PAGE)) === MMIO_FRAME
  }

  /**
   * Copies `size` bytes at host address `from` into guest memory. All of it may be written
   * before any of it is. Throws GuestFault.
   */
  writeFrom(lo: number, hi: number, size: number, from: number, who: Privilege): void {
    const first = Math.min(size, PAGE - (lo & (PAGE - 1)))
    const at = this.translate(lo, hi, ACCESS_WRITE, who)
    const gpa = this.gpa
    if (first === size) return this.#put(at, gpa, size, from)
    const next = nextPage(lo, hi)
    const at2 = this.translate(next.lo, next.hi, ACCESS_WRITE, who)
    const gpa2 = this.gpa
    this.#put(at, gpa, first, from)
    this.#put(at2, gpa2, size - first, from + first)
  }

  /** Checks that `size` bytes may be written. Throws GuestFault. */
  probeWrite(lo: number, hi: number, size: number, who: Privilege): void {
    this.translate(lo, hi, ACCESS_WRITE, who)
    if ((lo & (PAGE - 1)) + size > PAGE) {
      const next = nextPage(lo, hi)
      this.translate(next.lo, next.hi, ACCESS_WRITE, who)
    }
  }

  /** Copies `size` bytes at host address `from` to host address `at`, where find() allowed it. */
  put(at: number, size: number, from: number): void {
    this.#copy(at, from, size)
    this.#code.written(at, size)
  }

  #put(at: number, gpa: number, size: number, from: number): void {
    if (at >= 0) return this.put(at, size, from)
    if (!this.#isDevice(gpa)) return
    for (let done = 0; done < size; ) {
      const piece = pieceOf(gpa + done, size - done)
      let value = 0n
      for (let i = piece - 1; i >= 0; i--) {
        value = (value << 8n) | BigInt(this.#memory.u8[from + done + i] as number)
      }
      this.#host.mmioWrite(gpa + done, piece, value)
      done += piece
    }
  }
}

const ONES = 0xffffffffffffffffn

/** The largest naturally aligned access that devices get. */
function pieceOf(gpa: number, left: number): number {
  for (const size of [8, 4, 2]) if (left >= size && gpa % size === 0) return size
  return 1
}

function linearOf(lo: number, hi: number): bigint {
  return (BigInt(hi >>> 0) << 32n) | BigInt(lo >>> 0)
}

const NEXT = { lo: 0, hi: 0 }

/** Start of the following page. */
function nextPage(lo: number, hi: number): { readonly lo: number; readonly hi: number } {
  NEXT.lo = ((lo & -PAGE) + PAGE) | 0
  NEXT.hi = NEXT.lo === 0 ? (hi + 1) | 0 : hi
  return NEXT
}
