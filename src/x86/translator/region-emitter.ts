// The translator's emitter: operands are known. General registers are variables of WebAssembly,
// immediates constants, flags what their producers left (region-flags.ts), and in loops each place of
// memory remembers the page it last found (Site). Nothing is called but what a CALL leads to: whatever
// is not the common case leaves the region before the instruction has changed anything, and is
// interpreted.

import { Bug } from '../../base/errors.ts'
import type { Local, Value } from '../../wasm/value.ts'
import { type AccessKind } from '../emit/memory.ts'
import { FORM_INDEX, type GprOperand, type Operand } from '../emit/operand.ts'
import { STACK_ACCESS } from '../emit/runtime.ts'
import type { LoadOp, StoreOp } from '../../wasm/opcodes.ts'
import type { Flow } from '../interpreter/flow.ts'
import * as R from '../interpreter/record.ts'
import { RecordEmitter } from '../interpreter/record-emitter.ts'
import * as S from '../state.ts'
import { TLB_ADDEND, TLB_READ, TLB_WRITE } from '../mmu/tlb.ts'
import { RegionFlags } from './region-flags.ts'
import { type Instruction, type Node, pageOf } from './region-plan.ts'
import type { Region } from './region.ts'

const GPR_BYTES = 16 * 8
const LARGEST_SITE = 16

export class RegionEmitter extends RecordEmitter {
  readonly region: Region
  readonly node: Node
  readonly instruction: Instruction
  /** Open scopes where the instruction starts. */
  readonly level: number
  /** Instructions of the node that come before this one. */
  readonly #before: number

  constructor(region: Region, node: Node, instruction: Instruction, before: number) {
    const { f } = region
    const { shape } = instruction.handler
    const place = { rec: f.i32(instruction.rec), cpu: f.param(1) }
    super(f, shape, place, undefined, noHostNumber, LEAVES)
    this.region = region
    this.node = node
    this.instruction = instruction
    this.level = f.level
    this.#before = before
    f.hasEffects = false
  }

  protected override createFlags(): RegionFlags {
    return new RegionFlags(this)
  }

  get regionFlags(): RegionFlags {
    return this.flags as RegionFlags
  }

  /** To be called before the instruction is emitted. */
  prepare(): void {
    if (this.instruction.handler.wantsStoredFlags) this.regionFlags.flushStored()
  }

  /** The flags have to be in their two variables before this instruction. */
  wantStored(): void {
    if (this.region.flagState.kind === 'stored') return
    const { handler } = this.instruction
    // If they were, the instruction itself has changed them since.
    if (handler.wantsStoredFlags) this.#exclude()
    handler.wantsStoredFlags = true
    this.region.isIncomplete = true
  }

  // Leaving.

  override get canRetreat(): boolean {
    return !this.f.hasEffects
  }

  /** Leaves the region; the interpreter executes this instruction in its slow form. */
  override retreat(): void {
    const { handler, rec } = this.instruction
    if (!this.f.isLive) return
    this.region.refund(this.node.count - this.#before)
    const why = `retreat: ${handler.row.name} ${handler.row.text}`
    this.region.retreat(this, rec, handler.slow || handler.alone, why, this.#page)
  }

  override callRuntime(): Value {
    if (this.canRetreat) this.retreat()
    else this.#giveUp()
    return this.f.i32(0)
  }

  override leaveIf(condition: Value): void {
    if (condition.constant === 0) return
    if (condition.constant === undefined) throw new Bug('a region has nothing to leave for')
    this.f.unreachable()
  }

  override raise(): void {
    if (this.canRetreat) this.retreat()
    else this.#giveUp()
  }

  override leaveTo(): void {
    if (this.canRetreat) this.retreat()
    else this.#giveUp()
  }

  override host(): void {
    if (this.canRetreat) this.retreat()
    else this.#giveUp()
  }

  override again(): void {
    this.#giveUp()
  }

  override next(): void {}

  /** The instruction cannot be translated; what is emitted now is thrown away. */
  #giveUp(): void {
    this.#exclude()
    this.region.isIncomplete = true
    this.f.unreachable()
  }

  #exclude(): void {
    this.instruction.handler.isUntranslatable = true
    this.region.learned.isPlanStale = true
  }

