// The recording of a function: the sequence of its nodes in the order of their creation, the scopes,
// and the checks. What can be recorded is in arithmetic.ts and function.ts; how it becomes bytes is
// in plan.ts and emit.ts.

import { Bug } from '../base/errors.ts'
import { constantI32, constantI64 } from './constants.ts'
import type { Instruction, Type } from './opcodes.ts'
import { CONST, EFFECT, Local, READ, type Scope, Value } from './value.ts'

/** A function of a module. */
export interface FuncRef {
  /** Index in the module. */
  readonly index: number
  readonly typeIndex: number
  readonly params: readonly Type[]
  readonly results: readonly Type[]
  readonly name: string | undefined
}

/** Records nodes; the base of FunctionBuilder. */
export class Graph {
  readonly func: FuncRef
  /** The type of addresses: i32, or i64 if the memory has 64 bits. */
  readonly addressType: Type
  /** @internal */
  readonly sequence: Value[] = []
  /** Has anything been recorded that changes memory, or a call that comes back? */
  hasEffects = false
  /** @internal Types of the locals, parameters left out. */
  readonly localTypes: Type[] = []
  protected scope: Scope
  /** False after an unconditional exit, until the end of the scope. */
  protected isReachable = true
  protected loops = 0
  readonly #outermost: Scope
  readonly #params: Value[] = []

  constructor(func: FuncRef, addressType: Type) {
    this.func = func
    this.addressType = addressType
    this.scope = {
      parent: undefined,
      owner: this,
      level: 0,
      depth: 0,
      loop: undefined,
      end: 0,
      isOpen: true,
      isTarget: false,
    }
    this.#outermost = this.scope
    for (let i = 0; i < func.params.length; i++) {
      const value = new Value(READ, func.params[i] as Type, this.scope, undefined, undefined)
      value.home = i
      this.#params.push(value)
    }
  }

  /** How much has been recorded: values and statements. */
  get size(): number {
    return this.sequence.length
  }

  /** How many scopes (arms, blocks, loops) are open here. */
  get level(): number {
    return this.scope.level
  }

  /** Can what is recorded next be reached? */
  get isLive(): boolean {
    return this.isReachable
  }

  /** Is what comes next part of a loop's body? */
  get isInLoop(): boolean {
    return this.scope.loop !== undefined
  }

  /** The parameter as it was at the call. */
  param(index: number): Value {
    const value = this.#params[index]
    if (!value) throw new Bug(`${this.describe()} has no parameter ${index}`)
    return value
  }

  /** A new variable; zero at first. */
  local(type: Type): Local {
    const index = this.func.params.length + this.localTypes.push(type) - 1
    return new Local(type, index, this)
  }

  /** What the local holds at this point: later assignments do not change it. */
  get(local: Local): Value {
    this.#checkLocal(local)
    const current = local.current
    if (current && local.currentLoops === this.loops && local.currentScope?.isOpen) return current
    const value = new Value(READ, local.type, this.scope, undefined, undefined)
    value.local = local
    this.append(value)
    local.current = value
    local.currentScope = this.scope
    local.currentLoops = this.loops
    return value
  }

  /** @internal Ends the recording; says whether the end of the function can be reached. */
  finish(): boolean {
    if (this.scope !== this.#outermost) throw new Bug(`${this.describe()} ends inside a block`)
    this.scope.isOpen = false
    this.scope.end = this.sequence.length
    return this.isReachable
  }

  /** @internal For messages. */
  describe(): string {
    return this.func.name ? `function ${this.func.name}` : `function ${this.func.index}`
  }

  protected assign(local: Local, set: Value): void {
    this.#checkLocal(local)
    set.local = local
    this.append(set)
    if (!this.isReachable) return
    local.current = set.a?.kind === CONST ? set.a : undefined
    local.currentScope = this.scope
    local.currentLoops = this.loops
  }

  protected append(node: Value): void {
    if (!this.isReachable) return
    node.position = this.sequence.push(node) - 1
  }

  /** A node with its place in the sequence. */
  protected node(
    kind: number,
    type: Type,
    what: Instruction | undefined,
    a?: Value,
    b?: Value,
  ): Value {
    const node = new Value(kind, type, this.scope, what, undefined)
    node.a = a
    node.b = b
    this.append(node)
    return node
  }

  /** A node that gives no value. */
  protected statement(kind: number, what?: Instruction, a?: Value, b?: Value): Value {
    const node = this.node(kind, 'i32', what, a, b)
    node.hasResult = false
    return node
  }

  /** A statement after which nothing of this scope is reached. */
  protected exit(what: Instruction, a?: Value): Value {
    const node = this.statement(EFFECT, what, a)
    this.isReachable = false
    return node
  }

  protected openScope(depth: number): Scope {
    const parent = this.scope
    this.scope = {
      parent,
      owner: this,
      level: parent.level + 1,
      depth,
      loop: parent.loop,
      end: 0,
      isOpen: true,
      isTarget: false,
    }
    return this.scope
  }

  protected closeScope(end: number): void {
    this.scope.isOpen = false
    this.scope.end = end
    this.scope = this.scope.parent as Scope
  }

  /** Throws unless the value can be used here and has this type. */
  protected check(value: Value, type: Type, user: string): void {
    if (value.type !== type || !value.hasResult) {
      const got = value.hasResult
        ? value.type
        : `a ${value.instruction?.name ?? 'statement'} without result`
      throw new Bug(`${user} in ${this.describe()} takes ${type}, not ${got}`)
    }
    this.checkScope(value, user)
  }

  protected checkScope(value: Value, user: string): void {
    if (value.kind === CONST) return
    if (!value.hasResult) throw new Bug(`${user} in ${this.describe()} uses what has no result`)
    if (value.scope.isOpen && value.scope.owner === this) return
    throw new Bug(
      `${user} in ${this.describe()} uses a value (${value.instruction?.name ?? value.type}) ` +
        'of another function, or of a block, loop or arm that has ended',
    )
  }

  protected checkAll(values: readonly Value[], types: readonly Type[], user: string): void {
    if (values.length !== types.length) {
      throw new Bug(
        `${user} in ${this.describe()} takes ${types.length} values, not ${values.length}`,
      )
    }
    for (let i = 0; i < types.length; i++) this.check(values[i] as Value, types[i] as Type, user)
  }

  /** A constant of a type of integers. */
  protected integer(type: Type, n: number): Value {
    return type === 'i64' ? constantI64(n) : constantI32(n)
  }

  #checkLocal(local: Local): void {
    if (local.owner !== this) {
      throw new Bug(`${this.describe()} uses a local of another function`)
    }
  }
}
