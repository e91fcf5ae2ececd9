// Guest memory as a processor reaches it from TypeScript: the slow accesses of emitted code, and
// those of host instructions and of the outside by linear address.

import type { Engine } from './engine.ts'
import { GuestFault } from './guest-fault.ts'
import * as R from './interpreter/record.ts'
import { STACK_ACCESS } from './emit/runtime.ts'
import { FAULTED, type LinearMemory, type Privilege, SUPERVISOR } from './mmu/linear-memory.ts'
import { ACCESS_READ, ACCESS_WRITE } from './mmu/walker.ts'
import { Registers } from './registers.ts'
import * as S from './state.ts'
import { dataBreakpoints } from './system/debug-registers.ts'
import { checkSegmentAccess } from './system/segment-access.ts'

const SS = 12
const GP = 13
const AC = 17
const PAGE = 4096
/** What a store into decoded code costs: blocks are dropped and decoded anew, TLBs searched. */
const INVALIDATION_EFFORT = 200

export abstract class CpuMemory extends Registers {
  abstract readonly engine: Engine
  abstract readonly linear: LinearMemory
  abstract readonly counters: { slowAccesses: number }
  /** The record of the instruction that is in TypeScript now, or 0. */
  protected record = 0
  /** Data breakpoints are on: no access goes by unseen. */
  protected isWatching = false
  /** Data breakpoints that the running instruction has hit, as bits of DR6. */
  protected debugHits = 0
  /** What the last slowModify has to write back. */
  readonly #modified = { lo: 0, hi: 0, size: 0 }

  /** Whose rights loads and stores of the running code have. */
  abstract get privilege(): Privilege
  /** Work that a guest causes beyond its instructions, the same however those are executed. */
  abstract exert(effort: number): void
  /** Records a fault of the instruction `rec` in the state block. */
  protected abstract recordFault(fault: GuestFault, rec: number): void
  /** The same with FAULT_ADDRESS being set. */
  protected abstract faulted(rec: number, vector: number, code: number): void

  // Memory, for emitted code.

