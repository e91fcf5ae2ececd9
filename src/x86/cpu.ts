// A virtual processor: its run loop, and what emitted code needs done in TypeScript on its
// behalf. Emitted code runs until the budget is used up, a fault occurs, or something wants a
// look; the loop then delivers what has to be delivered and goes on.

import type { CpuHost } from './cpu-host.ts'
import type { Engine } from './engine.ts'
import { GuestFault } from './guest-fault.ts'
import type { HostInstruction } from './host-instruction.ts'
import { MAX_BLOCK_RECORDS } from './interpreter/block-builder.ts'
import { HANDLER_DEAD, HANDLER_STOP } from './interpreter/handlers.ts'
import * as R from './interpreter/record.ts'
import { JUMP_CACHE_ENTRIES, JUMP_CACHE_ENTRY_SHIFT } from './interpreter/record-emitter.ts'
import { LinearMemory, type Privilege, SUPERVISOR, SUPERVISOR_AC, USER } from './mmu/linear-memory.ts'
import { Tlb } from './mmu/tlb.ts'
import { ACCESS_FETCH, ACCESS_READ, ACCESS_WRITE, Walker } from './mmu/walker.ts'
import { codeSizeOf } from './mode.ts'
import { FLAG_AC, FLAG_IF, FLAG_RF, FLAG_TF, Registers } from './registers.ts'
import * as S from './state.ts'
import { currentMode } from './system/current-mode.ts'
import { checkInstructionBreakpoint, DR6_BS, raiseDebug } from './system/debug-registers.ts'
import { deliverException, deliverInterrupt, deliverNmi, TripleFault } from './system/exceptions.ts'
import { checkSegmentAccess } from './system/segment-access.ts'

const GP = 13
const SS = 12
const PAGE = 4096
/** PAUSEs in one run after which the rest of it is given up. */
const PAUSES_TO_YIELD = 32

export interface RunResult {
  /** Instructions that were executed. */
  readonly executed: number
  /** The budget is used up; HLT; a triple fault; or a callback asked to stop. */
  readonly reason: 'budget' | 'halt' | 'shutdown' | 'exit'
}

export class Cpu extends Registers {
  readonly host: CpuHost
  readonly engine: Engine
  readonly tlb: Tlb
  readonly walker: Walker
  readonly linear: LinearMemory
  /** CPUID features by which instructions exist or not. */
  readonly features: ReadonlySet<string>
  /** Waiting for an interrupt. */
  isHalted = false
  /** Interrupts are held off for one instruction (after STI, MOV SS). */
  hasShadow = false
  /** An NMI is being handled: further ones wait for IRET. */
  isNmiBlocked = false
  /** Why the processor shut down, after a triple fault. */
  shutdownCause = ''
  readonly #jumps: number
  readonly #partial: number
  #generation = 1
  #mode = 0
  #wantsExit = false
  #pauses = 0
  #runBudget = 0
  /** Budget taken away to make emitted code come back soon. */
  #withheld = 0
  /** What the last slowModify has to write back. */
  readonly #modified = { lo: 0, hi: 0, size: 0 }
  /** RIP of the running host instruction and the end of it. */
  #record = 0
  readonly counters = { lookups: 0, faults: 0, interrupts: 0, hostInstructions: 0, slowAccesses: 0 }

  constructor(engine: Engine, host: CpuHost, features: ReadonlySet<string>) {
    super(engine.memory)
    this.engine = engine
    this.host = host
    this.features = features
    this.tlb = new Tlb(engine.memory)
    this.walker = new Walker(engine.memory, host, (at) => engine.written(at, 8))
    this.linear = new LinearMemory(engine.memory, this.walker, this.tlb, engine.code, host)
    this.#jumps = engine.memory.allocate(
      JUMP_CACHE_ENTRIES << JUMP_CACHE_ENTRY_SHIFT,
      64,
      'jump cache',
    )
    this.#partial = engine.memory.allocate(MAX_BLOCK_RECORDS * R.RECORD_SIZE, 64, 'partial block')
    this.set32(S.JUMP_CACHE, this.#jumps)
    engine.register(this)
    this.modeChanged()
  }

  // What instructions change beyond registers.

