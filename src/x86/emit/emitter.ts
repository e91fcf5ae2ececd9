// What the meaning of an instruction is written in. An Emitter turns reads and writes of
// operands, memory, flags and control transfers into WebAssembly; how an operand is found (in a
// decoded record at run time, or known when the code is made) is left to its subclasses. The
// same meaning therefore serves every execution.
//
// Values: 8, 16 and 32 bits travel as i32 (reads give them zero-extended; what lies above the
// width in a computed value is ignored by writes and flags), 64 bits as i64, 128 as v128.
//
// Order within a meaning: memory first, registers and flags after it, so that a fault leaves the
// state as it was before the instruction.

import { Bug } from '../../base/errors.ts'
import type { FunctionBuilder } from '../../wasm/function.ts'
import type { FuncRef } from '../../wasm/graph.ts'
import type { Value } from '../../wasm/value.ts'
import type { LoadOp, StoreOp } from '../../wasm/opcodes.ts'
import type { HostInstruction } from '../host-instruction.ts'
import * as S from '../state.ts'
import { Flags } from './flags.ts'
import { type AccessKind, MemoryAccess } from './memory.ts'
import type { GprOperand, Operand, Shape } from './operand.ts'
import { type RuntimeName, type RuntimeRefs, STACK_ACCESS } from './runtime.ts'

export type { Operand } from './operand.ts'

/** Exception vectors (SDM vol. 3A, table 6-1). */
export const DE = 0
export const DB = 1
export const BP = 3
export const OF = 4
export const BR = 5
export const UD = 6
export const NM = 7
export const DF = 8
export const TS = 10
export const NP = 11
export const SS = 12
export const GP = 13
export const PF = 14
export const MF = 16
export const AC = 17
export const MC = 18
export const XM = 19

export abstract class Emitter {
  readonly f: FunctionBuilder
  readonly shape: Shape
  readonly flags: Flags
  readonly memory: MemoryAccess
  /** i32: the state block. */
  readonly cpu: Value
  /** i32: the record of this instruction, for the runtime. */
  readonly rec: Value
  /** The runtime is called in the middle of the instruction. */
  hasCalled = false
  readonly #runtime: RuntimeRefs | undefined
  readonly #hostNumber: (run: HostInstruction) => number

  constructor(
    f: FunctionBuilder,
    shape: Shape,
    place: { rec: Value; cpu: Value },
    runtime: RuntimeRefs | undefined,
    hostNumber: (run: HostInstruction) => number,
  ) {
    this.f = f
    this.shape = shape
    this.rec = place.rec
    this.cpu = place.cpu
    this.#runtime = runtime
    this.#hostNumber = hostNumber
    this.flags = this.createFlags()
    this.memory = new MemoryAccess(this)
  }

  // What an execution decides.

  /** The keeper of the arithmetic flags; called by the constructor. */
  protected createFlags(): Flags {
    return new Flags(this)
  }

  /**
   * Host offset of `size` bytes at a linear address by a way that is quicker than the TLB, which
   * retreats where it does not lead there. `tag`: the tag of the TLB that permits the access.
   */
  direct(_linear: Value, _size: number, _tag: number, _kind: AccessKind): Value | undefined {
    return undefined
  }

  /** The value of a general register. */
  protected abstract readGpr(operand: GprOperand): Value
  /** Writes a general register; 32 bits clear the upper half. */
  protected abstract writeGpr(operand: GprOperand, value: Value): void
  /** Replaces a general register by `change` of it; gives the old value. */
  protected abstract modifyGpr(operand: GprOperand, change: (old: Value) => Value): Value
  /** i32: number of a register that is not a general one (vector, x87, segment, control…). */
  abstract registerNumber(operand: Operand): Value
  /** i32: the ModRM byte. */
  abstract modrm(): Value
  /** i32: number of the memory operand's segment. */
  abstract memorySegment(): Value
  /** i64: the immediate, sign-extended. */
  protected abstract immediate(second: boolean): Value
  /** i64: offset of the memory operand within its segment, cut to the address size. */
  abstract effectiveAddress(): Value
  /** An offset (i64) cut to the address size. */
  cutAddress(offset: Value): Value {
    const { f, shape } = this
    if (shape.addressSize === 64) return offset
    return f.and(offset, f.i64(shape.addressSize === 32 ? 0xffffffffn : 0xffffn))
  }

