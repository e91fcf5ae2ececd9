// Arithmetic flags in a region: what a producer leaves is kept as its operands and result, and only
// becomes the two words of FLAG_RESULT and FLAG_AUX where somebody wants those. A condition right
// after a comparison is that comparison; flags that nobody reads cost nothing.
//
// Between blocks, and on the way out, the operands travel in variables, with a number that says
// what they are (`form`).

import type { FunctionBuilder } from '../../wasm/function.ts'
import type { Label, Local, Value } from '../../wasm/value.ts'
import { Flags } from '../emit/flags.ts'
import { FLAG_AUX, FLAG_RESULT } from '../state.ts'
import type { RegionEmitter } from './region-emitter.ts'

type Operation = 'add' | 'sub' | 'logic' | 'increment' | 'decrement'

/** Of what travels: with carry or borrow in, the result cannot be told from the operands. */
const OPERATIONS = ['add', 'sub', 'logic', 'increment', 'decrement', 'adc', 'sbb'] as const
type Travelling = (typeof OPERATIONS)[number]
const WIDTHS = [8, 16, 32, 64] as const

/** Where the flags are at a place in a region. */
export type FlagState =
  /** In the state block, as they were when the region was entered. */
  | { readonly kind: 'memory' }
  /** In the variables, in a form that is known at run time only. */
  | { readonly kind: 'unknown' }
  /** In the variables for FLAG_RESULT and FLAG_AUX. */
  | { readonly kind: 'stored' }
  /** Two values that nobody has asked for yet. */
  | { readonly kind: 'words'; readonly result: Value; readonly aux: Value }
  | Produced

/** What an instruction has computed. */
interface Produced {
  readonly kind: 'produced'
  readonly operation: Operation
  readonly bits: number
  readonly a: Value
  /** The second operand; CF as it was for increment and decrement. */
  readonly b: Value
  readonly r: Value
  /** There was no carry or borrow in: conditions are comparisons. */
  readonly isPlain: boolean
}

export const IN_MEMORY: FlagState = { kind: 'memory' }
export const UNKNOWN: FlagState = { kind: 'unknown' }
const STORED: FlagState = { kind: 'stored' }

const FORM_MEMORY = 0
const FORM_STORED = 1
const FORM_PRODUCED = 2

function formOf(operation: Travelling, bits: number): number {
  const number = OPERATIONS.indexOf(operation) * WIDTHS.length + WIDTHS.indexOf(bits as 8)
  return FORM_PRODUCED + number
}

/** The variables in which flags travel. */
export class FlagVariables {
  readonly form: Local
  readonly result: Local
  readonly aux: Local
  readonly narrow: readonly [Local, Local, Local]
  readonly wide: readonly [Local, Local, Local]
  /** Forms that reach some exit. */
  readonly forms = new Set<number>()

  constructor(f: FunctionBuilder) {
    this.form = f.local('i32')
    this.result = f.local('i64')
    this.aux = f.local('i32')
    this.narrow = [f.local('i32'), f.local('i32'), f.local('i32')]
    this.wide = [f.local('i64'), f.local('i64'), f.local('i64')]
  }
}

export class RegionFlags extends Flags {
  declare protected readonly e: RegionEmitter

