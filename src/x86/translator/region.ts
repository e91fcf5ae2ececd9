// A region as a function of WebAssembly: its nodes as structured control flow, the variables that
// hold registers and flags, its way in and its way out.
//
// A region is entered like any handler: the block that its entry belongs to has been taken from the
// budget. It gives that back and counts for itself, node by node; whether the budget suffices is
// looked at where the region is entered, before branches back and behind calls (nested-calls.ts), for
// the longest way to the next look. On its way out it takes what the interpreter's block asks for.

import type { FunctionBuilder } from '../../wasm/function.ts'
import type { FuncRef } from '../../wasm/graph.ts'
import type { Label, Local, Value } from '../../wasm/value.ts'
import { AccessRuns } from './access-runs.ts'
import type { ExitCounters } from './exit-counters.ts'
import { HANDLER_PARAMS } from '../interpreter/flow.ts'
import { emitHandler } from '../interpreter/handler.ts'
import * as R from '../interpreter/record.ts'
import { CR0_EM, CR0_TS, CR4_OSFXSR } from '../mmu/walker.ts'
import * as S from '../state.ts'
import { RegionEmitter } from './region-emitter.ts'
import { RegionPages } from './region-pages.ts'
import { countTranslated } from './nested-calls.ts'
import type { TranslatorOptions } from './options.ts'
import { FlagVariables, type FlagState, IN_MEMORY, UNKNOWN } from './region-flags.ts'
import { type Instruction, type Node, pageOf, type Plan, type Surroundings } from './region-plan.ts'

/** A place of memory accesses: the page it found last, and what to add to an address there. */
export interface Site {
  readonly page: Local
  readonly addend: Local
}

/** No masked address equals this: bits 11:4 are never set in those. */
const NO_PAGE = 0x10
const MOST_SITES = 16
/** Values and statements of a region: several times what the largest plan takes. */
const MOST_RECORDED = 200_000
/** The parameter that is the state block. */
const CPU = 1

/** What an attempt to emit a region has found out for the next one. */
export class Learned {
  /** Nodes at whose start the flags are wanted in their two variables. */
  readonly #storedAt = new Set<number>()
  /** They are wanted at every node: what wants them lies too far from where they are set. */
  isStoredEverywhere = false
  /** What is recorded grows beyond all proportion. */
  isTooLarge = false
  /** An instruction was found that cannot be translated: the plan has to be another one. */
  isPlanStale = false

  isStoredAt({ start }: Node): boolean {
    return this.isStoredEverywhere || this.#storedAt.has(start)
  }

  /** What can be told before the first attempt: who wants the flags as its node found them. */
  expect({ nodes }: Plan): void {
    const passing = new Set<Node>()
    for (const node of nodes.toReversed()) {
      const first = node.instructions.find(({ handler: h }) => h.setsFlags || h.wantsStoredFlags)
      if (first && !first.handler.wantsStoredFlags) continue
      const isNext = (to: Node) =>
        !to.isMerge && !to.isLoop && !to.isContinuation && passing.has(to)
      if (!first && !node.continuation && ![...node.targets.values()].some(isNext)) continue
      passing.add(node)
      if (node.isMerge || node.isLoop) this.wantStoredAt(node)
    }
  }

  wantStoredAt({ start }: Node): void {
    this.#storedAt.add(start)
  }
}

export interface RegionContext {
  /** Where it keeps what it knows of other pages, and what looks for those. */
  readonly pagesAt: number
  readonly pageFinder: FuncRef
  /** What calls the handler of a record: see nested-calls.ts. */
  readonly nestedCall: FuncRef
  readonly memory: R.RecordMemory
  readonly options: TranslatorOptions
  readonly find: Surroundings['find']
  /** The instruction of a record, for those who count. */
  readonly nameOf: (rec: number) => string
  /** Counts the ways out. */
  readonly exits?: ExitCounters | undefined
}