  // Operands.

  protected override byte(offset: number): Value {
    return this.f.i32(this.#byte(offset))
  }

  #byte(offset: number): number {
    return this.region.memory.u8[this.instruction.rec + offset] as number
  }

  protected override immediate(second: boolean): Value {
    const { view } = this.region.memory
    const { rec } = this.instruction
    return second
      ? this.f.i64(view.getUint32(rec + R.REC_SECOND_IMMEDIATE, true))
      : this.f.i64(view.getBigInt64(rec + R.REC_IMMEDIATE, true))
  }

  protected override displacement(): Value {
    return this.f.i64(this.#displacement())
  }

  #displacement(): number {
    return this.region.memory.view.getInt32(this.instruction.rec + R.REC_DISPLACEMENT, true)
  }

  protected override register(at: number): Value {
    const slot = this.#byte(at)
    if (slot < GPR_BYTES) return this.f.get(this.region.register(slot >> 3))
    if (slot === S.ZERO) return this.f.i64(0)
    if (slot !== S.RIP_BASE) return this.stateLoad('i64.load', slot)
    return this.f.add(this.ripBase, this.f.i64(this.#page))
  }

  protected override get endOffset(): Value {
    return this.f.i64(this.instruction.end)
  }

  /** Offset of the page that the instruction lies on. */
  get #page(): number {
    return pageOf(this.node.start)
  }

  /** RIP_BASE of the page of the region's entry: offsets are relative to that. */
  protected override get ripBase(): Value {
    return this.f.get(this.region.ripBase)
  }

  // General registers.

  #slot(operand: GprOperand): number {
    return this.gprSlot(operand).constant as number
  }

  protected override readGpr(operand: GprOperand): Value {
    const slot = this.#slot(operand)
    const whole = this.f.get(this.region.register(slot >> 3))
    return this.#part(whole, operand.bits, (slot & 7) * 8)
  }

