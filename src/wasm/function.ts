// FunctionBuilder: how the body of a function is written. Values are nodes of a graph; statements,
// loads, calls and reads of locals happen where they are written, pure values wherever it is best.
// The structure of control is WebAssembly's own (specification 2.4.8): blocks, loops, ifs, branches.

import { Bug } from '../base/errors.ts'
import { simplifyCondition } from './fold.ts'
import type { FuncRef } from './graph.ts'
import { MemoryAccess } from './memory.ts'
import { CONTROL, instruction, type LoadOp, type StoreOp, type Type } from './opcodes.ts'
import {
  BLOCK,
  CONST,
  EFFECT,
  ELSE,
  END,
  IF,
  Label,
  LIKELY,
  LOAD,
  LOOP,
  type Local,
  PLACE,
  READ,
  RESULT,
  type Scope,
  SET,
  UNLIKELY,
  Value,
  YIELD,
} from './value.ts'

/** Which way a branch usually goes: whether its condition is likely to hold. */
export type Hint = 'likely' | 'unlikely'

/** Gives the index of a function type in the module. */
type TypeIndex = (params: readonly Type[], results: readonly Type[]) => number

/** Writes the body of one function. */
export class FunctionBuilder extends MemoryAccess {
  readonly #typeIndex: TypeIndex

  /** @internal Made by ModuleBuilder. */
  constructor(func: FuncRef, addressType: Type, typeIndex: TypeIndex) {
    super(func, addressType)
    this.#typeIndex = typeIndex
  }

  set(local: Local, value: Value): void {
    this.check(value, local.type, 'set')
    const node = new Value(SET, local.type, this.scope, undefined, undefined)
    node.hasResult = false
    node.a = value
    this.assign(local, node)
  }

  /**
   * A place where variables are assigned or stored by those who find out later which: setAt, loadAt
   * and storeAt add to it until the function ends.
   */
  place(): Value {
    // What variables hold before it says nothing of what they hold after it.
    this.loops++
    const node = this.statement(PLACE)
    node.rest = []
    return node
  }

  /** At a place, sets a local to a constant. */
  setAt(place: Value, local: Local, constant: Value): void {
    this.check(constant, local.type, 'setAt')
    if (constant.kind !== CONST) throw new Bug('what a place sets is a constant or a load')
    this.#assignAt(place, local, constant)
  }

  /** At a place, loads a local, at an address in a parameter. */
  loadAt(place: Value, local: Local, name: LoadOp, param: number, offset: number): void {
    const what = instruction('load', name)
    const value = new Value(LOAD, what.result as Type, place.scope, what, undefined)
    value.a = this.param(param)
    value.immediate = offset
    this.#checkType(local, value.type, 'loadAt')
    this.#assignAt(place, local, value)
  }

  /** At a place, stores what a local holds there, at an address in a parameter. */
  storeAt(place: Value, local: Local, name: StoreOp, param: number, offset: number): void {
    const what = instruction('store', name)
    const held = new Value(READ, local.type, place.scope, undefined, undefined)
    held.home = local.index
    this.#checkType(local, what.operands[1] as Type, 'storeAt')
    const node = new Value(EFFECT, 'i32', place.scope, what, undefined)
    node.hasResult = false
    node.a = this.param(param)
    node.b = held
    node.immediate = offset
    ;(place.rest as Value[]).push(node)
  }