export class Region {
  readonly f: FunctionBuilder
  readonly memory: R.RecordMemory
  readonly #options: TranslatorOptions
  readonly #nameOf: (rec: number) => string
  readonly learned: Learned
  readonly flagVariables: FlagVariables
  readonly ripBase: Local
  readonly pages: RegionPages
  readonly #nestedCall: FuncRef
  flagState: FlagState = IN_MEMORY
  /** Records behind instructions that the interpreter executes: where control comes back. */
  readonly continuations = new Set<number>()
  /** What was emitted is not good: another attempt knows more. */
  isIncomplete = false
  readonly plan: Plan
  readonly #find: Surroundings['find']
  readonly #exits: ExitCounters | undefined
  /** Where variables get their first values. */
  readonly #prologue: Value
  /** Variables of the registers that are used; those that are written have a bit set. */
  readonly #registers: (Local | undefined)[] = []
  readonly #vectors: (Local | undefined)[] = []
  #written = 0
  #writtenVectors = 0
  readonly #budget: Local
  readonly #nextRec: Local
  readonly #nextHandler: Local
  /** What the SSE unit depends on, if it is needed; 0 else. */
  readonly #cr0: Local
  readonly #cr4: Local
  readonly #neededCr4: Local
  #needsSse = false
  /** RETURN_RIP as it was at first, if it is needed. */
  #returnRip: Local | undefined
  #isReturning = false
  /** Where all that is written has to be stored, and all that is used to be loaded again. */
  readonly #spills: Value[] = []
  readonly #reloads: Value[] = []
  /** Where what sites remember does not hold any more. */
  readonly #forgettings: Value[] = []
  readonly #sites = new Map<string, Site>()
  readonly #runs = new Map<Node, AccessRuns>()
  /** Where branches back to a loop go, and where branches forward to a merge. */
  readonly #loops = new Map<Node, Map<Node, Label>>()
  readonly #forward = new Map<Node, Label>()
  /** Where ways out lead: with the flags in the variables, and with them in the state block. */
  #outside: Label | undefined
  #settled: Label | undefined
  /** Where a call leads that did not come back as it should: everything is stored. */
  #abandoned: Label | undefined

  constructor(f: FunctionBuilder, plan: Plan, learned: Learned, context: RegionContext) {
    this.f = f
    this.plan = plan
    this.learned = learned
    this.memory = context.memory
    this.#options = context.options
    this.#find = context.find
    this.#nameOf = context.nameOf
    this.#nestedCall = context.nestedCall
    this.#exits = context.exits
    this.flagVariables = new FlagVariables(f)
    this.ripBase = f.local('i64')
    this.pages = new RegionPages(f, context.pagesAt, context.pageFinder)
    this.#budget = f.local('i32')
    this.#nextRec = f.local('i32')
    this.#nextHandler = f.local('i32')
    this.#cr0 = f.local('i32')
    this.#cr4 = f.local('i32')
    this.#neededCr4 = f.local('i32')
    this.#prologue = f.place()
  }

  /** Emits the function. False: it is no good, try again. */
  emit(): boolean {
    const { f } = this
    const cpu = f.param(CPU)
    this.#enter(cpu)
    f.block((abandoned) => {
      this.#abandoned = abandoned
      f.block((settled) => {
        this.#settled = settled
        f.block((outside) => {
          this.#outside = outside
          this.#start()
        })
        const [first] = this.plan.entry.instructions as [Instruction]
        new RegionEmitter(this, this.plan.entry, first, 0).regionFlags.toStateBlock()
      })
      this.#leaveFunction(cpu)
    })
    f.ret()
    this.#fillPlaces()
    return !this.isIncomplete
  }