  /** i64: linear address of `offset` in the memory operand's segment; checks `size` bytes. */
  abstract segmented(offset: Value, size: number, isWrite: boolean): Value
  /** i64: RIP of this instruction plus its length. */
  abstract nextRip(): Value
  /** i64: RIP of this instruction. */
  abstract thisRip(): Value
  /**
   * May the path still leave for {@link retreat}? Only if nothing has been changed yet, and if
   * there is somewhere to retreat to.
   */
  abstract get canRetreat(): boolean
  /** Executes this instruction from its start, in the form that copes with everything. */
  abstract retreat(): void
  /** Goes on with the following instruction. */
  abstract next(): void
  /** Executes this instruction again (a string instruction that goes on), within the budget. */
  abstract again(): void
  /** Near branch to the target in the instruction. Ends the path. `commit` as in jumpTo. */
  abstract jump(target: Operand, commit?: () => void): void
  /**
   * Near branch to a computed RIP (i64). `commit` runs when the target is known to lie within
   * the code segment and before anything else can fail: what the branch changes besides RIP.
   * `key`: of the jump cache, if it is another one there; only where a retreat is possible. Ends the
   * path.
   */
  abstract jumpTo(rip: Value, commit?: () => void, key?: Value): void
  /** Near return to a RIP (i64): as jumpTo, but it may be what a call waits for. */
  abstract returnTo(rip: Value, commit: () => void): void
  /** Goes on with the following instruction in a block of its own. Ends the path. */
  goOn(commit?: () => void): void {
    this.jumpTo(this.nextRip(), commit)
  }
  /** Is it seen to elsewhere that the SSE unit can be used. */
  hasSse(): boolean {
    return false
  }

  // State.

  stateLoad(op: LoadOp, offset: number): Value {
    return this.f.load(op, this.cpu, offset)
  }

  stateStore(op: StoreOp, offset: number, value: Value): void {
    this.f.store(op, this.cpu, value, offset)
  }

  /** A general register by its number, as an operand. Numbers 4 to 7 of 8 bits are AH CH DH BH. */
  gpr(number: number, bits: 8 | 16 | 32 | 64): Operand {
    return { kind: 'gpr', bits, field: number }
  }

  /** A constant of `bits` bits. */
  constant(bits: number, value: number): Value {
    return bits === 64 ? this.f.i64(value) : this.f.i32(value)
  }

  // Operands.

  /** The operand's value. A narrower immediate is sign-extended to `bits`. */
  read(operand: Operand, bits: number = operand.bits): Value {
    const { f } = this
    switch (operand.kind) {
      case 'gpr':
        return this.readGpr(operand)
      case 'memory':
        return this.memory.load(bits, this.linear(operand, bits / 8))
      case 'offset':
        return this.memory.load(bits, this.linear(operand, bits / 8))
      case 'immediate': {
        const value = this.immediate(operand.second)
        return bits === 64 ? value : this.zeroExtend(f.wrap(value), bits)
      }
      case 'constant':
        return this.constant(bits, operand.value)
      case 'vector':
        return this.readVector(operand)
      case 'mmx':
        return f.load('i64.load', this.mmxAddress(operand), S.X87)
      default:
        throw new TypeError(`an operand of kind ${operand.kind} has no value to read`)
    }
  }

  /**
   * Writes a general register, vector register or memory. 32-bit writes of a general register
   * clear its upper half; writes of a vector register change just the operand's width.
   */
  write(operand: Operand, value: Value): void {
    const { f } = this
    switch (operand.kind) {
      case 'gpr':
        return this.writeGpr(operand, value)
      case 'memory':
      case 'offset':
        return this.memory.store(operand.bits, this.linear(operand, operand.bits / 8, true), value)
      case 'vector':
        return this.writeVector(operand, value)
      case 'mmx': {
        // A write to an MMX register sets the exponent field of the x87 register to ones.
        const at = this.mmxAddress(operand)
        f.store('i64.store', at, value, S.X87)
        return f.store('i32.store16', at, f.i32(0xffff), S.X87 + 8)
      }
      default:
        throw new TypeError(`an operand of kind ${operand.kind} cannot be written`)
    }
  }

  /**
   * Replaces the operand's value by `change` of it and gives the old one. `change` runs when
   * nothing can fail any more, so it may set flags.
   */
  modify(operand: Operand, change: (old: Value) => Value): Value {
    if (operand.kind === 'gpr') return this.modifyGpr(operand, change)
    const linear = this.linear(operand, operand.bits / 8, true)
    return this.memory.modify(operand.bits, linear, change)
  }

