// How the code of an instruction goes on when it is done. All handlers have one signature and
// call each other's place in the table as their last act; in the core (core.ts) they are cases of
// one function, and going on is a branch.

import type { FunctionBuilder } from '../../wasm/function.ts'
import type { FuncRef } from '../../wasm/graph.ts'
import type { Type } from '../../wasm/opcodes.ts'
import type { Label, Local, Value } from '../../wasm/value.ts'
import { RECORD_SIZE, REC_HANDLER } from './record.ts'

/**
 * What a handler is called with: its record, the processor, and the number of the handler of the
 * following record. That number is loaded one instruction ahead, because the load of it, of the
 * function and instance in the table and of the instance's memory wait for each other, and take
 * longer than most instructions: 10 instead of 16 cycles, or a fifth less time in
 * bench/interpreter. Slow forms do not rely on it: what they did may have dropped the block.
 */
export const HANDLER_PARAMS: Type[] = ['i32', 'i32', 'i32']

/** Both ways end the path. */
export interface Flow {
  /** Runs a record; `isFollowing`: the one after this, which is what it was when this started. */
  run(rec: Value, isFollowing: boolean): void
  /** Starts this instruction anew, in its slow form. A slow form itself has no such way. */
  readonly retreat?: () => void
}

/** Runs a record by the table. Ends the path. */
export function runFromTable(
  f: FunctionBuilder,
  rec: Value,
  cpu: Value,
  handler = f.load('i32.load', rec, REC_HANDLER),
): void {
  const following = f.load('i32.load', rec, RECORD_SIZE + REC_HANDLER)
  f.returnCallIndirect(HANDLER_PARAMS, [], handler, rec, cpu, following)
}

/** The usual form of a handler as a function. */
export class FastFlow implements Flow {
  readonly #f: FunctionBuilder
  readonly #slow: () => FuncRef

  /** `slow` declares the slow form when it is needed for the first time. */
  constructor(f: FunctionBuilder, slow: () => FuncRef) {
    this.#f = f
    this.#slow = slow
  }

  run(rec: Value, isFollowing: boolean): void {
    const f = this.#f
    runFromTable(f, rec, f.param(1), isFollowing ? f.param(2) : undefined)
  }

  retreat(): void {
    const f = this.#f
    f.returnCall(this.#slow(), f.param(0), f.param(1), f.i32(0))
  }
}

/** The form of a handler that copes with everything. */
export class SlowFlow implements Flow {
  readonly #f: FunctionBuilder

  constructor(f: FunctionBuilder) {
    this.#f = f
  }

  run(rec: Value): void {
    runFromTable(this.#f, rec, this.#f.param(1))
  }
}

/** A handler as a case of the core. */
export class CoreFlow implements Flow {
  readonly #f: FunctionBuilder
  readonly #next: Local
  readonly #again: Label
  readonly #rec: Value
  readonly #slow: number

  /** The core goes on at `again` with the record in `next`; `slow`: place of the slow form. */
  constructor(f: FunctionBuilder, next: Local, again: Label, rec: Value, slow: number) {
    this.#f = f
    this.#next = next
    this.#again = again
    this.#rec = rec
    this.#slow = slow
  }

  run(rec: Value): void {
    this.#f.set(this.#next, rec)
    this.#f.br(this.#again)
  }

  retreat(): void {
    const f = this.#f
    f.returnCallIndirect(HANDLER_PARAMS, [], f.i32(this.#slow), this.#rec, f.param(1), f.i32(0))
  }
}