  #enter(cpu: Value): void {
    const { f } = this
    f.set(this.ripBase, f.load('i64.load', cpu, S.RIP_BASE))
    const left = f.load('i32.load8_u', f.param(0), R.REC_LEFT)
    f.set(this.#budget, f.add(f.load('i32.load', cpu, S.BUDGET), left))
    countTranslated(f, cpu, f.extendU(f.get(this.#budget)))
    if (this.plan.nodes.some(leavesPage)) this.pages.enter(cpu, f.get(this.ripBase))
  }

  #leaveFunction(cpu: Value): void {
    const { f } = this
    this.#storeRegisters(f.place())
    const [first] = this.plan.entry.instructions as [Instruction]
    const rec = f.get(this.#nextRec)
    const budget = f.get(this.#budget)
    countTranslated(f, cpu, f.sub(f.i64(0), f.extendU(budget)))
    if (this.#isReturning) {
      f.if(f.eqz(rec), () => {
        f.store('i32.store', cpu, budget, S.BUDGET)
        f.store('i64.store', cpu, f.i64(S.NO_RETURN), S.RETURN_RIP)
        f.ret()
      })
    }
    // What goes on behind a block is no instruction and has no length; it is not taken.
    const isInstruction = f.load('i32.load8_u', rec, R.REC_LENGTH)
    const asked = f.select(isInstruction, f.load('i32.load8_u', rec, R.REC_LEFT), f.i32(0))
    const left = f.sub(budget, asked)
    f.if(
      f.ltS(left, f.i32(0)),
      () => {
        f.store('i32.store', cpu, budget, S.BUDGET)
        const length = f.load('i64.load8_u', rec, R.REC_LENGTH)
        const offset = f.sub(f.load('i64.load16_u', rec, R.REC_END), length)
        const rip = f.add(f.load('i64.load', cpu, S.RIP_BASE), offset)
        const is64 = first.handler.shape.codeSize === 64
        f.store('i64.store', cpu, is64 ? rip : f.and(rip, f.i64(0xffffffffn)), S.RIP)
        f.store('i32.store', cpu, f.i32(S.EXIT_BUDGET), S.EXIT)
        f.ret()
      },
      undefined,
      'unlikely',
    )
    f.store('i32.store', cpu, left, S.BUDGET)
    const following = f.load('i32.load', rec, R.RECORD_SIZE + R.REC_HANDLER)
    f.returnCallIndirect(HANDLER_PARAMS, [], f.get(this.#nextHandler), rec, cpu, following)
  }

  // Nodes.

  #start(): void {
    const { entry } = this.plan
    const [first] = entry.instructions as [Instruction]
    const e = new RegionEmitter(this, entry, first, 0)
    this.f.if(
      this.#isSseOff(),
      () => this.retreat(e, first.rec, first.handler.alone, 'sse'),
      undefined,
      'unlikely',
    )
    this.#look(e, entry)
    if (this.learned.isStoredAt(entry)) e.regionFlags.flushStored()
    if (entry.isLoop) this.flagState = this.#stateAt(entry)
    this.#tree(entry)
  }

  #tree(node: Node): void {
    const merges = node.children.filter(({ isMerge }) => isMerge)
    merges.sort((a, b) => b.order - a.order)
    this.#inLoops(node, node.backs, () => this.#within(node, merges))
  }

  /** Loops with one start lie in each other: what only an outer one changes is fixed in the inner. */
  #inLoops(node: Node, [backs, ...inner]: Node['backs'], body: () => void): void {
    if (!backs) return body()
    const labels = this.#loops.getOrInsertComputed(node, () => new Map())
    this.f.loop((again) => {
      for (const from of backs) labels.set(from, again)
      this.#inLoops(node, inner, body)
    })
  }

  /** The node, with those that it dominates and that several edges lead to behind it. */
  #within(node: Node, merges: readonly Node[]): void {
    const [last, ...rest] = merges
    if (!last) return this.#body(node)
    this.f.block((end) => {
      this.#forward.set(last, end)
      this.#within(node, rest)
    })
    this.flagState = this.#stateAt(last)
    this.#tree(last)
  }

  /** The flags at the start of a node that is reached by a branch. */
  #stateAt(node: Node): FlagState {
    return this.learned.isStoredAt(node) ? { kind: 'stored' } : UNKNOWN
  }

  wantStoredAtStart(node: Node): void {
    this.learned.wantStoredAt(node)
    this.isIncomplete = true
  }

  #body(node: Node): void {
    const { f } = this
    if (f.size > MOST_RECORDED) {
      this.learned.isTooLarge = true
      this.isIncomplete = true
      f.unreachable()
    }
    const [first] = node.instructions as [Instruction]
    if (node.isContinuation) this.#look(new RegionEmitter(this, node, first, 0), node)
    if (node.count > 0) f.set(this.#budget, f.sub(f.get(this.#budget), f.i32(node.count)))
    let last: RegionEmitter | undefined
    for (const [i, instruction] of node.instructions.entries()) {
      if (!f.isLive) return
      last = new RegionEmitter(this, node, instruction, i)
      last.prepare()
      emitHandler(last, instruction.handler)
      const { handler, rec } = instruction
      if (!f.isLive && !handler.row.attributes.has('end')) this.#continueBehind(node, rec)
    }
    if (!last || !f.isLive) return
    const { next } = node
    // On another page, where a branch may lead as well, nobody has looked.
    const isHere = next !== undefined && pageOf(next) === pageOf(node.start)
    if (isHere && this.leadsTo(node, next)) return this.edge(last, next)
    if (next === undefined) this.#continueBehind(node, node.stop)
    this.leave(last, f.i32(node.stop), this.#stopOf(node), pageOf(node.start))
  }

  /** Leaves the region before a node if the budget may not suffice up to the next look. */
  #look(e: RegionEmitter, { instructions, cost, start }: Node): void {
    const { f } = this
    const [{ rec, handler }] = instructions as [Instruction]
    f.if(
      f.ltS(f.get(this.#budget), f.i32(cost)),
      () => this.retreat(e, rec, handler.alone, 'budget', pageOf(start)),
      undefined,
      'unlikely',
    )
  }

  /** Another region may begin behind an instruction, if it lies on the page of this one's entry. */
  #continueBehind(node: Node, rec: number): void {
    if (pageOf(node.start) === 0) this.continuations.add(rec + R.RECORD_SIZE)
  }

  /** i32: not 0 if the SSE unit cannot be used, and has to be. */
  #isSseOff(): Value {
    const { f } = this
    const isOff = f.and(f.get(this.#cr0), f.i32(CR0_EM | CR0_TS))
    const isMissing = f.and(f.get(this.#neededCr4), f.not(f.get(this.#cr4)))
    return f.ne(f.or(isOff, isMissing), f.i32(0))
  }

  /** An instruction needs the SSE unit: that is looked at where the region is entered. */
  needSse(): void {
    if (this.#needsSse) return
    this.#needsSse = true
    this.f.loadAt(this.#prologue, this.#cr0, 'i32.load', CPU, S.CR0)
    this.f.loadAt(this.#prologue, this.#cr4, 'i32.load', CPU, S.CR4)
    this.f.setAt(this.#prologue, this.#neededCr4, this.f.i32(CR4_OSFXSR))
  }

  #stopOf({ stop }: Node): string {
    return `stop: ${this.#nameOf(stop)}`
  }

  /** Is it known what lies at a page offset that the node goes on at. */
  leadsTo(node: Node, offset: number): boolean {
    return node.targets.has(offset) || this.recordAt(node, offset) !== 0
  }

  /** A record at an offset on another page, which has to be looked for when this runs; 0 if unknown. */
  find(offset: number): number {
    return this.#options.hasLinks ? this.#find(offset, false) : 0
  }

  /** Only on the page of the entry is it certain that what is known lies there when this runs. */
  recordAt(node: Node, offset: number): number {
    if (pageOf(offset) !== pageOf(node.start) || !this.#options.hasLinks) return 0
    return this.plan.records.get(offset) ?? this.#find(offset, false)
  }

  /** Goes on at a page offset. Ends the path. */
  edge(e: RegionEmitter, offset: number): void {
    const { f } = this
    const to = e.node.targets.get(offset)
    if (!to) {
      return this.leave(e, f.i32(this.recordAt(e.node, offset)), 'branch', pageOf(offset))
    }
    const before = this.flagState
    const isBack = to.order <= e.node.order
    // Here it is known what the flags are: often the loop has no other use for them at its start.
    if (isBack && !to.isContinuation) this.#look(e, to)
    if (this.learned.isStoredAt(to)) e.regionFlags.flushStored()
    else if (isBack || to.isMerge || to.isLoop) e.regionFlags.flush()
    if (isBack) f.br(this.#loops.get(to)?.get(e.node) as Label)
    else if (to.isMerge) f.br(this.#forward.get(to) as Label)
    else {
      if (to.isLoop) this.flagState = this.#stateAt(to)
      this.#tree(to)
    }
    this.flagState = before
  }

  // Calls.

  /**
   * Runs the record that a CALL leads to, and goes on when a RET has come to the RIP behind the CALL.
   * `page`: as in leave.
   */
  call(e: RegionEmitter, rec: Value, back: Value, page = 0): void {
    const { f } = this
    const cpu = f.param(CPU)
    if (!e.regionFlags.settle()) this.wantStoredAtStart(e.node)
    f.store('i32.store', cpu, f.get(this.#budget), S.BUDGET)
    this.#setBase(page)
    this.#spills.push(f.place())
    const hasReturned = f.call(this.#nestedCall, rec, cpu, f.get(this.ripBase), back)
    f.brIf(this.#abandoned as Label, f.eqz(hasReturned), 'unlikely')
    this.#reloads.push(f.place())
    f.set(this.#budget, f.load('i32.load', cpu, S.BUDGET))
    this.flagState = IN_MEMORY
  }

  /** i64: where a RET has to go to come back to the region that called this one. */
  get returnRip(): Value {
    if (!this.#returnRip) {
      this.#returnRip = this.f.local('i64')
      this.f.loadAt(this.#prologue, this.#returnRip, 'i64.load', CPU, S.RETURN_RIP)
    }
    return this.f.get(this.#returnRip)
  }

  /** Comes back to the region that called this one. Ends the path. */
  return(e: RegionEmitter): void {
    this.#isReturning = true
    const isSettled = e.regionFlags.settle()
    const none = this.f.i32(0)
    this.#goOn(none, none, 'return', 0, isSettled ? this.#settled : this.#outside)
  }

  /** Now that it is known which registers and sites there are, calls store and load them. */
  #fillPlaces(): void {
    for (const place of this.#spills) this.#storeRegisters(place)
    for (const place of this.#reloads) {
      for (const [n, local] of this.#registers.entries()) {
        if (local) this.f.loadAt(place, local, 'i64.load', CPU, S.GPR + n * 8)
      }
      for (const [n, local] of this.#vectors.entries()) {
        if (local) this.f.loadAt(place, local, 'v128.load', CPU, S.VECTORS + n * S.VECTOR_SIZE)
      }
    }
    for (const place of [...this.#reloads, ...this.#forgettings]) {
      for (const { page } of this.#sites.values()) this.f.setAt(place, page, this.f.i64(NO_PAGE))
    }
  }

  #storeRegisters(place: Value): void {
    const { f } = this
    for (const [n, local] of this.#registers.entries()) {
      if (!local || !(this.#written & (1 << n))) continue
      f.storeAt(place, local, 'i64.store', CPU, S.GPR + n * 8)
    }
    for (const [n, local] of this.#vectors.entries()) {
      if (!local || !(this.#writtenVectors & (1 << n))) continue
      f.storeAt(place, local, 'v128.store', CPU, S.VECTORS + n * S.VECTOR_SIZE)
    }
  }

  // Leaving.

  /** Gives back instructions that were counted and have not run. */
  refund(count: number): void {
    const { f } = this
    if (count > 0) f.set(this.#budget, f.add(f.get(this.#budget), f.i32(count)))
  }

  /** Goes on with the handler of a record, as it is expected. Ends the path. As retreat. */
  leave(e: RegionEmitter, rec: Value, why: string, page = 0): void {
    const isSettled = e.regionFlags.settle()
    const handler = this.f.load('i32.load', rec, R.REC_HANDLER)
    this.#goOn(rec, handler, why, page, isSettled ? this.#settled : this.#outside)
  }

  /**
   * Goes on with a record, by a handler, against expectation. Ends the path. `why`: for those who
   * count; `page`: offset of the record's page, if RIP_BASE is not that already.
   */
  retreat(e: RegionEmitter, rec: number, handler: number, why: string, page = 0): void {
    e.regionFlags.flush()
    this.#goOn(this.f.i32(rec), this.f.i32(handler), why, page, this.#outside)
  }

  #goOn(rec: Value, handler: Value, why: string, page: number, out: Label | undefined): void {
    const { f } = this
    this.#exits?.emit(f, why)
    this.#setBase(page)
    f.set(this.#nextRec, rec)
    f.set(this.#nextHandler, handler)
    if (out) f.br(out)
  }

  /** RIP_BASE is that of another page. */
  #setBase(page: number): void {
    if (page === 0) return
    const { f } = this
    // On other paths nothing has happened yet.
    const { hasEffects } = f
    f.store('i64.store', f.param(CPU), f.add(f.get(this.ripBase), f.i64(page)), S.RIP_BASE)
    f.hasEffects = hasEffects
  }

  // Variables.

  /** The variable of a general register. */
  register(number: number): Local {
    const known = this.#registers[number]
    if (known) return known
    const local = this.f.local('i64')
    this.f.loadAt(this.#prologue, local, 'i64.load', CPU, S.GPR + number * 8)
    this.#registers[number] = local
    return local
  }

  /** The same, to be written. */
  written(number: number): Local {
    this.#written |= 1 << number
    return this.register(number)
  }

  /** The variable of a vector register: of its lowest 128 bits. */
  vector(number: number): Local {
    const known = this.#vectors[number]
    if (known) return known
    const local = this.f.local('v128')
    const offset = S.VECTORS + number * S.VECTOR_SIZE
    this.f.loadAt(this.#prologue, local, 'v128.load', CPU, offset)
    this.#vectors[number] = local
    return local
  }

  /** The same, to be written. */
  writtenVector(number: number): Local {
    this.#writtenVectors |= 1 << number
    return this.vector(number)
  }

  /** The rights of accesses are others from here on: no site knows a page. */
  forgetSites(): void {
    this.#forgettings.push(this.f.place())
  }

  /** The runs of accesses in a node. */
  runsOf(node: Node): AccessRuns {
    return this.#runs.getOrInsertComputed(node, () => {
      const instructions = this.#options.hasSites ? node.instructions : []
      return new AccessRuns(instructions, this.memory)
    })
  }

  /** The site of a key, undefined if there are too many, or none at all. */
  site(key: string | undefined): Site | undefined {
    if (key === undefined || !this.#options.hasSites) return undefined
    const known = this.#sites.get(key)
    if (known || this.#sites.size >= MOST_SITES) return known
    const { f } = this
    const site = { page: f.local('i64'), addend: f.local('i32') }
    f.setAt(this.#prologue, site.page, f.i64(NO_PAGE))
    this.#sites.set(key, site)
    return site
  }
}

/** Does a node lie on another page than the entry, or branch to one directly. */
function leavesPage({ start, instructions }: Node): boolean {
  const page = pageOf(start)
  return page !== 0 || instructions.some(({ target = page }) => pageOf(target) !== page)
}
