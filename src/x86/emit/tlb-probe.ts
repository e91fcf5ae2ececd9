// How emitted code looks into the software TLB (mmu/tlb.ts). An access is looked up by its first
// byte; that the page of its last byte is the entry's says at once that it does not go on in
// another page.

import type { FunctionBuilder } from '../../wasm/function.ts'
import type { Value } from '../../wasm/value.ts'
import {
  TLB_ADDEND,
  TLB_INDEX_MASK,
  TLB_IS_GLOBAL,
  TLB_READ,
  TLB_SET_SHIFT,
  TLB_WAY,
} from '../mmu/tlb.ts'
import { TLB_BASE } from '../state.ts'

const PAGE_SHIFT = 12
/** How the used bytes of an entry are loaded and stored. */
const PARTS = [
  ['v128.load', 'v128.store', TLB_READ],
  ['i64.load', 'i64.store', TLB_ADDEND],
] as const

export class TlbProbe {
  readonly #f: FunctionBuilder
  readonly #cpu: Value

  constructor(f: FunctionBuilder, cpu: Value) {
    this.#f = f
    this.#cpu = cpu
  }

  /** i32: host address of the first entry of the set for a linear address. */
  set(linear: Value): Value {
    const f = this.#f
    const index = f.and(
      f.wrap(f.shrU(linear, f.i64(PAGE_SHIFT - TLB_SET_SHIFT))),
      f.i32(TLB_INDEX_MASK << TLB_SET_SHIFT),
    )
    return f.add(f.load('i32.load', this.#cpu, TLB_BASE), index)
  }

  /** i64: the last of `size` bytes. */
  last(linear: Value, size: number): Value {
    return this.#f.add(linear, this.#f.i64(size - 1))
  }

  /** i32: an entry allows the access that `tag` is for, up to its `last` byte. */
  hit(last: Value, entry: Value, tag: number): Value {
    const f = this.#f
    return f.eq(f.and(last, f.i64(-4096)), f.load('i64.load', entry, tag))
  }

  /**
   * i32: host address of the entry that may allow an access. The second one of a set becomes the
   * first: fast forms look there only.
   */
  entry(linear: Value, last: Value, tag: number): Value {
    const f = this.#f
    const first = this.set(linear)
    return f.choose(
      'i32',
      this.hit(last, first, tag),
      () => first,
      () => {
        const second = f.add(first, f.i32(TLB_WAY))
        // Lists of what a flush takes go by places: those of both are the same then.
        const isGlobal = (entry: Value) => f.load('i32.load', entry, TLB_IS_GLOBAL)
        const isAlike = f.eq(isGlobal(first), isGlobal(second))
        return f.choose(
          'i32',
          f.and(this.hit(last, second, tag), isAlike),
          () => {
            this.#exchange(first, second)
            return first
          },
          () => second,
        )
      },
      'likely',
    )
  }

  #exchange(first: Value, second: Value): void {
    const f = this.#f
    for (const [load, store, at] of PARTS) {
      const [one, other] = [f.load(load, first, at), f.load(load, second, at)]
      f.store(store, first, other, at)
      f.store(store, second, one, at)
    }
  }

  /** i32: host address of the entry that allows an access; `otherwise` is for when there is none. */
  found(linear: Value, last: Value, tag: number, otherwise: () => void): Value {
    const f = this.#f
    const first = this.set(linear)
    return f.choose(
      'i32',
      this.hit(last, first, tag),
      () => first,
      () => {
        const second = f.add(first, f.i32(TLB_WAY))
        f.if(f.eqz(this.hit(last, second, tag)), otherwise, undefined, 'unlikely')
        return second
      },
      'likely',
    )
  }

  /** i32: host offset of a linear address by its entry. */
  translated(linear: Value, entry: Value): Value {
    const f = this.#f
    return f.add(f.wrap(linear), f.load('i32.load', entry, TLB_ADDEND))
  }
}
