// The page walk: linear address to host frame, for 32-bit, PAE, 4-level paging and none.
// Rights, reserved bits, accessed and dirty bits and error codes follow SDM vol. 3A, 4.3 to 4.7.
// Left out: 5-level paging, protection keys; PDPTEs are read at every walk (QUIRKS.md).

import type { HostMemory } from '../memory/host-memory.ts'

export const CR0_PE = 1 << 0
export const CR0_MP = 1 << 1
export const CR0_EM = 1 << 2
export const CR0_TS = 1 << 3
export const CR0_ET = 1 << 4
export const CR0_NE = 1 << 5
export const CR0_WP = 1 << 16
export const CR0_AM = 1 << 18
export const CR0_PG = 1 << 31
export const CR4_TSD = 1 << 2
export const CR4_DE = 1 << 3
export const CR4_PSE = 1 << 4
export const CR4_PAE = 1 << 5
export const CR4_PGE = 1 << 7
export const CR4_PCE = 1 << 8
export const CR4_OSFXSR = 1 << 9
export const CR4_OSXMMEXCPT = 1 << 10
export const CR4_UMIP = 1 << 11
export const CR4_FSGSBASE = 1 << 16
export const CR4_PCIDE = 1 << 17
export const CR4_OSXSAVE = 1 << 18
export const CR4_SMEP = 1 << 20
export const CR4_SMAP = 1 << 21
export const EFER_SCE = 1 << 0
export const EFER_LME = 1 << 8
export const EFER_LMA = 1 << 10
export const EFER_NXE = 1 << 11

/** Bits of a page-fault error code. */
export const PF_PRESENT = 1
export const PF_WRITE = 2
export const PF_USER = 4
export const PF_RESERVED = 8
export const PF_FETCH = 16

export const ACCESS_READ = 0
export const ACCESS_WRITE = 1
export const ACCESS_FETCH = 2

/** Answers of {@link FrameSource}: no memory there, or memory-mapped registers. */
export const NO_FRAME = -1
export const MMIO_FRAME = -2

export interface FrameSource {
  /** Host frame (host offset >>> 12) of a guest frame, NO_FRAME or MMIO_FRAME. */
  frameOf(gfn: number): number
  /** False where memory can be read but not written: stores to it are lost. */
  isWritable(gfn: number): boolean
}

const P = 1
const RW = 2
const US = 4
const A = 0x20
const D = 0x40
const PS = 0x80
const G = 0x100
const NX_HIGH = 0x80000000 | 0

/** The result of a walk; filled anew by each. */
export class Translation {
  /** Guest frame number of the 4 KiB page. */
  gfn = 0
  /** Host frame, NO_FRAME or MMIO_FRAME. */
  frame = NO_FRAME
  /** Later stores need no walk: the page is writable here and already dirty. */
  isWriteReady = false
  /** log2 of the size of the page that the mapping is made of. */
  pageShift = 12
  /** A change of the address space leaves the translation as it is (SDM vol. 3A, 4.10.2.4). */
  isGlobal = false
  /** The page-fault error code if the walk failed. */
  errorCode = 0
}

export class Walker {
  readonly result = new Translation()
  readonly #memory: HostMemory
  readonly #frames: FrameSource
  readonly #written: (host: number) => void
  cr0 = 0
  cr4 = 0
  efer = 0
  /** CR3 without its flags, as a guest frame number. */
  rootGfn = 0
  /** Offset of a 32-bit PAE directory within its page. */
  paeOffset = 0
  /** Bits of the high half of an entry that must be zero, NX apart. */
  reservedHigh = 0x7fffff00 & 0x000fff00
  /** Host address of the entry that was read last, and the guest frame it is in. */
  #at = 0
  #tableGfn = 0

  /** `written` is told of host addresses that the walk changes (accessed and dirty bits). */
  constructor(memory: HostMemory, frames: FrameSource, written: (host: number) => void) {
    this.#memory = memory
    this.#frames = frames
    this.#written = written
  }

