// A virtual processor: its run loop, and what emitted code needs done in TypeScript on its
// behalf. Emitted code runs until the budget is used up, a fault occurs, or something wants a
// look; the loop then delivers what has to be delivered and goes on. Why this file is long: the run
// loop and what it is called back for share their state at every step.

import type { CpuHost } from './cpu-host.ts'
import { CpuMemory } from './cpu-memory.ts'
import type { Engine } from './engine.ts'
import { GuestFault } from './guest-fault.ts'
import type { HostInstruction } from './host-instruction.ts'
import { MAX_BLOCK_RECORDS } from './interpreter/block-builder.ts'
import type { Block } from './interpreter/code-cache.ts'
import { HANDLER_DEAD, HANDLER_STOP } from './interpreter/handlers.ts'
import { JumpCache } from './interpreter/jump-cache.ts'
import * as R from './interpreter/record.ts'
import {
  FAULTED,
  LinearMemory,
  type Privilege,
  SUPERVISOR,
  SUPERVISOR_AC,
  USER,
  USER_ALIGNED,
} from './mmu/linear-memory.ts'
import { Tlb } from './mmu/tlb.ts'
import { ACCESS_FETCH, CR0_AM, Walker } from './mmu/walker.ts'
import { codeSizeOf } from './mode.ts'
import { FLAG_AC, FLAG_IF, FLAG_RF, FLAG_TF } from './registers.ts'
import * as S from './state.ts'
import { Sampler } from './translator/sampler.ts'
import type { LinearCode } from './translator/translator.ts'
import { currentMode } from './system/current-mode.ts'
import {
  checkInstructionBreakpoint,
  DR6_BS,
  hasDataBreakpoints,
  hasInstructionBreakpoints,
  raiseDebug,
} from './system/debug-registers.ts'
import { deliverException, deliverInterrupt, deliverNmi, TripleFault } from './system/exceptions.ts'

const GP = 13
const PAGE = 4096
/** Elements that one execution of a repeated string instruction processes at most. */
const REP_CHUNK = 4096
/** Upper half of a SHADOW_RIP that no RIP can equal. */
const NO_SHADOW = 0x80000000 | 0
/** What a turn may cost beyond its instructions, in accesses that need a closer look. */
const MAX_EFFORT = 50_000
/** What it takes to forget a page, which may be a large one. */
const FORGET_PAGE_EFFORT = 20
/** Bytes from a branch to the farthest target that is noted. */
const FARTHEST_TARGET = 2 ** 31
/** PAUSEs in one run after which the rest of it is given up. */
const PAUSES_TO_YIELD = 32

export interface RunResult {
  /** Instructions that were executed. */
  readonly executed: number
  /** The budget is used up; HLT; a triple fault; or a callback asked to stop. */
  readonly reason: 'budget' | 'halt' | 'shutdown' | 'exit'
}

export class Cpu extends CpuMemory {
  readonly host: CpuHost
  override readonly engine: Engine
  readonly tlb: Tlb
  readonly walker: Walker
  override readonly linear: LinearMemory
  /** CPUID features by which instructions exist or not. */
  readonly features: ReadonlySet<string>
  /** Waiting for an interrupt. */
  isHalted = false
  /** Interrupts are held off for one instruction (after STI, MOV SS). */
  hasShadow = false
  /** So are debug exceptions (after MOV SS and POP SS). */
  hasStackShadow = false
  /** An NMI is being handled: further ones wait for IRET. */
  isNmiBlocked = false
  /** Why the processor shut down, after a triple fault. */
  shutdownCause = ''
  /** The name that people have for the kernel's code at a linear address, if there is one. */
  symbolAt: ((address: bigint) => string | undefined) | undefined
  readonly #jumps: JumpCache
  readonly #partial: number
  /** Records of the copy there, until blocks are dropped. */
  #partialRecords = 0
  /** The code that was looked up last is global. */
  #isGlobal = false
  /** Limit of the code segment outside 64-bit mode: what the jump cache holds keeps to it. */
  #codeLimit = 0xffffffff
  #hasCodeBreakpoints = false
  /** The running instruction is none that single steps stop after. */
  #isUnstepped = false
  /** The block that was looked up last goes on in the next page. */
  #isCrossing = false
  #mode = 0
  #wantsExit = false
  #effort = 0
  #pauses = 0
  #runBudget = 0
  /** Budget taken away to make emitted code come back soon. */
  #withheld = 0
  /** Budget of this run that emitted code gets in later slices, so that what runs is seen. */
  #reserve = 0
  readonly #sampler: Sampler
  override readonly counters = {
    instructions: 0,
    lookups: 0,
    faults: 0,
    interrupts: 0,
    hostInstructions: 0,
    slowAccesses: 0,
  }

