// What regions call where a site has another page than the one wanted: the look into the TLB, as
// memory.ts has it for the interpreter. One copy in a module instead of one at each access.

import type { FuncRef } from '../../wasm/graph.ts'
import type { ModuleBuilder } from '../../wasm/module.ts'
import { TLB_INDEX_MASK, TLB_SET_SHIFT, TLB_WAY } from '../mmu/tlb.ts'
import { TLB_BASE } from '../state.ts'

const PAGE_SHIFT = 12
const PAGE_MASK = -4096

/**
 * Declares the function: the state block, the linear addresses of the first and the last byte, and
 * the tag that permits the access. Gives the host address of the entry that does, or 0.
 */
export function emitProbe(module: ModuleBuilder): FuncRef {
  const func = module.declare(['i32', 'i64', 'i64', 'i32'], ['i32'], 'probe')
  module.body(func, (f) => {
    const index = f.and(
      f.wrap(f.shrU(f.param(1), f.i64(PAGE_SHIFT - TLB_SET_SHIFT))),
      f.i32(TLB_INDEX_MASK << TLB_SET_SHIFT),
    )
    const first = f.add(f.load('i32.load', f.param(0), TLB_BASE), index)
    const page = f.and(f.param(2), f.i64(PAGE_MASK))
    const tag = f.add(first, f.param(3))
    const isFirst = f.eq(f.load('i64.load', tag), page)
    f.if(isFirst, () => f.ret(first), undefined, 'likely')
    const isSecond = f.eq(f.load('i64.load', tag, TLB_WAY), page)
    f.ret(f.select(isSecond, f.add(first, f.i32(TLB_WAY)), f.i32(0)))
  })
  return func
}