  /**
   * Translates the page of a linear address. `acFlag`: RFLAGS.AC, which lets supervisor data
   * accesses reach user pages in spite of SMAP. False: result.errorCode says why.
   */
  walk(lo: number, hi: number, access: number, isUser: boolean, acFlag: boolean): boolean {
    this.result.pageShift = 12
    this.result.isGlobal = false
    if (!(this.cr0 & CR0_PG)) return this.#finish(lo >>> 12, true)
    const hasNx = (this.efer & EFER_NXE) !== 0
    const fault =
      (access === ACCESS_WRITE ? PF_WRITE : 0) |
      (isUser ? PF_USER : 0) |
      (access === ACCESS_FETCH && (hasNx || this.cr4 & CR4_SMEP) ? PF_FETCH : 0)
    this.result.errorCode = fault
    const isLong = (this.efer & EFER_LMA) !== 0
    const isWide = (this.cr4 & CR4_PAE) !== 0
    let gfn = this.rootGfn
    let rights = RW | US
    let noExecute = false
    let level = isLong ? 4 : isWide ? 3 : 2
    for (; ; level--) {
      const index = isWide ? indexOf(lo, hi, level) : level === 2 ? lo >>> 22 : (lo >>> 12) & 1023
      const frame = this.#frames.frameOf(gfn)
      if (frame < 0) return false
      this.#tableGfn = gfn
      const isPaeRoot = isWide && !isLong && level === 3
      this.#at = frame * 4096 + index * (isWide ? 8 : 4) + (isPaeRoot ? this.paeOffset : 0)
      const low = this.#memory.i32[this.#at >>> 2] as number
      const high = isWide ? (this.#memory.i32[(this.#at >>> 2) + 1] as number) : 0
      if (!(low & P)) return false
      const isLarge = (low & PS) !== 0 && this.#allowsLarge(level, isWide)
      const isReserved = isWide
        ? this.#isReserved(low, high, level, isLarge, hasNx, isPaeRoot)
        : isLarge && (low & (1 << 21)) !== 0
      if (isReserved) {
        this.result.errorCode = fault | PF_PRESENT | PF_RESERVED
        return false
      }
      if (!isPaeRoot) {
        rights &= low
        if (hasNx && high & NX_HIGH) noExecute = true
      }
      const isLeaf = level === 1 || isLarge
      if (!isLeaf) {
        if (!(low & A) && !isPaeRoot) this.#setBits(low, A)
        gfn = isWide ? ((high & 0xfffff) << 20) | (low >>> 12) : low >>> 12
        continue
      }
      if (!this.#isAllowed(access, isUser, acFlag, rights, noExecute)) {
        this.result.errorCode = fault | PF_PRESENT
        return false
      }
      const wanted = access === ACCESS_WRITE ? A | D : A
      if ((low & wanted) !== wanted) this.#setBits(low, wanted)
      const page = isLarge
        ? this.#largePage(lo, low, high, level, isWide)
        : isWide
          ? ((high & 0xfffff) << 20) | (low >>> 12)
          : low >>> 12
      this.result.isGlobal = (low & G) !== 0 && (this.cr4 & CR4_PGE) !== 0
      if (isLarge) this.result.pageShift = level === 3 ? 30 : isWide ? 21 : 22
      const isDirty = (low & D) !== 0 || access === ACCESS_WRITE
      return this.#finish(page, isDirty && this.#mayWrite(isUser, rights))
    }
  }

  #finish(gfn: number, isWriteReady: boolean): boolean {
    this.result.gfn = gfn
    this.result.frame = this.#frames.frameOf(gfn)
    this.result.isWriteReady = isWriteReady
    return true
  }

  #allowsLarge(level: number, isWide: boolean): boolean {
    if (level === 2) return isWide || (this.cr4 & CR4_PSE) !== 0
    return level === 3 && (this.efer & EFER_LMA) !== 0
  }

  #isReserved(
    low: number,
    high: number,
    level: number,
    isLarge: boolean,
    hasNx: boolean,
    isPaeRoot: boolean,
  ): boolean {
    if (high & this.reservedHigh) return true
    if (isPaeRoot) return (low & 0x1e6) !== 0 || (high & 0x7ff00000) !== 0 || (high & NX_HIGH) !== 0
    if (!hasNx && high & NX_HIGH) return true
    if (!(this.efer & EFER_LMA) && high & 0x7ff00000) return true
    if (level === 4 && low & PS) return true
    if (isLarge) return (low & (level === 3 ? 0x3fffe000 : 0x1fe000)) !== 0
    return false
  }

  #largePage(lo: number, low: number, high: number, level: number, isWide: boolean): number {
    if (!isWide) return (((low >>> 13) & 0xff) << 20) | ((low >>> 22) << 10) | ((lo >>> 12) & 0x3ff)
    const base = ((high & 0xfffff) << 20) | (low >>> 12)
    const mask = level === 3 ? 0x3ffff : 0x1ff
    return (base & ~mask) | ((lo >>> 12) & mask)
  }

  #isAllowed(
    access: number,
    isUser: boolean,
    acFlag: boolean,
    rights: number,
    noExecute: boolean,
  ): boolean {
    if (access === ACCESS_FETCH) {
      if (noExecute) return false
      return isUser ? (rights & US) !== 0 : !((rights & US) !== 0 && this.cr4 & CR4_SMEP)
    }
    if (isUser && !(rights & US)) return false
    if (!isUser && rights & US && this.cr4 & CR4_SMAP && !acFlag) return false
    return access === ACCESS_READ || this.#mayWrite(isUser, rights)
  }

  #mayWrite(isUser: boolean, rights: number): boolean {
    return (rights & RW) !== 0 || (!isUser && !(this.cr0 & CR0_WP))
  }

  #setBits(low: number, bits: number): void {
    if (!this.#frames.isWritable(this.#tableGfn)) return
    this.#memory.i32[this.#at >>> 2] = low | bits
    this.#written(this.#at)
  }
}

/** Index of the entry for a linear address in a table of 512 entries. */
function indexOf(lo: number, hi: number, level: number): number {
  switch (level) {
    case 4:
      return (hi >>> 7) & 511
    case 3:
      return ((hi & 0x7f) << 2) | (lo >>> 30)
    case 2:
      return (lo >>> 21) & 511
    default:
      return (lo >>> 12) & 511
  }
}