  #part(whole: Value, bits: number, shift: number): Value {
    const { f } = this
    if (bits === 64) return whole
    const low = f.wrap(whole)
    return this.zeroExtend(shift === 0 ? low : f.shrU(low, f.i32(shift)), bits)
  }

  protected override writeGpr(operand: GprOperand, value: Value): void {
    this.f.hasEffects = true
    this.#set(this.#slot(operand), operand.bits, value)
  }

  #set(slot: number, bits: number, value: Value): void {
    const { f } = this
    const local = this.#written(slot >> 3)
    if (bits === 64) return f.set(local, value)
    if (bits === 32) return f.set(local, f.extendU(value))
    const shift = (slot & 7) * 8
    const mask = BigInt((1 << bits) - 1) << BigInt(shift)
    const kept = f.and(f.get(local), f.i64(~mask))
    const part = f.extendU(this.zeroExtend(value, bits))
    f.set(local, f.or(kept, shift === 0 ? part : f.shl(part, f.i64(shift))))
  }

  protected override modifyGpr(operand: GprOperand, change: (old: Value) => Value): Value {
    const old = this.readGpr(operand)
    this.writeGpr(operand, change(old))
    return old
  }

  // Vector registers.

  protected override readVector(operand: Operand): Value {
    const { f } = this
    const whole = f.get(this.region.vector(this.registerNumber(operand).constant as number))
    if (operand.bits === 128) return whole
    return f.lane(operand.bits === 64 ? 'i64x2.extract_lane' : 'i32x4.extract_lane', 0, whole)
  }

  protected override writeVector(operand: Operand, value: Value): void {
    const { f } = this
    const local = this.region.writtenVector(this.registerNumber(operand).constant as number)
    f.hasEffects = true
    if (operand.bits === 128) return f.set(local, value)
    const lane = operand.bits === 64 ? 'i64x2.replace_lane' : 'i32x4.replace_lane'
    f.set(local, f.lane(lane, 0, f.get(local), value))
  }

  override stateLoad(op: LoadOp, offset: number): Value {
    if (offset >= GPR_BYTES) return super.stateLoad(op, offset)
    if (op !== 'i64.load' || offset % 8 !== 0) throw new Bug(`${op} of a register in a region`)
    return this.f.get(this.region.register(offset >> 3))
  }

  override stateStore(op: StoreOp, offset: number, value: Value): void {
    if (offset >= GPR_BYTES) {
      super.stateStore(op, offset, value)
      if (offset === S.TLB_BASE) {
        this.region.forgetSites()
        this.region.runsOf(this.node).end()
      }
      return
    }
    if (op !== 'i64.store' || offset % 8 !== 0) throw new Bug(`${op} of a register in a region`)
    this.f.hasEffects = true
    this.f.set(this.#written(offset >> 3), value)
  }

  /** The variable of a general register, which this instruction writes. */
  #written(number: number): Local {
    this.region.runsOf(this.node).written(number, this.instruction)
    return this.region.written(number)
  }

  // Memory.

  override direct(
    linear: Value,
    size: number,
    tag: number,
    kind: AccessKind = 0,
  ): Value | undefined {
    if (size > LARGEST_SITE || (size & (size - 1)) !== 0) return undefined
    const { f, memory } = this
    const { probe } = memory
    const find = () => probe.found(linear, probe.last(linear, size), tag, () => this.retreat())
    // A page that was found is of use if the access comes again, with no call in between.
    const { loop } = this.node
    const site = loop && !loop.isCalling ? this.region.site(this.#siteKey(tag, kind)) : undefined
    if (!site) return this.#inRun(linear, size, tag) ?? probe.translated(linear, find())
    const mask = f.i64(-4096 | (size - 1))
    f.if(
      f.ne(f.and(linear, mask), f.get(site.page)),
      () => {
        const entry = find()
        f.set(site.page, f.and(linear, f.i64(-4096)))
        f.set(site.addend, f.load('i32.load', entry, TLB_ADDEND))
      },
      undefined,
      'unlikely',
    )
    return f.add(f.wrap(linear), f.get(site.addend))
  }

  /** The host offset of an access that is one of a run. */
  #inRun(linear: Value, size: number, tag: number): Value | undefined {
    const { f, memory, region, node, instruction } = this
    const member = region.runsOf(node).memberOf(instruction)
    if (member?.size !== size || f.level !== this.level) return undefined
    const { run, offset } = member
    if (tag === TLB_WRITE && !run.isWritten) return undefined
    if (!run.addend) {
      const first = f.add(linear, f.i64(run.first - offset))
      const last = memory.probe.last(first, run.end - run.first)
      const all = run.isWritten ? TLB_WRITE : TLB_READ
      const entry = memory.probe.found(first, last, all, () => this.retreat())
      run.addend = f.local('i32')
      f.set(run.addend, f.load('i32.load', entry, TLB_ADDEND))
    }
    return f.add(f.wrap(linear), f.get(run.addend))
  }

  /** Accesses that are likely to be on one page share a site; undefined: none. */
  #siteKey(tag: number, kind: AccessKind): string | undefined {
    if (kind === STACK_ACCESS) return `${tag} ${S.RSP * 8} 0`
    const { row, shape } = this.instruction.handler
    if (row.operands.some(({ kind: form }) => form === 'X' || form === 'Y')) return undefined
    const base = this.#byte(R.REC_BASE)
    if (shape.form >= FORM_INDEX) {
      return `${tag} ${base} ${this.#byte(R.REC_INDEX)} ${this.#byte(R.REC_SEGMENT_BASE)}`
    }
    return `${tag} ${base} ${this.#displacement() >> 12}`
  }

  // Transfers of control.

  override jump(_target: Operand, commit?: () => void): void {
    const { target } = this.instruction
    if (target === undefined) return this.jumpTo(this.branchTarget(), commit)
    const to = this.node.targets.get(target)
    if (to) this.#look(to, () => this.retreat())
    else if (!this.shape.near) return this.#jumpToPage(target, commit)
    else if (!this.region.leadsTo(this.node, target)) return this.#follow(commit)
    commit?.()
    const back = this.node.continuation
    if (!back) return this.region.edge(this, target)
    this.#leave(this.f.i32(this.region.recordAt(this.node, target)), 'branch', pageOf(target))
  }

  /** Goes on with a record that is not of this region; comes back from there if that is a call. */
  #leave(rec: Value, why: string, page = 0): void {
    const { region, node } = this
    const back = node.continuation
    if (!back) return region.leave(this, rec, why, page)
    region.call(this, rec, this.#ripAt(back.start), page)
    region.edge(this, back.start)
  }

  /** A direct branch to another page, outside the region. */
  #jumpToPage(target: number, commit?: () => void): void {
    const { f, region } = this
    const rec = region.find(target)
    if (rec === 0 || !this.canRetreat) return this.jumpTo(this.branchTarget(), commit)
    region.pages.look(pageOf(target), this.cpu, this.#ripAt(target), rec, () => this.retreat())
    commit?.()
    this.#leave(f.i32(rec), 'page', pageOf(target))
  }

  protected override branchTarget(): Value {
    const { target } = this.instruction
    return target === undefined ? super.branchTarget() : this.#ripAt(target)
  }

  #ripAt(offset: number): Value {
    return this.cutRip(this.f.add(this.ripBase, this.f.i64(offset)))
  }

  /** Does `otherwise` if a node on another page does not lie there any more. */
  #look(to: Node, otherwise: () => void): void {
    const page = pageOf(to.start)
    if (page === this.#page) return
    const [{ rec }] = to.instructions as [Instruction]
    this.region.pages.look(page, this.cpu, this.#ripAt(to.start), rec, otherwise)
  }

  /** Goes where a near branch leads that was not known when this was translated. */
  #follow(commit?: () => void): void {
    const { f, region, instruction } = this
    if (region.memory.u32[(instruction.rec + R.REC_LINK) >>> 2] === R.LINK_CROSSING) {
      return this.jumpTo(this.branchTarget(), commit)
    }
    const link = f.load('i32.load', this.rec, R.REC_LINK)
    const isLinked = f.gtU(link, f.i32(R.LINK_CROSSING))
    f.if(f.eqz(isLinked), () => this.retreat(), undefined, 'unlikely')
    commit?.()
    this.#leave(link, 'link', this.#page)
  }

  override jumpTo(rip: Value, commit?: () => void, key?: Value): void {
    if (!this.canRetreat) return this.#giveUp()
    const { branch } = this.instruction.handler
    // A direct branch comes here when its way through the region is not known.
    if (branch !== 'direct') this.#goWithin(rip, commit)
    this.#jumpOutside(rip, commit, key)
  }

  #jumpOutside(rip: Value, commit?: () => void, key?: Value): void {
    const { row } = this.instruction.handler
    const found = this.known(rip, commit, key)
    this.#leave(found, `jump: ${row.name} ${row.text}`)
  }

  override returnTo(rip: Value, commit: () => void): void {
    const { f, region } = this
    if (this.shape.codeSize !== 64 || !this.canRetreat) return this.jumpTo(rip, commit)
    this.#goWithin(rip, commit)
    f.if(f.eq(rip, region.returnRip), () => {
      commit()
      region.return(this)
    })
    f.hasEffects = false
    this.#jumpOutside(rip, commit)
  }

  override goOn(commit?: () => void): void {
    const { end } = this.instruction
    if (!this.node.targets.has(end)) return super.goOn(commit)
    commit?.()
    this.region.edge(this, end)
  }

  override hasSse(): boolean {
    this.region.needSse()
    return true
  }

  /** Goes to nodes of the region: what follows its calls, and where the branch was seen to go. */
  #goWithin(rip: Value, commit?: () => void): void {
    const { f } = this
    for (const [offset, to] of this.node.targets) {
      if (to === this.node.continuation) continue
      f.if(f.eq(rip, this.#ripAt(offset)), () => {
        this.#look(to, () => this.retreat())
        commit?.()
        this.region.edge(this, offset)
      })
      f.hasEffects = false
    }
  }
}

function noHostNumber(): never {
  throw new Bug('a region runs no host instruction')
}

const LEAVES: Flow = {
  run() {
    throw new Bug('a region does not go on with records')
  },
}