  /** As check, for what may lie in a scope that has ended. */
  #checkType({ type }: Local, wanted: Type, user: string): void {
    if (type !== wanted) throw new Bug(`${user} in ${this.describe()} takes ${wanted}, not ${type}`)
  }

  #assignAt(place: Value, local: Local, value: Value): void {
    const set = new Value(SET, local.type, place.scope, undefined, undefined)
    set.hasResult = false
    set.local = local
    set.a = value
    ;(place.rest as Value[]).push(set)
  }

  /** A call of a function with at most one result; using the value of one without is a Bug. */
  call(func: FuncRef, ...args: Value[]): Value {
    return this.#single(this.#call(func, args), func.results)
  }

  /** A call of a function with any number of results. */
  callMany(func: FuncRef, ...args: Value[]): Value[] {
    return this.#many(this.#call(func, args), func.results)
  }

  /** Calls the entry `index` (an i32) of table 0. */
  callIndirect(params: Type[], results: Type[], index: Value, ...args: Value[]): Value {
    return this.#single(this.#callIndirect(params, results, index, args), results)
  }

  /** Ends this function with a call in its place. */
  returnCall(func: FuncRef, ...args: Value[]): void {
    this.checkAll(args, func.params, `return_call of ${func.name ?? func.index}`)
    this.#checkResults(func.results)
    const node = this.exit(CONTROL.returnCall)
    node.rest = args
    node.immediate = func.index
  }

  /** Ends this function with a call of the entry `index` (an i32) of table 0. */
  returnCallIndirect(params: Type[], results: Type[], index: Value, ...args: Value[]): void {
    this.checkAll(args, params, 'return_call_indirect')
    this.check(index, 'i32', 'return_call_indirect')
    this.#checkResults(results)
    const node = this.exit(CONTROL.returnCallIndirect)
    node.rest = [...args, index]
    node.immediate = this.#typeIndex(params, results)
  }

  ret(...values: Value[]): void {
    this.checkAll(values, this.func.results, 'return')
    this.exit(CONTROL.return).rest = values
  }

  unreachable(): void {
    this.exit(CONTROL.unreachable)
  }

  /** Runs `body`, whose label is its end. */
  block(body: (end: Label) => void): void {
    if (!this.isReachable) return
    this.statement(BLOCK)
    const scope = this.openScope(this.scope.depth + 1)
    body(new Label(scope))
    this.isReachable ||= scope.isTarget
    this.#closeStructure()
  }

  /** Runs `body`, whose label is its start: it is left at its end, or by a branch further out. */
  loop(body: (again: Label) => void): void {
    if (!this.isReachable) return
    this.loops++
    // What comes later in its body comes before the start of its next round.
    this.hasEffects = true
    this.statement(LOOP)
    const scope = this.openScope(this.scope.depth + 1)
    scope.loop = scope
    body(new Label(scope))
    this.#closeStructure()
  }

  if(condition: Value, then: () => void, otherwise?: () => void, hint?: Hint): void {
    this.check(condition, 'i32', 'if')
    if (!this.isReachable) return
    const test = simplifyCondition(condition)
    if (test.constant !== undefined) {
      this.#straight(test.constant === 0 ? otherwise : then)
      return
    }
    this.statement(IF, undefined, test).immediate2 = hintNumber(hint)
    this.openScope(this.scope.depth + 1)
    then()
    const thenReaches = this.isReachable
    this.isReachable = true
    if (otherwise) {
      this.closeScope(this.sequence.length)
      this.statement(ELSE)
      this.openScope(this.scope.depth + 1)
      otherwise()
      this.isReachable ||= thenReaches
    }
    this.#closeStructure()
  }

  /** The value of one of two arms; each is run only if it is chosen. */
  choose(
    type: Type,
    condition: Value,
    whenTrue: () => Value,
    whenFalse: () => Value,
    hint?: Hint,
  ): Value {
    this.check(condition, 'i32', 'choose')
    if (!this.isReachable) return this.#never(type)
    const test = simplifyCondition(condition)
    if (test.constant !== undefined) {
      const value = test.constant === 0 ? whenFalse() : whenTrue()
      if (!this.isReachable) return this.#never(type)
      this.check(value, type, 'choose')
      return value
    }
    const node = this.node(IF, type, undefined, test)
    node.immediate2 = hintNumber(hint)
    const scope = this.openScope(this.scope.depth + 1)
    this.#yield(type, whenTrue())
    const thenReaches = this.isReachable
    this.isReachable = true
    this.closeScope(this.sequence.length)
    this.statement(ELSE)
    this.openScope(scope.depth)
    this.#yield(type, whenFalse())
    this.isReachable ||= thenReaches
    return this.#closeStructure(type)
  }

  br(label: Label): void {
    const distance = this.#distance(label)
    this.exit(CONTROL.br).immediate = distance
  }

  /** Branches if the condition is not 0. */
  brIf(label: Label, condition: Value, hint?: Hint): void {
    this.check(condition, 'i32', 'br_if')
    const test = simplifyCondition(condition)
    if (test.constant === 0) return
    const distance = this.#distance(label)
    const node =
      test.constant === undefined
        ? this.statement(EFFECT, CONTROL.brIf, test)
        : this.exit(CONTROL.br)
    node.immediate = distance
    node.immediate2 = hintNumber(hint)
  }

  /** Branches to `labels[index]`, to `otherwise` if there are not so many; index is unsigned. */
  brTable(labels: readonly Label[], otherwise: Label, index: Value): void {
    this.check(index, 'i32', 'br_table')
    const distances = labels.map((label) => this.#distance(label))
    distances.push(this.#distance(otherwise))
    this.exit(CONTROL.brTable, index).list = distances
  }

  #call(func: FuncRef, args: Value[]): Value {
    this.hasEffects = true
    this.checkAll(args, func.params, `call of ${func.name ?? func.index}`)
    const node = this.statement(EFFECT, CONTROL.call)
    node.rest = args
    node.immediate = func.index
    return node
  }

  #callIndirect(params: Type[], results: Type[], index: Value, args: Value[]): Value {
    this.hasEffects = true
    this.checkAll(args, params, 'call_indirect')
    this.check(index, 'i32', 'call_indirect')
    const node = this.statement(EFFECT, CONTROL.callIndirect)
    node.rest = [...args, index]
    node.immediate = this.#typeIndex(params, results)
    return node
  }

  #single(node: Value, results: readonly Type[]): Value {
    if (results.length > 1) throw new Bug('a call with several results is made by callMany')
    return this.#many(node, results)[0] ?? node
  }

  #many(node: Value, results: readonly Type[]): Value[] {
    node.results = results.map(
      (type) => new Value(RESULT, type, this.scope, node.instruction, undefined),
    )
    return node.results
  }

  #checkResults(results: readonly Type[]): void {
    const own = this.func.results
    if (results.length === own.length && results.every((type, i) => type === own[i])) return
    throw new Bug(
      `${this.describe()} gives (${own.join()}) and cannot end with (${results.join()})`,
    )
  }

  /** An arm that is always taken: a scope of its own, but no structure of WebAssembly. */
  #straight(arm: (() => void) | undefined): void {
    if (!arm) return
    this.openScope(this.scope.depth)
    arm()
    this.closeScope(this.sequence.length)
  }

  #yield(type: Type, value: Value): void {
    if (!this.isReachable) return
    this.check(value, type, 'choose')
    this.statement(YIELD, undefined, value)
  }

  /** Closes a block, loop or if; it has a result if a type is given. */
  #closeStructure(type?: Type): Value {
    const reaches = this.isReachable
    this.isReachable = true
    this.closeScope(this.sequence.length)
    const end = type ? this.node(END, type, undefined) : this.statement(END)
    if (!reaches) this.exit(CONTROL.unreachable)
    return end
  }

  #never(type: Type): Value {
    return new Value(RESULT, type, this.scope, undefined, undefined)
  }

  #distance(label: Label): number {
    const target: Scope = label.scope
    if (!target.isOpen) throw new Bug(`${this.describe()} branches to a block that has ended`)
    if (this.isReachable) target.isTarget = true
    return this.scope.depth - target.depth
  }
}

function hintNumber(hint: Hint | undefined): number {
  if (hint === undefined) return 0
  return hint === 'likely' ? LIKELY : UNLIKELY
}
