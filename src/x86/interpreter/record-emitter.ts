// The interpreter's emitter: operands are found at run time, through the record of the decoded
// instruction. What it emits is good for every instruction of its shape, and goes on with the
// next record as a Flow says.

import { Bug } from '../../base/errors.ts'
import type { FunctionBuilder } from '../../wasm/function.ts'
import type { Value } from '../../wasm/value.ts'
import { Emitter, GP } from '../emit/emitter.ts'
import {
  FORM_BASE,
  FORM_FLAT,
  FORM_INDEX,
  FORM_SEGMENT_BASE,
  FORM_SHORT,
  type GprOperand,
  type Operand,
  type RegisterField,
  type Shape,
} from '../emit/operand.ts'
import type { RuntimeRefs } from '../emit/runtime.ts'
import type { HostInstruction } from '../host-instruction.ts'
import * as S from '../state.ts'
import type { Flow } from './flow.ts'
import { probeJumpCache } from './jump-probe.ts'
import * as R from './record.ts'

const LOAD = { 8: 'i32.load8_u', 16: 'i32.load16_u', 32: 'i32.load', 64: 'i64.load' } as const
const STORE = { 8: 'i32.store8', 16: 'i32.store16', 32: 'i32.store', 64: 'i64.store' } as const
const FIELDS = { reg: R.REC_REG, rm: R.REC_RM, vvvv: R.REC_VVVV } as const

export class RecordEmitter extends Emitter {
  readonly #flow: Flow

  constructor(
    f: FunctionBuilder,
    shape: Shape,
    place: { rec: Value; cpu: Value },
    runtime: RuntimeRefs | undefined,
    hostNumber: (run: HostInstruction) => number,
    flow: Flow,
  ) {
    super(f, shape, place, runtime, hostNumber)
    this.#flow = flow
  }

  override get canRetreat(): boolean {
    return this.#flow.retreat !== undefined && !this.f.hasEffects
  }

  override retreat(): void {
    if (!this.#flow.retreat) throw new Bug('a slow form has no other form')
    this.#flow.retreat()
  }

  /** i32: a byte of the record. */
  protected byte(offset: number): Value {
    return this.f.load('i32.load8_u', this.rec, offset)
  }

  #field(field: 'reg' | 'rm' | 'vvvv'): Value {
    return this.byte(FIELDS[field])
  }

  /** i32: where a general register lies in the state block. */
  protected gprSlot({ field, bits }: GprOperand): Value {
    if (typeof field !== 'number') return this.#field(field)
    const isHighByte = bits === 8 && field >= 4 && field < 8
    return this.f.i32(isHighByte ? (field - 4) * 8 + 1 : field * 8)
  }

