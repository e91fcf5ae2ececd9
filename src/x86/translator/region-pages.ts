// The other pages that a region goes on to. Whether the code that it was made of still lies there is
// looked at where it goes to one for the first time; what was found is kept in a few bytes beside
// the region's code, for as long as neither mappings, nor decoded code, nor the mode change, and the
// region is entered at the same address:
//
//   +0 i64 JUMP_KEY and CODE_EPOCH of the processor    +8 i64 RIP_BASE
//   +16 i32 pages that were found, a bit each
//
// If one block that is looked for lies there, so do the others: a region whose blocks are dropped is
// dropped as well (region-uses.ts).

import type { FunctionBuilder } from '../../wasm/function.ts'
import type { FuncRef } from '../../wasm/graph.ts'
import type { ModuleBuilder } from '../../wasm/module.ts'
import type { Local, Value } from '../../wasm/value.ts'
import { HANDLER_DEAD } from '../interpreter/handlers.ts'
import { probeJumpCache } from '../interpreter/jump-probe.ts'
import * as R from '../interpreter/record.ts'
import * as S from '../state.ts'

/** Bytes that are kept for a region. */
export const PAGES_SIZE = 24
const BASE = 8
const FOUND = 16
/** Pages that have a bit; others are looked for each time. */
const MOST_PAGES = 32

/** Declares the function that looks for a page, `(cpu, linear address, record) -> is it there`. */
export function declarePageFinder(module: ModuleBuilder): FuncRef {
  const func = module.declare(['i32', 'i64', 'i32'], ['i32'], 'runtime.find_page')
  module.body(func, (f) => {
    const [cpu, rec] = [f.param(0), f.param(2)]
    const { entry, isHit } = probeJumpCache(f, cpu, f.param(1))
    const isSame = f.eq(f.load('i32.load', entry, 8), rec)
    // The jump cache does not notice when a block is dropped.
    const isAlive = f.ne(f.load('i32.load', rec, R.REC_HANDLER), f.i32(HANDLER_DEAD))
    f.ret(f.and(f.and(isHit, isSame), isAlive))
  })
  return func
}

export class RegionPages {
  readonly #f: FunctionBuilder
  /** Where the region's bytes lie, and what looks for a page. */
  readonly #at: number
  readonly #finder: FuncRef
  readonly #found: Local
  readonly #bits = new Map<number, number>()

  constructor(f: FunctionBuilder, at: number, finder: FuncRef) {
    this.#f = f
    this.#at = at
    this.#finder = finder
    this.#found = f.local('i32')
  }

  /** To be emitted where the region is entered. */
  enter(cpu: Value, base: Value): void {
    const f = this.#f
    const at = f.i32(this.#at)
    const current = f.load('i64.load', cpu, S.JUMP_KEY)
    f.set(this.#found, f.load('i32.load', at, FOUND))
    const isOther = f.ne(current, f.load('i64.load', at, 0))
    f.if(
      f.or(isOther, f.ne(base, f.load('i64.load', at, BASE))),
      () => {
        f.store('i64.store', at, current, 0)
        f.store('i64.store', at, base, BASE)
        f.store('i32.store', at, f.i32(0), FOUND)
        f.set(this.#found, f.i32(0))
      },
      undefined,
      'unlikely',
    )
  }

  /** Looks whether the block of a record still lies at a linear address; does `otherwise` if not. */
  look(page: number, cpu: Value, linear: Value, rec: number, otherwise: () => void): void {
    const f = this.#f
    const { hasEffects } = f
    const bit = this.#bitOf(page)
    f.if(
      f.eqz(f.and(f.get(this.#found), f.i32(bit))),
      () => {
        const isThere = f.call(this.#finder, cpu, linear, f.i32(rec))
        // Nothing has happened that a guest could see.
        f.hasEffects = hasEffects
        f.if(f.eqz(isThere), otherwise, undefined, 'unlikely')
        f.set(this.#found, f.or(f.get(this.#found), f.i32(bit)))
        f.store('i32.store', f.i32(this.#at), f.get(this.#found), FOUND)
      },
      undefined,
      'unlikely',
    )
    f.hasEffects = hasEffects
  }

  #bitOf(page: number): number {
    const known = this.#bits.get(page)
    if (known !== undefined) return known
    const bit = this.#bits.size < MOST_PAGES ? (1 << this.#bits.size) | 0 : 0
    this.#bits.set(page, bit)
    return bit
  }
}