  /** Linear address of a memory operand (or `offset` bytes into it), checked for `size` bytes. */
  linear(operand: Operand, size: number, isWrite = false, offset = 0): Value {
    const { f } = this
    const isOffset = operand.kind === 'offset'
    const start = isOffset ? this.cutAddress(this.immediate(false)) : this.effectiveAddress()
    const linear = this.segmented(offset === 0 ? start : f.add(start, f.i64(offset)), size, isWrite)
    if (operand.kind === 'memory' && operand.aligned) {
      f.if(f.wrap(f.and(linear, f.i64(15))), () => this.raise(GP, 0), undefined, 'unlikely')
    }
    return linear
  }

  /** The lowest 32, 64 or 128 bits of a vector register, as i32, i64 or v128. */
  protected readVector(operand: Operand): Value {
    const op = VECTOR_LOAD[operand.bits as 32] ?? 'v128.load'
    return this.f.load(op, this.#vectorAddress(operand))
  }

  /** Writes them; those above stay. */
  protected writeVector(operand: Operand, value: Value): void {
    const op = VECTOR_STORE[operand.bits as 32] ?? 'v128.store'
    this.f.store(op, this.#vectorAddress(operand), value)
  }

  /** i32: host address of a vector register (its lowest byte). */
  #vectorAddress(operand: Operand): Value {
    const { f } = this
    const offset = f.mul(this.registerNumber(operand), f.i32(S.VECTOR_SIZE))
    return f.add(f.add(this.cpu, offset), f.i32(S.VECTORS))
  }

  /** i32: host address of an MMX register, less S.X87. */
  mmxAddress(operand: Operand): Value {
    const { f } = this
    return f.add(this.cpu, f.mul(this.registerNumber(operand), f.i32(S.X87_SIZE)))
  }

  /** i32: the selector in a segment register. */
  stateSelector(operand: Operand): Value {
    const { f } = this
    const at = f.add(this.cpu, f.mul(this.registerNumber(operand), f.i32(S.SEGMENT_SIZE)))
    return f.load('i32.load16_u', at, S.SEGMENT + S.SEG_SELECTOR)
  }

  /** i64: offset of a far pointer in the instruction. */
  farOffset(operand: Operand): Value {
    return this.resize(this.f.wrap(this.immediate(false)), operand.bits, 64)
  }

  /** i32: selector of a far pointer in the instruction. */
  farSelector(_operand: Operand): Value {
    return this.f.wrap(this.immediate(true))
  }

  // Widths.

  /** i64: the value of `bits` bits, sign-extended. */
  signExtend(value: Value, bits: number): Value {
    const { f } = this
    if (bits === 64) return value
    if (bits === 32) return f.extendS(value)
    return f.extendS(bits === 8 ? f.sextend8(value) : f.sextend16(value))
  }

  /** Clears what lies above `bits` in an i32. */
  zeroExtend(value: Value, bits: number): Value {
    return bits < 32 ? this.f.and(value, this.f.i32((1 << bits) - 1)) : value
  }

  /** Changes the width of a zero-extended value: from i32 to i64 and back as needed. */
  resize(value: Value, from: number, to: number): Value {
    const { f } = this
    if (from === 64) return to === 64 ? value : this.zeroExtend(f.wrap(value), to)
    if (to === 64) return f.extendU(this.zeroExtend(value, from))
    return this.zeroExtend(value, Math.min(from, to))
  }

  // Stack.

  /** i64: linear address of the stack's top, `offset` bytes above the stack pointer. */
  stackLinear(offset: number, size: number, isWrite: boolean): Value {
    const { f } = this
    const pointer = this.read(this.gpr(S.RSP, this.shape.stackSize))
    if (this.shape.stackSize === 64) return f.add(pointer, f.i64(offset))
    const top = this.zeroExtend(f.add(pointer, f.i32(offset)), this.shape.stackSize)
    return this.segmentLinear(S.SS, f.extendU(top), size, isWrite)
  }

  /** Moves the stack pointer by `bytes`, at its width. */
  moveStack(bytes: number): void {
    const bits = this.shape.stackSize
    const pointer = this.gpr(S.RSP, bits)
    this.write(pointer, this.f.add(this.read(pointer), this.constant(bits, bytes)))
  }

  /** Pushes `bits` bits. */
  push(value: Value, bits: number): void {
    this.memory.store(bits, this.stackLinear(-bits / 8, bits / 8, true), value, STACK_ACCESS)
    this.moveStack(-bits / 8)
  }

  /** The `bits` bits on top of the stack; the stack pointer stays. */
  peek(bits: number, offset = 0): Value {
    return this.memory.load(bits, this.stackLinear(offset, bits / 8, false), STACK_ACCESS)
  }

  /** i64: linear address of an offset in a given segment, with base, and limits outside 64-bit mode. */
  segmentLinear(segment: number, offset: Value, size: number, isWrite: boolean): Value {
    const { f } = this
    const base = () => this.stateLoad('i64.load', S.SEG_BASE + segment * 8)
    if (this.shape.codeSize === 64) {
      return segment === S.FS || segment === S.GS ? f.add(offset, base()) : offset
    }
    this.checkLimit(
      this.stateLoad(
        'i64.load',
        S.SEGMENT + segment * S.SEGMENT_SIZE + (isWrite ? S.SEG_WRITE_LIMIT : S.SEG_READ_LIMIT),
      ),
      offset,
      size,
      isWrite,
      f.i32(segment),
    )
    return f.and(f.add(offset, base()), f.i64(0xffffffffn))
  }

  /** Leaves with #GP or #SS if the bytes lie beyond what the segment allows. */
  protected checkLimit(
    limit: Value,
    offset: Value,
    size: number,
    isWrite: boolean,
    segment: Value,
  ): void {
    const { f } = this
    f.if(
      f.gtS(f.add(offset, f.i64(size - 1)), limit),
      () => {
        const code = f.or(f.shl(segment, f.i32(1)), f.i32(isWrite ? 1 : 0))
        this.leaveIf(
          f.eqz(
            this.callRuntime('checkSegment', this.cpu, this.rec, f.wrap(offset), f.i32(size), code),
          ),
        )
      },
      undefined,
      'unlikely',
    )
  }

  // Faults and the runtime.

  /** Calls the runtime, or leaves that to the slow form of the instruction. */
  callRuntime(name: RuntimeName, ...args: Value[]): Value {
    if (this.canRetreat) {
      this.retreat()
      return this.f.i32(0)
    }
    this.hasCalled = true
    return this.f.call(this.#imported(name), ...args)
  }

  #imported(name: RuntimeName): FuncRef {
    if (!this.#runtime) throw new Bug(`code that calls nothing calls ${name}`)
    return this.#runtime[name]
  }

  /** Calls a slow memory function for a linear address. */
  callSlow(name: 'slowRead' | 'slowWrite' | 'slowModify', linear: Value, size: number): Value {
    const { f } = this
    const high = f.wrap(f.shrU(linear, f.i64(32)))
    return this.callRuntime(name, this.cpu, this.rec, f.wrap(linear), high, f.i32(size))
  }

  /** Leaves the instruction if the i32 is not zero; the runtime has recorded why. */
  leaveIf(condition: Value): void {
    this.f.if(condition, () => this.f.ret(), undefined, 'unlikely')
  }

  /** Raises an exception of this instruction. Ends the path. */
  raise(vector: number, code: number | Value = 0): void {
    const { f } = this
    const errorCode = typeof code === 'number' ? f.i32(code) : code
    f.returnCall(this.#imported('raise'), this.cpu, this.rec, f.i32(vector), errorCode)
  }

  /** Raises an exception if the i32 is not zero. */
  raiseIf(condition: Value, vector: number, code: number | Value = 0): void {
    this.f.if(condition, () => this.raise(vector, code), undefined, 'unlikely')
  }

  /**
   * Runs a part of the instruction in TypeScript. Up to four values (i32 or i64) are passed;
   * `run` finds them with cpu.argument(i). If it faults, or asks to leave, the instruction ends.
   */
  host(run: HostInstruction, ...values: Value[]): void {
    const { f } = this
    if (this.canRetreat) return this.retreat()
    for (const [i, value] of values.entries()) {
      const wide = value.type === 'i32' ? f.extendU(value) : value
      this.stateStore('i64.store', S.ARGUMENTS + 8 * i, wide)
    }
    this.leaveIf(this.callRuntime('host', this.cpu, this.rec, f.i32(this.#hostNumber(run))))
  }

  /** i64: what the last host() left with cpu.setResult. */
  hostResult(index = 0): Value {
    return this.stateLoad('i64.load', S.ARGUMENTS + 8 * index)
  }

  /** Leaves for the run loop; RIP goes on at `rip`. Ends the path. */
  leaveTo(rip: Value, exit: number = S.EXIT_LOOK): void {
    this.stateStore('i64.store', S.RIP, rip)
    this.stateStore('i32.store', S.EXIT, this.f.i32(exit))
    this.f.ret()
  }
}

const VECTOR_LOAD = { 32: 'i32.load', 64: 'i64.load', 128: 'v128.load' } as const
const VECTOR_STORE = { 32: 'i32.store', 64: 'i64.store', 128: 'v128.store' } as const