  #gprAddress(operand: GprOperand): Value {
    const { f } = this
    return f.add(f.add(this.cpu, this.gprSlot(operand)), f.i32(S.GPR))
  }

  protected override readGpr(operand: GprOperand): Value {
    return this.f.load(LOAD[operand.bits], this.#gprAddress(operand))
  }

  protected override writeGpr(operand: GprOperand, value: Value): void {
    this.#store(this.#gprAddress(operand), operand.bits, value)
  }

  protected override modifyGpr(operand: GprOperand, change: (old: Value) => Value): Value {
    const at = this.#gprAddress(operand)
    const old = this.f.load(LOAD[operand.bits], at)
    this.#store(at, operand.bits, change(old))
    return old
  }

  #store(at: Value, bits: 8 | 16 | 32 | 64, value: Value): void {
    const { f } = this
    if (bits === 32) f.store('i64.store', at, f.extendU(value))
    else f.store(STORE[bits], at, value)
  }

  override registerNumber(operand: Operand): Value {
    const { field } = operand as { field: RegisterField }
    return typeof field === 'number' ? this.f.i32(field) : this.#field(field)
  }

  override modrm(): Value {
    return this.byte(R.REC_MODRM)
  }

  override memorySegment(): Value {
    return this.byte(R.REC_SEGMENT)
  }

  protected override immediate(second: boolean): Value {
    const { f } = this
    return second
      ? f.extendU(f.load('i32.load', this.rec, R.REC_SECOND_IMMEDIATE))
      : f.load('i64.load', this.rec, R.REC_IMMEDIATE)
  }

  /** i64: the register, segment base or zero that a byte of the record names. */
  protected register(at: number): Value {
    return this.f.load('i64.load', this.f.add(this.cpu, this.byte(at)))
  }

  /** i64: the displacement of the memory operand. */
  protected displacement(): Value {
    return this.f.load('i64.load32_s', this.rec, R.REC_DISPLACEMENT)
  }

  override effectiveAddress(): Value {
    const { f } = this
    const base = f.add(this.register(R.REC_BASE), this.displacement())
    if (this.shape.form === FORM_BASE) return base
    const scale = f.extendU(this.byte(R.REC_SCALE))
    const sum = f.add(base, f.shl(this.register(R.REC_INDEX), scale))
    return this.cutAddress(sum)
  }

  override segmented(offset: Value, size: number, isWrite: boolean): Value {
    const { f } = this
    switch (this.shape.form) {
      case FORM_BASE:
      case FORM_INDEX:
      case FORM_FLAT:
        return offset
      case FORM_SEGMENT_BASE:
      case FORM_SHORT:
        return f.add(offset, this.register(R.REC_SEGMENT_BASE))
      default: {
        const segment = this.byte(R.REC_SEGMENT)
        const at = f.add(this.cpu, f.mul(segment, f.i32(S.SEGMENT_SIZE)))
        const limit = S.SEGMENT + (isWrite ? S.SEG_WRITE_LIMIT : S.SEG_READ_LIMIT)
        this.checkLimit(f.load('i64.load', at, limit), offset, size, isWrite, segment)
        const linear = f.add(offset, this.register(R.REC_SEGMENT_BASE))
        return f.and(linear, f.i64(0xffffffffn))
      }
    }
  }

  /** i64: page offset of the instruction's end. */
  protected get endOffset(): Value {
    return this.f.load('i64.load16_u', this.rec, R.REC_END)
  }

  /** i64: RIP_BASE of the running block. */
  protected get ripBase(): Value {
    return this.stateLoad('i64.load', S.RIP_BASE)
  }

  override nextRip(): Value {
    return this.#rip(this.endOffset)
  }

  override thisRip(): Value {
    const { f } = this
    return this.#rip(f.sub(this.endOffset, f.extendU(this.byte(R.REC_LENGTH))))
  }

  #rip(offset: Value): Value {
    return this.cutRip(this.f.add(this.ripBase, offset))
  }

  /** RIP outside 64-bit mode has 32 bits. */
  protected cutRip(rip: Value): Value {
    return this.shape.codeSize === 64 ? rip : this.f.and(rip, this.f.i64(0xffffffffn))
  }

  override next(): void {
    const rec = this.f.add(this.rec, this.f.i32(R.RECORD_SIZE))
    // The runtime may have dropped the block: what was loaded before is not to be trusted.
    this.#run(rec, !this.hasCalled && !this.f.isInLoop)
  }

  override again(): void {
    const { f } = this
    const budget = f.sub(this.stateLoad('i32.load', S.BUDGET), f.i32(1))
    f.if(
      f.ltS(budget, f.i32(0)),
      () => {
        // What of the block has not run is given back; this instruction did not end.
        const left = this.byte(R.REC_LEFT)
        const refund = f.add(this.stateLoad('i32.load', S.BUDGET), f.sub(left, f.i32(1)))
        this.stateStore('i32.store', S.BUDGET, refund)
        this.leaveTo(this.thisRip(), S.EXIT_LOOK)
      },
      undefined,
      'unlikely',
    )
    this.stateStore('i32.store', S.BUDGET, budget)
    this.#run(this.rec, false)
  }

  /** Enters a block: takes its instructions from the budget, or leaves before it. */
  #enter(target: Value, rip: () => Value): void {
    const { f } = this
    // A branch in the middle of a block gives back what follows it.
    const refund = f.sub(this.byte(R.REC_LEFT), f.i32(1))
    const available = f.add(this.stateLoad('i32.load', S.BUDGET), refund)
    const budget = f.sub(available, f.load('i32.load8_u', target, R.REC_LEFT))
    f.if(
      f.ltS(budget, f.i32(0)),
      () => {
        this.stateStore('i32.store', S.BUDGET, available)
        this.leaveTo(rip(), S.EXIT_BUDGET)
      },
      undefined,
      'unlikely',
    )
    this.stateStore('i32.store', S.BUDGET, budget)
    this.#run(target, false)
  }

  /**
   * Goes on with a record. If what was called in TypeScript wants a look, it gets that here: behind
   * this instruction, not at the end of a block, so that it does not matter what blocks there are.
   */
  #run(rec: Value, isFollowing: boolean): void {
    const { f } = this
    if (this.hasCalled) {
      f.if(
        this.stateLoad('i32.load', S.KICKED),
        () => {
          this.stateStore('i32.store', S.EXIT_RECORD, rec)
          this.stateStore('i32.store', S.EXIT, f.i32(S.EXIT_KICKED))
          f.ret()
        },
        undefined,
        'unlikely',
      )
    }
    this.#flow.run(rec, isFollowing)
  }

  /** RIP of the branch target in the record. */
  protected branchTarget(): Value {
    const { f, shape } = this
    const rip = this.#rip(this.immediate(false))
    return shape.operandSize === 16 ? f.and(rip, f.i64(0xffffn)) : rip
  }

  override jump(_target: Operand, commit?: () => void): void {
    const { f } = this
    if (!this.shape.near) return this.jumpTo(this.branchTarget(), commit)
    const link = f.load('i32.load', this.rec, R.REC_LINK)
    const isLinked = f.gtU(link, f.i32(R.LINK_CROSSING))
    if (this.canRetreat) {
      f.if(f.eqz(isLinked), () => this.#jumpUnlinked(link, commit), undefined, 'unlikely')
      // What happened there has not happened here.
      f.hasEffects = false
      commit?.()
      return this.#enter(link, () => this.branchTarget())
    }
    commit?.()
    const target = f.choose(
      'i32',
      isLinked,
      () => link,
      () => {
        const found = this.callRuntime('resolve', this.cpu, this.rec)
        this.leaveIf(f.eqz(found))
        return found
      },
      'likely',
    )
    this.#enter(target, () => this.branchTarget())
  }

  /** To a target that goes on in the next page; another one has to be linked first. */
  #jumpUnlinked(link: Value, commit?: () => void): void {
    const { f } = this
    f.if(f.eqz(link), () => this.retreat(), undefined, 'unlikely')
    this.jumpTo(this.branchTarget(), commit)
  }

  /** i64: linear address of a RIP. */
  #linearOf(rip: Value): Value {
    const { f } = this
    if (this.shape.codeSize === 64) return rip
    return f.and(f.add(rip, this.stateLoad('i64.load', S.SEG_BASE + S.CS * 8)), f.i64(0xffffffffn))
  }

  /**
   * First record of the block at a RIP if the jump cache knows it, or retreats. `commit` as in
   * jumpTo. RIP_BASE follows.
   */
  protected known(rip: Value, commit?: () => void, key?: Value): Value {
    const { f } = this
    const linear = this.#linearOf(rip)
    const { entry, isHit } = probeJumpCache(f, this.cpu, linear, key)
    f.if(f.eqz(isHit), () => this.retreat(), undefined, 'unlikely')
    const found = f.load('i32.load', entry, 8)
    commit?.()
    this.stateStore('i64.store', S.RIP_BASE, f.sub(rip, f.and(linear, f.i64(0xfff))))
    return found
  }

  override returnTo(rip: Value, commit: () => void): void {
    const { f } = this
    if (this.shape.codeSize === 64) {
      const { hasEffects } = f
      f.if(f.eq(rip, this.stateLoad('i64.load', S.RETURN_RIP)), () => {
        commit()
        // A RET is the last of its block: nothing is to be given back.
        this.stateStore('i64.store', S.RETURN_RIP, f.i64(S.NO_RETURN))
        f.ret()
      })
      f.hasEffects = hasEffects
    }
    this.jumpTo(rip, commit)
  }

  override jumpTo(rip: Value, commit?: () => void, key?: Value): void {
    if (this.canRetreat) return this.#enter(this.known(rip, commit, key), () => rip)
    const { f, shape } = this
    const linear = this.#linearOf(rip)
    const { entry, isHit } = probeJumpCache(f, this.cpu, linear)
    const target = f.choose(
      'i32',
      isHit,
      () => {
        const found = f.load('i32.load', entry, 8)
        commit?.()
        return found
      },
      () => {
        if (shape.codeSize === 64) {
          const canonical = f.shrS(f.shl(rip, f.i64(16)), f.i64(16))
          this.raiseIf(f.ne(canonical, rip), GP)
        } else {
          // What the jump cache knows lies within the limit: it is emptied when that changes.
          const limit = S.SEGMENT + S.CS * S.SEGMENT_SIZE + S.SEG_LIMIT
          this.raiseIf(f.gtU(f.wrap(rip), this.stateLoad('i32.load', limit)), GP)
        }
        commit?.()
        this.stateStore('i64.store', S.RIP, rip)
        const found = this.callRuntime('lookup', this.cpu, this.rec)
        this.leaveIf(f.eqz(found))
        return found
      },
      'likely',
    )
    this.stateStore('i64.store', S.RIP_BASE, f.sub(rip, f.and(linear, f.i64(0xfff))))
    this.#enter(target, () => rip)
  }
}