  get #state(): FlagState {
    return this.e.region.flagState
  }

  get #variables(): FlagVariables {
    return this.e.region.flagVariables
  }

  // What producers do.

  #produce(state: FlagState): void {
    const { e } = this
    e.instruction.handler.setsFlags = true
    if (e.f.level === e.level) e.region.flagState = state
    else {
      // In an arm: which flags hold after it is known at run time only.
      e.wantStored()
      const { result, aux } = this.#wordsOf(state)
      e.f.set(this.#variables.result, result)
      e.f.set(this.#variables.aux, aux)
    }
    e.f.hasEffects = true
  }

  #operate(operation: Operation, bits: number, a: Value, b: Value, r: Value, isPlain = true) {
    this.#produce({ kind: 'produced', operation, bits, a, b, r, isPlain })
  }

  override add(bits: number, a: Value, b: Value, r: Value, hasCarryIn = false): void {
    this.#operate('add', bits, a, b, r, !hasCarryIn)
  }

  override sub(bits: number, a: Value, b: Value, r: Value, hasBorrowIn = false): void {
    this.#operate('sub', bits, a, b, r, !hasBorrowIn)
  }

  override logic(bits: number, r: Value): void {
    this.#operate('logic', bits, r, r, r)
  }

  override increment(bits: number, a: Value, r: Value): void {
    this.#operate('increment', bits, a, this.carry(), r)
  }

  override decrement(bits: number, a: Value, r: Value): void {
    this.#operate('decrement', bits, a, this.carry(), r)
  }

  protected override store(result: Value, aux: Value): void {
    this.#produce({ kind: 'words', result, aux })
  }

  protected override storeAux(aux: Value): void {
    this.#produce({ kind: 'words', result: this.result, aux })
  }

  // What readers get.

  #wordsOf(state: FlagState): { readonly result: Value; readonly aux: Value } {
    const { e } = this
    const { f } = e
    switch (state.kind) {
      case 'memory':
        return {
          result: f.load('i64.load', e.cpu, FLAG_RESULT),
          aux: f.load('i32.load', e.cpu, FLAG_AUX),
        }
      case 'stored':
        return { result: f.get(this.#variables.result), aux: f.get(this.#variables.aux) }
      case 'words':
        return state
      case 'unknown':
        // What is emitted now is thrown away.
        e.region.wantStoredAtStart(e.node)
        return { result: f.i64(0), aux: f.i32(0) }
      case 'produced':
        return { result: e.signExtend(state.r, state.bits), aux: this.#auxOf(state) }
    }
  }

  #auxOf({ operation, bits, a, b, r }: Produced): Value {
    const { f } = this.e
    const one = () => this.e.constant(bits, 1)
    const carry = () => f.shl(b, f.i32(31))
    switch (operation) {
      case 'add':
        return this.auxOfAdd(bits, a, b, r)
      case 'sub':
        return this.auxOfSub(bits, a, b, r)
      case 'logic':
        return f.i32(0)
      case 'increment':
        return this.keepingCarry(this.auxOfAdd(bits, a, one(), r), carry())
      case 'decrement':
        return this.keepingCarry(this.auxOfSub(bits, a, one(), r), carry())
    }
  }

  protected override get result(): Value {
    return this.#wordsOf(this.#state).result
  }

  protected override get aux(): Value {
    return this.#wordsOf(this.#state).aux
  }

  /** The value without what lies above its width. */
  #cut({ bits }: Produced, value: Value): Value {
    return bits === 64 ? value : this.e.zeroExtend(value, bits)
  }

  #signed({ bits }: Produced, value: Value): Value {
    const { f } = this.e
    return bits === 8 ? f.sextend8(value) : bits === 16 ? f.sextend16(value) : value
  }

  override carry(): Value {
    const state = this.#state
    const { f } = this.e
    if (state.kind !== 'produced') return super.carry()
    switch (state.operation) {
      case 'add':
        return state.isPlain ? f.ltU(this.#cut(state, state.r), state.a) : super.carry()
      case 'sub':
        return state.isPlain ? f.ltU(state.a, state.b) : super.carry()
      case 'logic':
        return f.i32(0)
      default:
        return state.b
    }
  }

  override zero(): Value {
    const state = this.#state
    if (state.kind !== 'produced') return super.zero()
    const { f } = this.e
    if (state.operation === 'sub' && state.isPlain) return f.eq(state.a, state.b)
    return f.eqz(this.#cut(state, state.r))
  }

  override sign(): Value {
    const state = this.#state
    if (state.kind !== 'produced') return super.sign()
    return this.#isNegative(state, state.r)
  }

  /** i32: the top bit of a value of the width. */
  #isNegative(state: Produced, value: Value): Value {
    const { f } = this.e
    if (state.bits === 64) return f.ltS(value, f.i64(0))
    if (state.bits === 32) return f.ltS(value, f.i32(0))
    return f.and(f.shrU(value, f.i32(state.bits - 1)), f.i32(1))
  }

  override overflow(): Value {
    const state = this.#state
    if (state.kind !== 'produced') return super.overflow()
    const { f } = this.e
    const { operation, a, b, r, bits } = state
    const top = bits === 64 ? f.i64(1n << 63n) : f.i32(bits === 32 ? -0x80000000 : 1 << (bits - 1))
    switch (operation) {
      case 'logic':
        return f.i32(0)
      case 'add':
        return this.#isNegative(state, f.and(f.xor(a, r), f.xor(b, r)))
      case 'sub':
        return this.#isNegative(state, f.and(f.xor(a, b), f.xor(a, r)))
      case 'increment':
        return f.eq(this.#cut(state, r), top)
      case 'decrement':
        return f.eq(this.#cut(state, a), top)
    }
  }

  override parity(): Value {
    const state = this.#state
    if (state.kind !== 'produced') return super.parity()
    const { f } = this.e
    const low = state.bits === 64 ? f.wrap(state.r) : state.r
    return f.and(f.not(f.popcnt(f.and(low, f.i32(0xff)))), f.i32(1))
  }

  protected override pair(pair: number): Value {
    const state = this.#state
    if (state.kind !== 'produced' || !state.isPlain) return super.pair(pair)
    const { f } = this.e
    const { operation, a, b, r, bits } = state
    if (operation === 'sub') {
      if (pair === 3) return f.leU(a, b)
      if (pair === 6) return f.ltS(this.#signed(state, a), this.#signed(state, b))
      if (pair === 7) return f.leS(this.#signed(state, a), this.#signed(state, b))
    }
    if (operation === 'logic') {
      if (pair === 3) return this.zero()
      if (pair === 6) return this.sign()
      if (pair === 7) return f.leS(this.#signed(state, r), this.e.constant(bits, 0))
    }
    return super.pair(pair)
  }

  // Travelling.

  /** Puts the flags into the variables, in the form that is cheapest. */
  flush(): void {
    const { f } = this.e
    const state = this.#state
    const variables = this.#variables
    switch (state.kind) {
      case 'unknown':
        return
      case 'memory':
        return f.set(variables.form, f.i32(FORM_MEMORY))
      case 'stored':
        f.set(variables.form, f.i32(FORM_STORED))
        break
      case 'words':
        f.set(variables.result, state.result)
        f.set(variables.aux, state.aux)
        f.set(variables.form, f.i32(FORM_STORED))
        break
      case 'produced': {
        const { operation, bits, a, b, r, isPlain } = state
        const [first, second, third] = bits === 64 ? variables.wide : variables.narrow
        const isSum = operation === 'add' || operation === 'sub'
        if (isSum) {
          f.set(first, a)
          f.set(second, b)
        } else if (operation !== 'logic') f.set(variables.narrow[1], b)
        if (!isSum || !isPlain) f.set(third, r)
        const withCarry = operation === 'add' ? 'adc' : 'sbb'
        const form = formOf(isSum && !isPlain ? withCarry : operation, bits)
        f.set(variables.form, f.i32(form))
        variables.forms.add(form)
        return
      }
    }
    variables.forms.add(FORM_STORED)
  }

  /** Puts them there as FLAG_RESULT and FLAG_AUX. */
  flushStored(): void {
    const { e } = this
    const { f } = e
    if (this.#state.kind !== 'stored') {
      const { result, aux } = this.#wordsOf(this.#state)
      f.set(this.#variables.result, result)
      f.set(this.#variables.aux, aux)
    }
    f.set(this.#variables.form, f.i32(FORM_STORED))
    this.#variables.forms.add(FORM_STORED)
    e.region.flagState = STORED
  }

  /**
   * Puts the flags into the state block, for a way out that is often taken. False: what they are is
   * known at run time only, and toStateBlock has to do it.
   */
  settle(): boolean {
    const { e } = this
    const { f } = e
    const state = this.#state
    if (state.kind === 'unknown') return false
    if (state.kind === 'memory') return true
    // On other paths nothing has happened yet.
    const { hasEffects } = f
    this.#storeWords(state)
    f.hasEffects = hasEffects
    return true
  }

  #storeWords(state: FlagState): void {
    const { e } = this
    const { result, aux } = this.#wordsOf(state)
    e.f.store('i64.store', e.cpu, result, FLAG_RESULT)
    e.f.store('i32.store', e.cpu, aux, FLAG_AUX)
  }

  /** Puts what the variables hold into the state block: for the way out. */
  toStateBlock(): void {
    const { f } = this.e
    const forms = [...this.#variables.forms]
    if (forms.length === 0) return
    f.block((done) => {
      const labels = new Array<Label>(Math.max(...forms) + 1).fill(done)
      const open = (i: number): void => {
        const form = forms[i]
        if (form === undefined) return f.brTable(labels, done, f.get(this.#variables.form))
        f.block((here) => {
          labels[form] = here
          open(i + 1)
        })
        this.#storeWords(this.#stateOf(form))
        f.br(done)
      }
      open(0)
    })
  }

  /** What the variables hold in a form. */
  #stateOf(form: number): FlagState {
    if (form === FORM_STORED) return STORED
    const { f } = this.e
    const { narrow, wide } = this.#variables
    const number = form - FORM_PRODUCED
    const operation = OPERATIONS[Math.floor(number / WIDTHS.length)] as Travelling
    const bits = WIDTHS[number % WIDTHS.length] as number
    const [first, second, third] = bits === 64 ? wide : narrow
    const r = f.get(third)
    const one = this.e.constant(bits, 1)
    const produced = (operation: Operation, a: Value, b: Value, r: Value): FlagState => ({
      kind: 'produced',
      operation,
      bits,
      a,
      b,
      r,
      isPlain: false,
    })
    switch (operation) {
      case 'logic':
        return produced(operation, r, r, r)
      case 'increment':
        return produced(operation, f.sub(r, one), f.get(narrow[1]), r)
      case 'decrement':
        return produced(operation, f.add(r, one), f.get(narrow[1]), r)
      case 'add':
        return produced(operation, f.get(first), f.get(second), f.add(f.get(first), f.get(second)))
      case 'sub':
        return produced(operation, f.get(first), f.get(second), f.sub(f.get(first), f.get(second)))
      case 'adc':
        return produced('add', f.get(first), f.get(second), r)
      case 'sbb':
        return produced('sub', f.get(first), f.get(second), r)
    }
  }
}
