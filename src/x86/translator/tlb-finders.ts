// Functions that look into the TLB for the regions of a module: what is seldom looked for costs a
// call there instead of the code of a look. `(cpu, linear address, its last byte) -> entry, or 0`.

import type { FuncRef } from '../../wasm/graph.ts'
import type { ModuleBuilder } from '../../wasm/module.ts'
import { TlbProbe } from '../emit/tlb-probe.ts'
import { TLB_READ, TLB_WRITE } from '../mmu/tlb.ts'

/** By the tag that permits the access. */
export type TlbFinders = ReadonlyMap<number, FuncRef>

export function declareTlbFinders(module: ModuleBuilder): TlbFinders {
  const declare = (name: string, tag: number): [number, FuncRef] => {
    const func = module.declare(['i32', 'i64', 'i64'], ['i32'], name)
    module.body(func, (f) => {
      const [linear, last] = [f.param(1), f.param(2)]
      const probe = new TlbProbe(f, f.param(0))
      f.ret(probe.found(linear, last, tag, () => f.ret(f.i32(0))))
    })
    return [tag, func]
  }
  return new Map([declare('find_readable', TLB_READ), declare('find_writable', TLB_WRITE)])
}