  /** Alignment checks and data breakpoints: both see to it that accesses come here. */
  #lookClosely(lo: number, hi: number, size: number, isWrite: boolean): void {
    const isOdd = (lo & (size - 1)) !== 0 && size <= 8
    if (isOdd && this.privilege.isAligned) throw new GuestFault(AC)
    if (!this.isWatching) return
    const linear = (BigInt(hi >>> 0) << 32n) | BigInt(lo >>> 0)
    this.debugHits |= dataBreakpoints(this, linear, size, isWrite)
  }

  /**
   * Where an access lies that needs no closer look than a page walk; -1 if that is not enough, or
   * FAULTED. Page faults are frequent, and throwing them takes longer than all the rest. What is
   * found is no effort, since an instruction finds a few pages at most; what is looked at element by
   * element of a long text is.
   */
  #findPlain(lo: number, hi: number, size: number, access: number): number {
    const who = this.privilege
    if ((lo & (PAGE - 1)) + size > PAGE || this.isWatching || who.isAligned) return -1
    return this.linear.find(lo, hi, access, who)
  }

  /** Records the fault that linear.find() met. */
  #foundFault(rec: number, kind: number): number {
    const { faultVector, faultCode, faultLo, faultHi } = this.linear
    this.setWords(S.FAULT_ADDRESS, faultLo, faultHi)
    const isStackFault = faultVector === GP && this.#isStack(rec, kind)
    this.faulted(rec, isStackFault ? SS : faultVector, faultCode)
    return 0
  }

  /** `kind`: the size in bytes, with STACK_ACCESS for the stack; so for all slow accesses. */
  slowRead(rec: number, lo: number, hi: number, kind: number): number {
    this.counters.slowAccesses++
    const size = kind & ~STACK_ACCESS
    const plain = this.#findPlain(lo, hi, size, ACCESS_READ)
    if (plain >= 0) return plain
    this.exert(1)
    if (plain === FAULTED) return this.#foundFault(rec, kind)
    this.record = rec
    try {
      this.#lookClosely(lo, hi, size, false)
      if ((lo & (PAGE - 1)) + size <= PAGE) {
        const at = this.linear.translate(lo, hi, ACCESS_READ, this.privilege)
        if (at >= 0) return at
      }
      const bounce = this.state + S.BOUNCE
      this.linear.readTo(lo, hi, size, bounce, this.privilege)
      return bounce
    } catch (error) {
      return this.#faulted(error, rec, kind)
    } finally {
      this.record = 0
    }
  }

  slowWrite(rec: number, lo: number, hi: number, kind: number): number {
    this.counters.slowAccesses++
    const size = kind & ~STACK_ACCESS
    const plain = this.#findPlain(lo, hi, size, ACCESS_WRITE)
    if (plain >= 0 && !this.engine.code.hasCode(plain)) {
      this.linear.put(plain, size, this.state + S.BOUNCE)
      return 1
    }
    this.exert(1)
    if (plain === FAULTED) return this.#foundFault(rec, kind)
    this.record = rec
    try {
      if (plain >= 0) {
        this.#put(plain, size)
        return 1
      }
      this.#lookClosely(lo, hi, size, true)
      this.#store(lo, hi, size)
      return 1
    } catch (error) {
      return this.#faulted(error, rec, kind)
    } finally {
      this.record = 0
    }
  }

  slowModify(rec: number, lo: number, hi: number, kind: number): number {
    this.counters.slowAccesses++
    const size = kind & ~STACK_ACCESS
    const plain = this.#findPlain(lo, hi, size, ACCESS_WRITE)
    if (plain >= 0 && !this.engine.code.hasCode(plain)) return plain
    this.exert(1)
    if (plain === FAULTED) return this.#foundFault(rec, kind)
    this.record = rec
    try {
      this.#lookClosely(lo, hi, size, true)
      if ((lo & (PAGE - 1)) + size <= PAGE) {
        const at = this.linear.translate(lo, hi, ACCESS_WRITE, this.privilege)
        if (at >= 0 && !this.engine.code.hasCode(at)) return at
      } else {
        this.linear.probeWrite(lo, hi, size, this.privilege)
      }
      const bounce = this.state + S.BOUNCE
      this.linear.readTo(lo, hi, size, bounce, this.privilege)
      this.#modified.lo = lo
      this.#modified.hi = hi
      this.#modified.size = size
      return bounce
    } catch (error) {
      return this.#faulted(error, rec, kind)
    } finally {
      this.record = 0
    }
  }

  commitModify(): void {
    const { lo, hi, size } = this.#modified
    this.#store(lo, hi, size)
  }

  #store(lo: number, hi: number, size: number): void {
    const { code } = this.engine
    const before = code.invalidations
    this.linear.writeFrom(lo, hi, size, this.state + S.BOUNCE, this.privilege)
    if (code.invalidations !== before) this.exert(INVALIDATION_EFFORT)
  }

  /** Stores what is in BOUNCE where find() allowed it. */
  #put(at: number, size: number): void {
    const { code } = this.engine
    const before = code.invalidations
    this.linear.put(at, size, this.state + S.BOUNCE)
    if (code.invalidations !== before) this.exert(INVALIDATION_EFFORT)
  }

  #faulted(error: unknown, rec: number, kind: number): number {
    if (!(error instanceof GuestFault)) throw error
    const isStackFault = error.vector === GP && this.#isStack(rec, kind)
    this.recordFault(isStackFault ? new GuestFault(SS, error.code) : error, rec)
    return 0
  }

  /** Non-canonical addresses are #SS where the stack or its segment is used. */
  #isStack(rec: number, kind: number): boolean {
    return (kind & STACK_ACCESS) !== 0 || this.memory.u8[rec + R.REC_SEGMENT] === S.SS
  }

  checkSegment(rec: number, offset: number, size: number, segment: number, write: boolean): number {
    if (checkSegmentAccess(this, segment, offset >>> 0, size, write)) return 1
    this.recordFault(new GuestFault(segment === S.SS ? SS : GP), rec)
    return 0
  }

  /**
   * Reads `size` (1, 2, 4, 8) bytes at a linear address: as the running instruction would, or
   * with the rights of `who` for what the processor does on its own. Throws GuestFault.
   */
  readMemory(linear: bigint, size: number, who?: Privilege): bigint {
    if (!who) this.#lookClosely(low(linear), high(linear), size, false)
    const to = this.state + S.BOUNCE
    this.memory.u64[to >>> 3] = 0n
    this.linear.readTo(low(linear), high(linear), size, to, who ?? this.privilege)
    return this.memory.u64[to >>> 3] as bigint
  }

  /** The same for writing. */
  writeMemory(linear: bigint, size: number, value: bigint, who?: Privilege): void {
    if (!who) this.#lookClosely(low(linear), high(linear), size, true)
    const from = this.state + S.BOUNCE
    this.memory.u64[from >>> 3] = BigInt.asUintN(64, value)
    this.linear.writeFrom(low(linear), high(linear), size, from, who ?? this.privilege)
  }

  /**
   * Copies bytes out of guest memory with the current rights, or the supervisor's; undefined if a
   * page of it cannot be read or is no memory.
   */
  readLinear(address: bigint, length: number, asSupervisor = false): Uint8Array | undefined {
    const pieces = this.#piecesOf(address, length, ACCESS_READ, asSupervisor)
    if (!pieces) return undefined
    const out = new Uint8Array(length)
    for (const { at, done, size } of pieces) out.set(this.memory.u8.subarray(at, at + size), done)
    return out
  }

  /**
   * Copies bytes into guest memory with the current rights, or the supervisor's: all of them or,
   * if a page cannot be written or is no memory, none and false.
   */
  writeLinear(address: bigint, bytes: Uint8Array, asSupervisor = false): boolean {
    const pieces = this.#piecesOf(address, bytes.length, ACCESS_WRITE, asSupervisor)
    if (!pieces) return false
    for (const { at, done, size } of pieces) {
      this.memory.u8.set(bytes.subarray(done, done + size), at)
      this.engine.written(at, size)
    }
    return true
  }

  /** Where the pages of a stretch of linear addresses lie in the host; undefined after a fault. */
  #piecesOf(
    address: bigint,
    length: number,
    access: number,
    asSupervisor: boolean,
  ): { readonly at: number; readonly done: number; readonly size: number }[] | undefined {
    const who = asSupervisor ? SUPERVISOR : this.privilege
    const pieces = []
    try {
      for (let done = 0; done < length; ) {
        const linear = address + BigInt(done)
        const at = this.linear.translate(low(linear), high(linear), access, who)
        if (at < 0) return undefined
        const size = Math.min(length - done, PAGE - (low(linear) & (PAGE - 1)))
        pieces.push({ at, done, size })
        done += size
      }
      return pieces
    } catch (error) {
      if (error instanceof GuestFault) return undefined
      throw error
    }
  }
}

function low(linear: bigint): number {
  return Number(BigInt.asIntN(32, linear))
}

function high(linear: bigint): number {
  return Number(BigInt.asIntN(32, linear >> 32n))
}