  /** Privilege, RFLAGS.AC, control registers or segments have changed. */
  modeChanged(): void {
    const isUser = this.cpl === 3
    this.#mode = currentMode(this)
    this.set32(S.JUMP_KEY, (this.#generation << 5) | (this.#mode << 1) | (isUser ? 1 : 0))
    this.set32(S.TLB_BASE, this.tlb.contextBase(this.privilege.context))
  }

  /** Whose rights loads and stores of the running code have. */
  get privilege(): Privilege {
    if (this.cpl === 3) return USER
    return this.getI32(S.RFLAGS) & FLAG_AC ? SUPERVISOR_AC : SUPERVISOR
  }

  /** Code may lie elsewhere now: mappings or decoded blocks have changed. */
  forgetJumps(): void {
    this.#generation++
    if (this.#generation === 1 << 26) {
      this.memory.u8.fill(
        0,
        this.#jumps,
        this.#jumps + (JUMP_CACHE_ENTRIES << JUMP_CACHE_ENTRY_SHIFT),
      )
      this.#generation = 1
    }
    this.modeChanged()
  }

  /** Forgets all translations (a write to CR3, among others). */
  flushTlb(): void {
    this.tlb.flush()
    this.forgetJumps()
  }

  /** Forgets the translation of one page. */
  flushPage(lo: number): void {
    this.tlb.flushPage(lo)
    this.forgetJumps()
  }

  // What the outside asks.

  /** Leave run() after the current instruction, or soon after. */
  requestExit(): void {
    this.#wantsExit = true
    this.#kick()
  }

  /** The answer of CpuHost.pendingInterrupt or takeNmi may have changed. */
  interruptsChanged(): void {
    this.set32(S.ATTENTION, 1)
    this.#kick()
  }

  /** Makes emitted code come back at the end of its block. */
  #kick(): void {
    const budget = this.getI32(S.BUDGET)
    if (budget <= 0) return
    this.#withheld += budget
    this.set32(S.BUDGET, 0)
  }

  // The run loop.

  /** Runs for at most `maxInstructions`. */
  run(maxInstructions: number): RunResult {
    this.#wantsExit = false
    this.#pauses = 0
    this.#runBudget = maxInstructions
    this.#withheld = 0
    this.set32(S.BUDGET, maxInstructions)
    const result = (reason: RunResult['reason']): RunResult => {
      const executed = maxInstructions - this.getI32(S.BUDGET) - this.#withheld
      this.set32(S.BUDGET, 0)
      this.#withheld = 0
      return { executed, reason }
    }
    try {
      for (;;) {
        if (this.#withheld > 0) {
          this.set32(S.BUDGET, this.getI32(S.BUDGET) + this.#withheld)
          this.#withheld = 0
        }
        if (this.#wantsExit) return result('exit')
        if (this.getI32(S.ATTENTION)) this.#lookForInterrupts()
        if (this.isHalted) return result('halt')
        if (this.getI32(S.BUDGET) <= 0) return result('budget')
        this.#step()
      }
    } catch (error) {
      if (!(error instanceof TripleFault)) throw error
      this.shutdownCause = error.cause
      return result('shutdown')
    }
  }

  #lookForInterrupts(): void {
    if (this.hasShadow) return
    if (!this.isNmiBlocked && this.host.takeNmi()) {
      this.isHalted = false
      deliverNmi(this)
      return
    }
    if (!(this.getI32(S.RFLAGS) & FLAG_IF)) return
    const vector = this.host.pendingInterrupt()
    if (vector < 0) {
      this.set32(S.ATTENTION, 0)
      return
    }
    this.host.acknowledgeInterrupt(vector)
    this.isHalted = false
    this.counters.interrupts++
    deliverInterrupt(this, vector)
  }

  #step(): void {
    const { u8 } = this.memory
    if (checkInstructionBreakpoint(this)) return
    const rec = this.lookup(0)
    if (rec === 0) return this.#fault()
    const flags = this.getI32(S.RFLAGS)
    const budget = this.getI32(S.BUDGET)
    const left = u8[rec + R.REC_LEFT] as number
    const isSingle = (flags & (FLAG_TF | FLAG_RF)) !== 0 || this.hasShadow
    const count = isSingle ? 1 : Math.min(left, budget)
    const lo = this.getI32(S.RIP)
    const linearLo = (lo + Number(BigInt.asIntN(32, this.#codeBase()))) | 0
    this.setU64(S.RIP_BASE, this.rip - BigInt(linearLo & (PAGE - 1)))
    this.set32(S.BUDGET, budget - count)
    this.hasShadow = false
    this.set32(S.EXIT, 0)
    this.engine.enter(this, count < left ? this.#partialBlock(rec, count) : rec)
    const exit = this.getI32(S.EXIT)
    if (exit === S.EXIT_FAULT || exit === S.EXIT_FETCH_FAULT) this.#fault()
    else if (exit === S.EXIT_DEAD) this.#leaveDead()
    else if (flags & FLAG_TF) raiseDebug(this, DR6_BS)
    else if (flags & FLAG_RF) this.set32(S.RFLAGS, this.getI32(S.RFLAGS) & ~FLAG_RF)
  }

  #codeBase(): bigint {
    return codeSizeOf(this.#mode) === 64 ? 0n : this.segmentBase(S.CS)
  }

  /** A copy of the first `count` records of a block that stops after them. */
  #partialBlock(rec: number, count: number): number {
    const { u8, u16, u32 } = this.memory
    const at = this.#partial
    u8.copyWithin(at, rec, rec + count * R.RECORD_SIZE)
    for (let i = 0; i < count; i++) u8[at + i * R.RECORD_SIZE + R.REC_LEFT] = count - i
    const last = at + (count - 1) * R.RECORD_SIZE
    const stop = at + count * R.RECORD_SIZE
    u8.fill(0, stop, stop + R.RECORD_SIZE)
    u32[stop >>> 2] = HANDLER_STOP
    u16[(stop + R.REC_END) >>> 1] = u16[(last + R.REC_END) >>> 1] as number
    return at
  }

  /** RIP of the instruction of a record. */
  #ripOf(rec: number): bigint {
    const { u8, u16 } = this.memory
    const offset = (u16[(rec + R.REC_END) >>> 1] as number) - (u8[rec + R.REC_LENGTH] as number)
    const rip = this.getU64(S.RIP_BASE) + BigInt(offset)
    return codeSizeOf(this.#mode) === 64 ? BigInt.asUintN(64, rip) : rip & 0xffffffffn
  }

  /** RIP after the instruction of a record. */
  #ripAfter(rec: number): bigint {
    return this.#ripOf(rec) + BigInt(this.memory.u8[rec + R.REC_LENGTH] as number)
  }

  /** Gives back the instructions of a block from a record on, or after it. */
  #refund(rec: number, isDone: boolean): void {
    const left = (this.memory.u8[rec + R.REC_LEFT] as number) - (isDone ? 1 : 0)
    if (this.#withheld > 0) this.#withheld += left
    else this.set32(S.BUDGET, this.getI32(S.BUDGET) + left)
  }

  #leaveDead(): void {
    const rec = this.getI32(S.EXIT_RECORD) >>> 0
    this.rip = this.#ripOf(rec)
    this.#refund(rec, false)
  }

  #fault(): void {
    this.counters.faults++
    const vector = this.getI32(S.FAULT_VECTOR)
    deliverException(this, vector, this.getI32(S.FAULT_CODE), this.getU64(S.FAULT_ADDRESS))
  }

  #recordFault(fault: GuestFault, rec: number): void {
    this.set32(S.FAULT_VECTOR, fault.vector)
    this.set32(S.FAULT_CODE, fault.code)
    this.setU64(S.FAULT_ADDRESS, fault.address)
    if (rec === 0) {
      this.set32(S.EXIT, S.EXIT_FETCH_FAULT)
      return
    }
    this.set32(S.EXIT, S.EXIT_FAULT)
    this.rip = this.#ripOf(rec)
    this.#refund(rec, false)
  }