  constructor(engine: Engine, host: CpuHost, features: ReadonlySet<string>) {
    super(engine.memory)
    this.engine = engine
    this.#sampler = new Sampler(engine.policy)
    this.host = host
    this.features = features
    this.tlb = new Tlb(engine.memory, engine.storeRights)
    this.walker = new Walker(engine.memory, host, (at) => engine.written(at, 8))
    this.linear = new LinearMemory(engine.memory, this.walker, this.tlb, engine.code, host)
    this.#jumps = new JumpCache(engine.memory)
    this.#partial = engine.memory.allocate(MAX_BLOCK_RECORDS * R.RECORD_SIZE, 64, 'partial block')
    this.set32(S.JUMP_CACHE, this.#jumps.base)
    this.set32(S.SHADOW_RIP + 4, NO_SHADOW)
    this.set32(S.REP_CHUNK, REP_CHUNK)
    engine.register(this)
    this.codeChanged()
    this.modeChanged()
  }

  // What instructions change beyond registers.

  /** Privilege, RFLAGS.AC, control registers or segments have changed. */
  modeChanged(): void {
    const isUser = this.cpl === 3
    this.#mode = currentMode(this)
    const limit = codeSizeOf(this.#mode) === 64 ? 0xffffffff : this.segmentLimit(S.CS)
    if (limit !== this.#codeLimit) {
      this.#codeLimit = limit
      this.#jumps.forget()
      this.codeChanged()
    }
    this.set32(S.JUMP_KEY, this.#jumps.keyOf(this.#mode, isUser))
    const dr7 = this.getI32(S.DR + 7 * 8)
    this.#hasCodeBreakpoints = hasInstructionBreakpoints(dr7)
    this.isWatching = hasDataBreakpoints(dr7)
    // Watched accesses find no entry, so that each gets a closer look.
    const base = (who: Privilege) => this.tlb.contextBase(this.isWatching ? -1 : who.context)
    this.set32(S.TLB_WITHOUT_AC, base(SUPERVISOR))
    this.set32(S.TLB_WITH_AC, base(SUPERVISOR_AC))
    this.set32(S.TLB_USER, base(USER))
    this.set32(S.TLB_BASE, base(this.privilege))
  }

  /** Whose rights loads and stores of the running code have. */
  override get privilege(): Privilege {
    const hasAc = (this.getI32(S.RFLAGS) & FLAG_AC) !== 0
    if (this.cpl === 3) return hasAc && this.cr0 & CR0_AM ? USER_ALIGNED : USER
    return hasAc ? SUPERVISOR_AC : SUPERVISOR
  }

  /** Code may lie elsewhere now: mappings or decoded blocks have changed. */
  forgetJumps(): void {
    this.#jumps.forget()
    this.codeChanged()
    this.modeChanged()
  }

  /** What is known of where code lies may not hold any more. */
  codeChanged(): void {
    this.set32(S.CODE_EPOCH, this.engine.nextEpoch())
  }

  /** Forgets all translations (a write to CR3, among others). */
  flushTlb(): void {
    this.tlb.flush()
    this.forgetJumps()
  }

  /** Forgets translations that are not global: the address space changes. */
  flushLocal(): void {
    this.tlb.flushLocal()
    this.codeChanged()
    if (!this.#jumps.forgetLocal()) this.modeChanged()
  }

  /** Forgets the translation of one page; of all of a large page (INVLPG). */
  flushPage(lo: number): void {
    this.exert(FORGET_PAGE_EFFORT)
    const isLarge = this.tlb.flushPage(lo)
    this.codeChanged()
    if (isLarge) this.forgetJumps()
    else this.#jumps.forgetPage(lo >>> 12)
  }

  /** After MOV SS and POP SS: neither interrupts nor debug exceptions before the next one. */
  shadowStackLoad(): void {
    this.hasShadow = true
    this.hasStackShadow = true
  }

  /** The running instruction (INT n, SYSCALL) ends without a single-step trap. */
  skipSingleStep(): void {
    this.#isUnstepped = true
  }

  // What the outside asks.

  /** Leave run() after the current instruction, or soon after. */
  requestExit(): void {
    this.#wantsExit = true
    this.#kick()
  }

  /**
   * The host has worked for this processor: `effort` is in accesses that need a closer look (some
   * hundred nanoseconds each). Who makes too much work ends its turn early, or a turn of a hundred
   * microseconds could take minutes. What counts must not depend on how code is executed, or turns
   * would end elsewhere: not the misses of caches, nor host instructions, some of which have a quick
   * way that asks the jump cache. A turn that is full of these lasts a fifth of a second at most.
   */
  override exert(effort: number): void {
    this.#effort += effort
    if (this.isExhausted) this.requestExit()
  }

  /** The turn is over, whatever the budget. */
  get isExhausted(): boolean {
    return this.#effort >= MAX_EFFORT
  }

  /** A new turn begins. */
  rest(): void {
    this.#effort = 0
  }

  /** Gives back what it has of the host. It must not run again. */
  retire(): void {
    this.engine.unregister(this)
    this.tlb.retire()
    const areas = [this.state, this.#jumps.base, this.#partial]
    for (const area of areas) this.memory.release(area)
  }

  /** The answer of CpuHost.pendingInterrupt or takeNmi may have changed. */
  interruptsChanged(): void {
    this.set32(S.ATTENTION, 1)
    this.#kick()
  }

  /** Makes emitted code come back behind the running instruction. */
  #kick(): void {
    this.set32(S.KICKED, 1)
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
    this.#reserve = maxInstructions
    this.set32(S.BUDGET, 0)
    this.set32(S.EXIT, 0)
    this.#nextSlice()
    const translatedBefore = this.getI32(S.TRANSLATED)
    const result = (reason: RunResult['reason']): RunResult => {
      const executed = this.#taken
      this.#sampler.giveBack(maxInstructions - this.#reserve - executed)
      this.set32(S.BUDGET, 0)
      this.#withheld = 0
      this.#reserve = 0
      this.#runBudget = 0
      this.counters.instructions += executed
      const translated = (this.getI32(S.TRANSLATED) - translatedBefore) | 0
      this.engine.handlers.interpreted(executed - translated)
      return { executed, reason }
    }
    try {
      for (;;) {
        if (this.getI32(S.ATTENTION)) this.#lookForInterrupts()
        const isResumed = this.#withheld > 0
        if (isResumed) {
          this.set32(S.BUDGET, this.getI32(S.BUDGET) + this.#withheld)
          this.#withheld = 0
        }
        if (this.#wantsExit) return result('exit')
        if (this.isHalted) return result('halt')
        // Where else emitted code comes back to be looked at is no matter of chance.
        const isShort = this.getI32(S.EXIT) === S.EXIT_BUDGET && !isResumed
        const isEnd = isShort || this.getI32(S.BUDGET) <= 0
        if (this.#reserve > 0 && isEnd) {
          this.#nextSlice()
        }
        if (this.getI32(S.BUDGET) <= 0) return result('budget')
        this.#step()
      }
    } catch (error) {
      if (!(error instanceof TripleFault)) throw error
      this.shutdownCause = error.cause
      return result('shutdown')
    }
  }

  /** Instructions taken from the budget of this run, those of the whole running block included. */
  get #taken(): number {
    return this.#runBudget - this.#reserve - this.getI32(S.BUDGET) - this.#withheld
  }

  /** Gives emitted code more of the budget. */
  #nextSlice(): void {
    const size = this.engine.translator.isSlicing
      ? this.#sampler.next(this.#reserve)
      : this.#reserve
    this.#reserve -= size
    this.set32(S.BUDGET, this.getI32(S.BUDGET) + size)
  }

  /** The code around RIP, as far as the jump cache knows it. */
  #linearCode(): LinearCode {
    const page = this.rip & -4096n
    const isUser = this.cpl === 3
    const key = this.getI32(S.JUMP_KEY)
    const { targets } = this.engine.translator
    const halves = (offset: number): [number, number] => {
      const linear = page + BigInt(offset)
      return [Number(BigInt.asIntN(32, linear)), Number(BigInt.asIntN(32, linear >> 32n))]
    }
    return {
      peek: (offset) => {
        const rec = this.#jumps.find(...halves(offset), key)
        return this.memory.u32[rec >>> 2] === HANDLER_DEAD ? 0 : rec
      },
      targetsOf: (end) => {
        const start = Math.floor((end - 1) / PAGE) * PAGE
        return targets.of(...halves(start), end - start).map((target) => start + target)
      },
      nameOf: (offset) => this.#nameOf(page + BigInt(offset), isUser),
    }
  }

  /** What profilers show for code at an address. */
  #nameOf(address: bigint, isUser: boolean): string {
    const symbol = isUser ? undefined : this.symbolAt?.(address)
    return symbol ?? `${isUser ? 'user' : 'kernel'} 0x${address.toString(16)}`
  }

  /** Notes where an indirect branch of 64-bit code went from a RIP_BASE: RIP is there. */
  #noteTarget(rec: number, lo: number, hi: number): void {
    const { handlers, translator } = this.engine
    const { u16, u32 } = this.memory
    if (handlers.at(translator.original(u32[rec >>> 2] as number))?.branch !== 'indirect') return
    if (codeSizeOf(this.#mode) !== 64) return
    const target = (this.getI32(S.RIP + 4) - hi) * 2 ** 32 + this.getU32(S.RIP) - (lo >>> 0)
    if (Math.abs(target) < FARTHEST_TARGET) {
      translator.targets.note(lo, hi, u16[(rec + R.REC_END) >>> 1] as number, target)
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
    this.exert(2)
    deliverInterrupt(this, vector)
  }

  #step(): void {
    const { u8 } = this.memory
    const hadStackShadow = this.hasStackShadow
    this.hasStackShadow = false
    const budget = this.getI32(S.BUDGET)
    // Deliveries count as well, or a handler that cannot be fetched would keep us here.
    this.set32(S.BUDGET, budget - 1)
    if (this.#hasCodeBreakpoints && !hadStackShadow && checkInstructionBreakpoint(this)) return
    const rec = this.#known() || this.lookup(0)
    if (rec === 0) return this.#fault()
    const flags = this.getI32(S.RFLAGS)
    if (flags & FLAG_RF) this.set32(S.RFLAGS, flags & ~FLAG_RF)
    const lo = this.getI32(S.RIP)
    if (codeSizeOf(this.#mode) === 64) this.setWords(S.RIP_BASE, lo & -PAGE, this.getI32(S.RIP + 4))
    else {
      const linearLo = (lo + Number(BigInt.asIntN(32, this.segmentBase(S.CS)))) | 0
      this.setU64(S.RIP_BASE, this.rip - BigInt(linearLo & (PAGE - 1)))
    }
    const isSingle = (flags & FLAG_TF) !== 0 || this.#hasCodeBreakpoints || this.isWatching
    if (isSingle || this.hasShadow) {
      this.#withheld += budget - 1
      this.set32(S.BUDGET, 0)
      return this.#stepOne(rec, flags, lo)
    }
    const left = u8[rec + R.REC_LEFT] as number
    if (left > budget && this.#reserve > 0) {
      this.set32(S.BUDGET, budget)
      this.set32(S.EXIT, S.EXIT_BUDGET)
      return
    }
    let count = Math.min(left, budget)
    if (this.#sampler.drift > 1) {
      this.#sampler.drift--
      this.engine.translator.saw(rec)
      count = Math.min(count, this.#toBranch(rec, left))
      this.#withheld += budget - count
      this.set32(S.BUDGET, 0)
      const [baseLo, baseHi] = [this.getI32(S.RIP_BASE), this.getI32(S.RIP_BASE + 4)]
      this.#enter(count < left ? this.#partialBlock(rec, count) : rec)
      if (this.getI32(S.EXIT) !== S.EXIT_BUDGET) return
      return this.#noteTarget(rec + (count - 1) * R.RECORD_SIZE, baseLo, baseHi)
    }
    this.set32(S.BUDGET, budget - count)
    this.#enter(count < left ? this.#partialBlock(rec, count) : rec)
  }

  /** First record of the block at RIP if the jump cache knows it; 0 if it does not, or if asked. */
  #known(): number {
    if (this.#sampler.drift === 1 || codeSizeOf(this.#mode) !== 64) return 0
    const lo = this.getI32(S.RIP)
    const rec = this.#jumps.find(lo, this.getI32(S.RIP + 4), this.getI32(S.JUMP_KEY))
    // The block may have been dropped since.
    return this.memory.u32[rec >>> 2] === HANDLER_DEAD ? 0 : rec
  }

  /** Runs emitted code and sees to the way it came back. */
  #enter(rec: number): void {
    this.hasShadow = false
    this.set32(S.EXIT, 0)
    this.set32(S.KICKED, 0)
    // NO_RETURN.
    this.setWords(S.RETURN_RIP, -1, -1)
    this.set32(S.CALLS_LEFT, S.MOST_CALLS)
    this.engine.enter(this, rec)
    const exit = this.getI32(S.EXIT)
    // A RET that nobody waited for.
    if (exit === 0) this.setU64(S.RIP, BigInt.asUintN(64, S.NO_RETURN))
    if (exit === S.EXIT_FAULT) return this.#fault()
    if (exit === S.EXIT_DEAD || exit === S.EXIT_KICKED) this.#leaveBefore()
    if (
      this.getI32(S.SHADOW_RIP) === this.getI32(S.RIP) &&
      this.getI32(S.SHADOW_RIP + 4) === this.getI32(S.RIP + 4)
    ) {
      this.hasShadow = true
      this.set32(S.SHADOW_RIP + 4, NO_SHADOW)
    }
  }

  /** Runs one instruction, with the debug exceptions that may follow it. */
  #stepOne(rec: number, flags: number, ripLow: number): void {
    this.#isUnstepped = false
    const isStepped = (flags & FLAG_TF) !== 0
    const isWhole = this.memory.u8[rec + R.REC_LEFT] === 1
    // One element at a time: traps come after each.
    if (isStepped || this.isWatching) this.set32(S.REP_CHUNK, 1)
    this.#enter(isWhole ? rec : this.#partialBlock(rec, 1))
    this.set32(S.REP_CHUNK, REP_CHUNK)
    const exit = this.getI32(S.EXIT)
    if (exit === S.EXIT_FAULT || exit === S.EXIT_DEAD) {
      this.debugHits = 0
      return
    }
    // A string instruction that goes on has been resumed once and for all.
    if (flags & FLAG_RF && this.getI32(S.RIP) === ripLow) {
      this.set32(S.RFLAGS, this.getI32(S.RFLAGS) | FLAG_RF)
    }
    if (this.hasStackShadow) return
    const causes = this.debugHits | (isStepped && !this.#isUnstepped ? DR6_BS : 0)
    this.debugHits = 0
    if (causes !== 0) raiseDebug(this, causes)
  }

  #codeBase(): bigint {
    return codeSizeOf(this.#mode) === 64 ? 0n : this.segmentBase(S.CS)
  }

  /** Instructions of a block up to and with its first branch. */
  #toBranch(rec: number, left: number): number {
    const { u32 } = this.memory
    const { handlers, translator } = this.engine
    for (let i = 0; i < left; i++) {
      const index = translator.original(u32[(rec + i * R.RECORD_SIZE) >>> 2] as number)
      if (handlers.at(index)?.branch === 'direct') return i + 1
    }
    return left
  }

  /** A copy of the first `count` records of a block that stops after them. */
  #partialBlock(rec: number, count: number): number {
    const { u8, u16, u32 } = this.memory
    const at = this.#partial
    this.#partialRecords = count
    u8.copyWithin(at, rec, rec + count * R.RECORD_SIZE)
    const { translator } = this.engine
    for (let i = 0; i < count; i++) {
      const copy = at + i * R.RECORD_SIZE
      u8[copy + R.REC_LEFT] = count - i
      // A region would run on behind the last instruction.
      u32[copy >>> 2] = translator.original(u32[copy >>> 2] as number)
    }
    const last = at + (count - 1) * R.RECORD_SIZE
    const stop = at + count * R.RECORD_SIZE
    u8.fill(0, stop, stop + R.RECORD_SIZE)
    u32[stop >>> 2] = HANDLER_STOP
    u8[stop + R.REC_LEFT] = 1
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

  /** Stores RIP of the instruction of a record plus `more` in a field of the state block. */
  #storeRip(field: number, rec: number, more: number): void {
    if (codeSizeOf(this.#mode) !== 64) return this.setU64(field, this.#ripOf(rec) + BigInt(more))
    const { u8, u16 } = this.memory
    const offset = (u16[(rec + R.REC_END) >>> 1] as number) - (u8[rec + R.REC_LENGTH] as number)
    const base = this.getI32(S.RIP_BASE)
    const lo = (base + offset + more) | 0
    this.setWords(field, lo, this.getI32(S.RIP_BASE + 4) + (lo >>> 0 < base >>> 0 ? 1 : 0))
  }

  /** Gives back the instructions of a block from a record on, or after it. */
  #refund(rec: number, isDone: boolean): void {
    const { u8 } = this.memory
    // What goes on behind a block is no instruction and has no length; it was never taken.
    const isCounted = u8[rec + R.REC_LENGTH] !== 0
    const left = (u8[rec + R.REC_LEFT] as number) - (isDone || !isCounted ? 1 : 0)
    if (this.#withheld > 0) this.#withheld += left
    else this.set32(S.BUDGET, this.getI32(S.BUDGET) + left)
  }

  /** Emitted code came back before a record that it did not run. */
  #leaveBefore(): void {
    const rec = this.getI32(S.EXIT_RECORD) >>> 0
    this.#storeRip(S.RIP, rec, 0)
    this.#refund(rec, false)
  }

  #fault(): void {
    this.counters.faults++
    this.exert(2)
    const vector = this.getI32(S.FAULT_VECTOR)
    deliverException(this, vector, this.getI32(S.FAULT_CODE))
  }

  protected override recordFault(fault: GuestFault, rec: number): void {
    this.setU64(S.FAULT_ADDRESS, fault.address)
    this.faulted(rec, fault.vector, fault.code, fault.isCommitted)
  }

  protected override faulted(rec: number, vector: number, code: number, isCommitted = false): void {
    this.set32(S.FAULT_VECTOR, vector)
    this.set32(S.FAULT_CODE, code)
    this.set32(S.EXIT, S.EXIT_FAULT)
    if (rec === 0) return
    // An instruction that faults has been executed as far as time is concerned.
    if (!isCommitted) this.#storeRip(S.RIP, rec, 0)
    this.#refund(rec, true)
  }

  // Code.

  /**
   * First record of the block at RIP, for the run loop (`rec` 0) or after the branch `rec`. 0:
   * for the run loop after a fault, which then belongs to RIP; for a branch if the run loop has
   * to look at RIP.
   */
  lookup(rec: number): number {
    this.counters.lookups++
    if (rec !== 0) this.#noteTarget(rec, this.getI32(S.RIP_BASE), this.getI32(S.RIP_BASE + 4))
    if (rec !== 0 && this.#wantsExit) {
      this.#refund(rec, true)
      this.set32(S.EXIT, S.EXIT_LOOK)
      return 0
    }
    const is64 = codeSizeOf(this.#mode) === 64
    const lo = is64 ? this.getI32(S.RIP) : Number(BigInt.asIntN(32, this.rip + this.#codeBase()))
    const hi = is64 ? this.getI32(S.RIP + 4) : 0
    const quick = is64 && !this.#isLookedAt ? this.#hinted(lo, hi) : 0
    if (quick !== 0) return quick
    try {
      if (!is64 && this.getU32(S.RIP) > this.segmentLimit(S.CS)) throw new GuestFault(GP)
      const found = this.#find(lo, hi)
      if (!found) return this.#cannotRun(rec, this.linear.fault())
      const { translator } = this.engine
      if (this.#sampler.drift === 1 && rec === 0) {
        const instructions = this.#sampler.weight
        const linear = () => this.#linearCode()
        const isUser = this.cpl === 3
        this.#sampler.sampled(translator.sample(found, { instructions, isUser, linear }))
      }
      if (translator.isEager && translator.met(found, () => this.#linearCode())) {
        // A region that waits for a callee to return may be gone: it must not go on.
        this.codeChanged()
      }
      this.#jumps.remember(lo, hi, found.rec, this.getI32(S.JUMP_KEY), this.#isGlobal)
      if (found.isCrossing) this.#jumps.markCrossing((lo >>> 12) + 1)
      this.#isCrossing = found.isCrossing
      return found.rec
    } catch (error) {
      if (!(error instanceof GuestFault)) throw error
      return this.#cannotRun(rec, error)
    }
  }

  /** A block that is looked up is of interest to the translator. */
  get #isLookedAt(): boolean {
    return this.#sampler.drift === 1 || this.engine.translator.isEager
  }

  /** As lookup, for a block that was looked up lately and whose page the TLB knows; 0 otherwise. */
  #hinted(lo: number, hi: number): number {
    const { code } = this.tlb
    const host = code.find(lo, hi, this.cpl === 3)
    const rec = host < 0 ? 0 : this.engine.code.hint(host, this.#mode)
    if (rec === 0) return 0
    this.#isGlobal = code.isGlobal
    this.#isCrossing = false
    this.#jumps.remember(lo, hi, rec, this.getI32(S.JUMP_KEY), code.isGlobal)
    return rec
  }

  #cannotRun(rec: number, fault: GuestFault): number {
    if (rec === 0) this.recordFault(fault, 0)
    else {
      this.#refund(rec, true)
      this.set32(S.EXIT, S.EXIT_LOOK)
    }
    return 0
  }

  /** The block at a linear address; undefined after a fault that the memory tells of. */
  #find(lo: number, hi: number): Block | undefined {
    const who = this.privilege
    const host = this.linear.find(lo, hi, ACCESS_FETCH, who)
    if (host === FAULTED) return undefined
    if (host < 0) throw this.#noCode()
    this.#isGlobal = this.tlb.code.isGlobal
    let fault: GuestFault | undefined
    const found = this.engine.code.find(host, this.#mode, this.features, () => {
      const nextLo = ((lo & -PAGE) + PAGE) | 0
      try {
        this.#checkCodeLimit(nextLo)
        const next = this.linear.translate(nextLo, nextLo === 0 ? hi + 1 : hi, ACCESS_FETCH, who)
        this.#isGlobal &&= this.tlb.code.isGlobal
        return next
      } catch (error) {
        if (!(error instanceof GuestFault)) throw error
        fault = error
        return -1
      }
    })
    if (fault) throw fault
    // The instruction goes on where no memory is.
    if (found.rec === 0) throw this.#noCode()
    return found
  }

  /** Outside 64-bit mode: does the code segment reach as far as the start of a page. */
  #checkCodeLimit(lo: number): void {
    if (codeSizeOf(this.#mode) === 64) return
    const offset = (lo - Number(this.#codeBase())) >>> 0
    if (offset > this.segmentLimit(S.CS)) throw new GuestFault(GP)
  }

  #noCode(): TripleFault {
    const where = `guest physical ${hex(this.linear.gpa)}`
    return new TripleFault(`code at RIP 0x${this.rip.toString(16)} (${where}): there is no memory`)
  }

  /** First record of the block that a near branch of a record goes to; links the two. */
  resolve(rec: number): number {
    const { i32 } = this.memory
    const { generation } = this.#jumps
    const handler = i32[rec >>> 2]
    const immediate = (rec + R.REC_IMMEDIATE) >>> 2
    const base = this.getI32(S.RIP_BASE)
    const lo = (base + (i32[immediate] as number)) | 0
    const carry = lo >>> 0 < base >>> 0 ? 1 : 0
    const hi = this.getI32(S.RIP_BASE + 4) + (i32[immediate + 1] as number) + carry
    this.setWords(S.RIP, lo, codeSizeOf(this.#mode) === 64 ? hi : 0)
    const found = this.lookup(rec)
    // After a flush, or when this block was dropped, the record is not what it was.
    const isCurrent = generation === this.#jumps.generation && i32[rec >>> 2] === handler
    // A block that goes on in the next page holds good for this address space only.
    const isFree = this.#isCrossing || !this.engine.options.hasLinks
    const link = isFree ? R.LINK_CROSSING : found
    if (isCurrent && found !== 0) i32[(rec + R.REC_LINK) >>> 2] = link
    return found
  }

  /** An exception that emitted code raises. */
  raised(rec: number, vector: number, code: number): void {
    this.recordFault(new GuestFault(vector, code), rec)
  }

  // Host instructions.

  runHost(rec: number, run: HostInstruction): number {
    this.counters.hostInstructions++
    this.record = rec
    try {
      if (!run(this)) return 0
      this.set32(S.EXIT, S.EXIT_LOOK)
      this.#refund(rec, true)
      return 1
    } catch (error) {
      if (!(error instanceof GuestFault)) throw error
      this.recordFault(error, rec)
      return 1
    } finally {
      this.record = 0
    }
  }

  /** RIP of the running host instruction. */
  get instructionRip(): bigint {
    return this.#ripOf(this.record)
  }

  /** RIP after the running host instruction. */
  get nextRip(): bigint {
    return this.#ripAfter(this.record)
  }

  /** Stores it in a field of the state block. */
  storeNextRip(field: number): void {
    this.#storeRip(field, this.record, this.memory.u8[this.record + R.REC_LENGTH] as number)
  }

  /** The time-stamp counter as this instruction sees it. */
  readTimeStamp(): bigint {
    return this.host.readTsc()
  }

  /** PAUSE: a processor that spins gives way to those it waits for. */
  pause(): void {
    if (++this.#pauses >= PAUSES_TO_YIELD) this.requestExit()
  }

  /**
   * Instructions executed since run() was entered, the running one not included; 0 outside it.
   * The budget is taken for whole blocks: what the running one has left does not count.
   */
  get executedInRun(): number {
    const taken = this.#taken
    return this.record === 0 ? taken : taken - (this.memory.u8[this.record + R.REC_LEFT] as number)
  }

  /** Bytes of the running host instruction's ModRM.reg and rm fields, and its segment. */
  recordField(field: 'reg' | 'rm' | 'segment'): number {
    const offset = field === 'reg' ? R.REC_REG : field === 'rm' ? R.REC_RM : R.REC_SEGMENT
    return this.memory.u8[this.record + offset] as number
  }

  /** Code size of the running mode in bits. */
  get codeSize(): 16 | 32 | 64 {
    return codeSizeOf(this.#mode)
  }

  /** Blocks have been dropped; the copy that this processor may be executing is one of them. */
  blocksDropped(): void {
    this.codeChanged()
    const { u32 } = this.memory
    // Its last record, which stops, stays.
    for (let i = 0; i < this.#partialRecords; i++) {
      u32[(this.#partial + i * R.RECORD_SIZE) >>> 2] = HANDLER_DEAD
    }
    this.#partialRecords = 0
  }
}

function hex(value: number): string {
  return `0x${value.toString(16)}`
}
