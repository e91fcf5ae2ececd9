// The x87 registers during an instruction that runs in TypeScript: the stack, what the exceptions
// of the instruction do to the status word, and the masked answers to stack faults. (SDM vol. 1,
// 8.1.2, 8.5 and 8.5.1.1.)
//
// One object for all processors: instructions run one at a time, and `begin` takes everything
// from the processor's state block.

import type { Cpu } from '../cpu.ts'
import { FloatContext, Float80, IE } from '../softfloat/context.ts'
import * as S from '../state.ts'
import * as X from './x87-words.ts'

const REGISTER_WORDS = S.X87_SIZE >> 2

/** "Real indefinite", the answer to an invalid operation: a negative quiet NaN. */
export const INDEFINITE = new Float80().set(0xffff, 0xc0000000, 0)

class RegisterStack {
  /** Rounding, masks, and the exceptions of this instruction. */
  readonly context = new FloatContext()
  /** Status word: TOP moves with the stack, flags are added by {@link end}. */
  status = 0
  #words: Int32Array = new Int32Array(0)
  #state = 0
  #top = 0
  #tags = 0
  #control = 0

  /** Starts an instruction; C1 will be 0 unless the context says otherwise. */
  begin(cpu: Cpu): void {
    const words = cpu.engine.memory.i32
    const state = cpu.state >> 2
    this.#words = words
    this.#state = state
    this.status = words[state + (S.FSW >> 2)] as number
    this.#tags = words[state + (S.FTW >> 2)] as number
    this.#control = words[state + (S.FCW >> 2)] as number
    this.#top = (this.status >> X.TOP_SHIFT) & 7
    const { context } = this
    context.setControlWord(this.#control)
    context.flags = 0
    context.c1 = 0
  }

  /** Is ST(i) empty. */
  isEmpty(i: number): boolean {
    return ((this.#tags >> ((this.#top + i) & 7)) & 1) === 0
  }

  #wordOf(i: number): number {
    return this.#state + (S.X87 >> 2) + ((this.#top + i) & 7) * REGISTER_WORDS
  }

  /** Reads ST(i) whether it is empty or not. */
  get(i: number, into: Float80): Float80 {
    const at = this.#wordOf(i)
    const words = this.#words
    const [lo, hi, se] = [words[at] as number, words[at + 1] as number, words[at + 2] as number]
    return into.set(se & 0xffff, hi, lo)
  }

  /** Writes ST(i), which is not empty then. */
  put(i: number, value: Float80): void {
    this.overwrite(i, value)
    this.#tags |= 1 << ((this.#top + i) & 7)
  }

  /** Writes ST(i) and leaves it empty if it was. */
  overwrite(i: number, value: Float80): void {
    const at = this.#wordOf(i)
    const words = this.#words
    words[at] = value.lo
    words[at + 1] = value.hi
    words[at + 2] = value.se
  }

  push(value: Float80): void {
    this.#top = (this.#top - 1) & 7
    this.put(0, value)
  }

  pop(): void {
    this.#tags &= ~(1 << this.#top)
    this.#top = (this.#top + 1) & 7
  }

  /** A source is empty. True if that is masked: the answer is then the indefinite. */
  underflow(): boolean {
    this.context.c1 = 0
    return this.#stackFault()
  }

  /** The register to push to is not empty. True if that is masked: the indefinite is pushed. */
  overflow(): boolean {
    this.context.c1 = 1
    return this.#stackFault()
  }

  #stackFault(): boolean {
    this.context.flags |= IE
    this.status |= X.STACK_FAULT
    return (this.context.masks & IE) !== 0
  }

  /** None of the exceptions of this instruction is unmasked. */
  get isMasked(): boolean {
    return (this.context.flags & ~this.context.masks) === 0
  }

  /** Replaces condition codes other than C1. */
  setConditions(mask: number, codes: number): void {
    this.status = (this.status & ~mask) | codes
  }

  /** The status word as {@link end} will write it. */
  get nextStatus(): number {
    const { context } = this
    const kept = this.status & ~(X.TOP | X.C1)
    const next = kept | (this.#top << X.TOP_SHIFT) | (context.c1 << 9) | context.flags
    return X.summarize(next, this.#control)
  }

  /** Writes the status word and which registers are empty. */
  end(): void {
    this.#words[this.#state + (S.FSW >> 2)] = this.nextStatus
    this.#words[this.#state + (S.FTW >> 2)] = this.#tags
  }
}

/** The registers of the processor whose instruction runs. */
export const stack = new RegisterStack()
