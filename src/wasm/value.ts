// The nodes of the graph that a function is recorded as. Values and statements are of one class, so
// that V8 sees one shape in the hot loops of recording, planning and encoding (bench/wasm-encode.ts).

import type { Instruction, Type } from './opcodes.ts'

/** A constant: emitted at each use, belongs to no function. */
export const CONST = 0
/** A read of a local or parameter. */
export const READ = 1
/** May be computed anywhere, any number of times, or not at all. */
export const PURE = 2
/** May be computed until the memory next changes, or not at all. */
export const LOAD = 3
/** Happens where it was recorded; may have a result. */
export const EFFECT = 4
/** One of several results of a call. */
export const RESULT = 5
/** Assigns to a local. */
export const SET = 6
/** Leaves a value on the stack: the result of an arm. */
export const YIELD = 7
export const BLOCK = 8
export const LOOP = 9
export const IF = 10
export const ELSE = 11
/** The end of a block, loop or if; in the last case perhaps its result. */
export const END = 12
/** Assignments and stores (`rest`) that are added until the function ends. */
export const PLACE = 13

/** Branch hints. */
export const LIKELY = 1
export const UNLIKELY = 2

/** A sequence of statements that a value lives in: the function, an arm or a body. */
export interface Scope {
  readonly parent: Scope | undefined
  /** The builder of the function. */
  readonly owner: object | undefined
  /** Scopes around it. */
  readonly level: number
  /** Structures of WebAssembly around it; the distance of a branch is a difference of these. */
  readonly depth: number
  /** The innermost loop that this scope is or lies in. */
  loop: Scope | undefined
  /** Where its structure ends in the sequence of the function; set when it is closed. */
  end: number
  isOpen: boolean
  /** A branch goes to its label. */
  isTarget: boolean
}

/** The target of a branch: the end of a block or the start of a loop. */
export class Label {
  /** @internal */
  readonly scope: Scope

  constructor(scope: Scope) {
    this.scope = scope
  }
}

/** A variable of a function. */
export class Local {
  readonly type: Type
  /** @internal */
  readonly index: number
  /** @internal The builder of the function. */
  readonly owner: object
  /** @internal What it holds, if that was read or assigned since the last loop began. */
  current: Value | undefined = undefined
  /** @internal Where `current` was recorded. */
  currentScope: Scope | undefined = undefined
  /** @internal The count of loops begun when `current` was recorded. */
  currentLoops = 0
  /** @internal Planning walks backwards: the next assignment after the place it has reached. */
  nextSet = Number.MAX_SAFE_INTEGER

  constructor(type: Type, index: number, owner: object) {
    this.type = type
    this.index = index
    this.owner = owner
  }
}

/** A value that a function computes. Usable in the scope it was created in, and in inner ones. */
export class Value {
  readonly type: Type
  /** Of i32 (signed), f32, f64: a number. Of i64 (signed): a bigint. Else undefined. */
  readonly constant: number | bigint | undefined
  /** @internal */
  readonly kind: number
  /** @internal */
  readonly scope: Scope
  /** @internal */
  readonly instruction: Instruction | undefined
  /** @internal False of statements, and of calls without a result. */
  hasResult = true
  /** @internal */
  a: Value | undefined = undefined
  /** @internal */
  b: Value | undefined = undefined
  /** @internal */
  c: Value | undefined = undefined
  /** @internal Operands of calls and returns; of END, locals that fall free there; see PLACE. */
  rest: Value[] | undefined = undefined
  /** @internal Several results of a call. */
  results: Value[] | undefined = undefined
  /** @internal Offset, index, distance; low half of a constant of 64 bits. */
  immediate = 0
  /** @internal Lane, table index, branch hint; high half of a constant of 64 bits. */
  immediate2 = 0
  /** @internal Bytes of a vector, lanes of a shuffle, distances of a branch table. */
  list: ArrayLike<number> | undefined = undefined
  /** @internal */
  local: Local | undefined = undefined
  /** @internal Depth of the expression below it. */
  height = 0
  /** @internal Place in the sequence of the function. */
  position = -1
  /** @internal Uses by what is not dead. */
  uses = 0
  /** @internal The innermost scope that all uses lie in. */
  useScope: Scope | undefined = undefined
  /** @internal The last place it is needed at, loops considered. */
  lastUse = -1
  /** @internal The node in whose code this one is computed; itself, if where it was recorded. */
  site: Value | undefined = undefined
  /** @internal The local that holds it, or -1. */
  home = -1

  constructor(
    kind: number,
    type: Type,
    scope: Scope,
    instruction: Instruction | undefined,
    constant: number | bigint | undefined,
  ) {
    this.kind = kind
    this.type = type
    this.scope = scope
    this.instruction = instruction
    this.constant = constant
  }
}