  // Code.

  /**
   * First record of the block at RIP, for the run loop (`rec` 0) or after the branch `rec`.
   * 0 after a fault, which then belongs to RIP.
   */
  lookup(rec: number): number {
    this.counters.lookups++
    if (rec !== 0 && this.#wantsExit) {
      this.#refund(rec, true)
      this.set32(S.EXIT, S.EXIT_LOOK)
      return 0
    }
    const is64 = codeSizeOf(this.#mode) === 64
    const lo = is64 ? this.getI32(S.RIP) : Number(BigInt.asIntN(32, this.rip + this.#codeBase()))
    const hi = is64 ? this.getI32(S.RIP + 4) : 0
    try {
      if (!is64 && this.getU32(S.RIP) > this.segmentLimit(S.CS)) throw new GuestFault(GP)
      const found = this.#find(lo, hi)
      if (found.rec !== 0 && !found.isCrossing) this.#remember(lo, hi, found.rec)
      return found.rec
    } catch (error) {
      if (!(error instanceof GuestFault)) throw error
      if (rec !== 0) this.#refund(rec, true)
      this.#recordFault(error, 0)
      return 0
    }
  }

  #find(lo: number, hi: number): { readonly rec: number; readonly isCrossing: boolean } {
    const who = this.privilege
    const host = this.linear.translate(lo, hi, ACCESS_FETCH, who)
    if (host < 0) throw new TripleFault(`code at guest physical ${hex(this.linear.gpa)}, where there is no memory`)
    let fault: GuestFault | undefined
    const found = this.engine.code.find(host, this.#mode, this.features, () => {
      const nextLo = ((lo & -PAGE) + PAGE) | 0
      try {
        return this.linear.translate(nextLo, nextLo === 0 ? hi + 1 : hi, ACCESS_FETCH, who)
      } catch (error) {
        if (!(error instanceof GuestFault)) throw error
        fault = error
        return -1
      }
    })
    if (fault) throw fault
    return found
  }

  #remember(lo: number, hi: number, rec: number): void {
    const { i32 } = this.memory
    const index = (lo ^ (lo >>> 12)) & (JUMP_CACHE_ENTRIES - 1)
    const at = (this.#jumps + (index << JUMP_CACHE_ENTRY_SHIFT)) >>> 2
    i32[at] = lo
    i32[at + 1] = hi
    i32[at + 2] = rec
    i32[at + 3] = this.getI32(S.JUMP_KEY)
  }

  /** First record of the block that a near branch of a record goes to; links the two. */
  resolve(rec: number): number {
    const { view, i32 } = this.memory
    const generation = this.#generation
    const handler = i32[rec >>> 2]
    const target = this.getU64(S.RIP_BASE) + view.getBigUint64(rec + R.REC_IMMEDIATE, true)
    this.rip = codeSizeOf(this.#mode) === 64 ? BigInt.asUintN(64, target) : target & 0xffffffffn
    const found = this.lookup(rec)
    // After a flush, or when this block was dropped, the record is not what it was.
    const isCurrent = generation === this.#generation && i32[rec >>> 2] === handler
    const isRemembered = found !== 0 && this.#isRemembered(found)
    if (isCurrent && isRemembered) i32[(rec + R.REC_LINK) >>> 2] = found
    return found
  }

  /** Blocks that may be linked to have just been entered into the jump cache. */
  #isRemembered(rec: number): boolean {
    const { i32 } = this.memory
    const lo = Number(BigInt.asIntN(32, this.rip + this.#codeBase()))
    const index = (lo ^ (lo >>> 12)) & (JUMP_CACHE_ENTRIES - 1)
    return i32[((this.#jumps + (index << JUMP_CACHE_ENTRY_SHIFT)) >>> 2) + 2] === rec
  }

  // Memory, for emitted code.

  slowRead(rec: number, lo: number, hi: number, size: number): number {
    this.counters.slowAccesses++
    try {
      if ((lo & (PAGE - 1)) + size <= PAGE) {
        const at = this.linear.translate(lo, hi, ACCESS_READ, this.privilege)
        if (at >= 0) return at
      }
      const bounce = this.state + S.BOUNCE
      this.linear.readTo(lo, hi, size, bounce, this.privilege)
      return bounce
    } catch (error) {
      return this.#faulted(error, rec)
    }
  }

  slowWrite(rec: number, lo: number, hi: number, size: number): number {
    this.counters.slowAccesses++
    try {
      this.linear.writeFrom(lo, hi, size, this.state + S.BOUNCE, this.privilege)
      return 1
    } catch (error) {
      return this.#faulted(error, rec)
    }
  }

  slowModify(rec: number, lo: number, hi: number, size: number): number {
    this.counters.slowAccesses++
    try {
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
      return this.#faulted(error, rec)
    }
  }

  commitModify(): void {
    const { lo, hi, size } = this.#modified
    this.linear.writeFrom(lo, hi, size, this.state + S.BOUNCE, this.privilege)
  }

  #faulted(error: unknown, rec: number): number {
    if (!(error instanceof GuestFault)) throw error
    const isStack = error.vector === GP && this.#usesStack(rec)
    this.#recordFault(isStack ? new GuestFault(SS, error.code) : error, rec)
    return 0
  }

  /** Non-canonical addresses are #SS where the stack segment is used. */
  #usesStack(rec: number): boolean {
    return this.memory.u8[rec + R.REC_SEGMENT] === S.SS
  }

  checkSegment(rec: number, offset: number, size: number, segment: number, write: boolean): number {
    if (checkSegmentAccess(this, segment, offset >>> 0, size, write)) return 1
    this.#recordFault(new GuestFault(segment === S.SS ? SS : GP), rec)
    return 0
  }

  /** An exception that emitted code raises. */
  raised(rec: number, vector: number, code: number): void {
    this.#recordFault(new GuestFault(vector, code), rec)
  }

  // Host instructions.

  runHost(rec: number, run: HostInstruction): number {
    this.counters.hostInstructions++
    this.#record = rec
    try {
      if (!run(this)) return 0
      this.set32(S.EXIT, S.EXIT_LOOK)
      this.#refund(rec, true)
      return 1
    } catch (error) {
      if (!(error instanceof GuestFault)) throw error
      this.#recordFault(error, rec)
      return 1
    }
  }

  /** RIP of the running host instruction. */
  get instructionRip(): bigint {
    return this.#ripOf(this.#record)
  }

  /** RIP after the running host instruction. */
  get nextRip(): bigint {
    return this.#ripAfter(this.#record)
  }

  /** The time-stamp counter as this instruction sees it. */
  readTimeStamp(): bigint {
    return this.host.readTsc()
  }

  /** PAUSE: a processor that spins gives way to those it waits for. */
  pause(): void {
    if (++this.#pauses >= PAUSES_TO_YIELD) this.requestExit()
  }

  /** Instructions executed since run() began, the running one not included. */
  get executedInRun(): number {
    return this.#runBudget - this.getI32(S.BUDGET) - this.#withheld
  }

  /** Bytes of the running host instruction's ModRM.reg and rm fields, and its segment. */
  recordField(field: 'reg' | 'rm' | 'segment'): number {
    const offset = field === 'reg' ? R.REC_REG : field === 'rm' ? R.REC_RM : R.REC_SEGMENT
    return this.memory.u8[this.#record + offset] as number
  }

  /** Reads `size` (1, 2, 4, 8) bytes at a linear address. Throws GuestFault. */
  readMemory(linear: bigint, size: number, who: Privilege = this.privilege): bigint {
    const to = this.state + S.BOUNCE
    this.memory.u64[to >>> 3] = 0n
    this.linear.readTo(low(linear), high(linear), size, to, who)
    return this.memory.u64[to >>> 3] as bigint
  }

  /** Writes `size` (1, 2, 4, 8) bytes at a linear address. Throws GuestFault. */
  writeMemory(linear: bigint, size: number, value: bigint, who: Privilege = this.privilege): void {
    const from = this.state + S.BOUNCE
    this.memory.u64[from >>> 3] = BigInt.asUintN(64, value)
    this.linear.writeFrom(low(linear), high(linear), size, from, who)
  }

  /** Copies bytes out of guest memory with the current rights; undefined after a fault. */
  readLinear(address: bigint, length: number): Uint8Array | undefined {
    const out = new Uint8Array(length)
    const bounce = this.state + S.BOUNCE
    try {
      for (let done = 0; done < length; ) {
        const at = address + BigInt(done)
        const piece = Math.min(length - done, 64)
        this.linear.readTo(low(at), high(at), piece, bounce, this.privilege)
        out.set(this.memory.u8.subarray(bounce, bounce + piece), done)
        done += piece
      }
      return out
    } catch (error) {
      if (error instanceof GuestFault) return undefined
      throw error
    }
  }

  /** Copies bytes into guest memory with the current rights; false after a fault. */
  writeLinear(address: bigint, bytes: Uint8Array): boolean {
    const bounce = this.state + S.BOUNCE
    try {
      for (let done = 0; done < bytes.length; ) {
        const at = address + BigInt(done)
        const piece = Math.min(bytes.length - done, 64)
        this.memory.u8.set(bytes.subarray(done, done + piece), bounce)
        this.linear.writeFrom(low(at), high(at), piece, bounce, this.privilege)
        done += piece
      }
      return true
    } catch (error) {
      if (error instanceof GuestFault) return false
      throw error
    }
  }

  /** Code size of the running mode in bits. */
  get codeSize(): 16 | 32 | 64 {
    return codeSizeOf(this.#mode)
  }

  /** Blocks have been dropped; the copy that this processor may be executing is one of them. */
  dropPartialBlock(): void {
    const { u32 } = this.memory
    for (let i = 0; i < MAX_BLOCK_RECORDS; i++) {
      const at = (this.#partial + i * R.RECORD_SIZE) >>> 2
      if (u32[at] !== HANDLER_STOP) u32[at] = HANDLER_DEAD
    }
  }
}

function hex(value: number): string {
  return `0x${value.toString(16)}`
}

function low(linear: bigint): number {
  return Number(BigInt.asIntN(32, linear))
}

function high(linear: bigint): number {
  return Number(BigInt.asIntN(32, linear >> 32n))
}
