// How a region calls code that is not its own: the handler of the record that a CALL leads to is
// called as a function of WebAssembly, and whatever executes the RET that leads behind the CALL, be it
// another region or the interpreter, comes back to its caller instead of going on (RETURN_RIP). So the
// engine's own stack predicts returns, and a region goes on behind its calls. Anything may happen in
// between. What ends otherwise has its reason in EXIT and everything in the state block: all callers
// come back at once then, to the run loop.

import type { FunctionBuilder } from '../../wasm/function.ts'
import type { FuncRef } from '../../wasm/graph.ts'
import type { ModuleBuilder } from '../../wasm/module.ts'
import type { Value } from '../../wasm/value.ts'
import { HANDLER_PARAMS } from '../interpreter/flow.ts'
import * as R from '../interpreter/record.ts'
import * as S from '../state.ts'

/**
 * Declares the function that calls the handler of a record: `(record, cpu, rip base, rip) -> has it
 * returned to rip`, with what the caller has left of its budget in BUDGET, and the registers in the
 * state block. It sees to all that is the same for every call; RIP_BASE gets the given value behind it.
 */
export function declareNestedCall(module: ModuleBuilder): FuncRef {
  const func = module.declare(['i32', 'i32', 'i64', 'i64'], ['i32'], 'runtime.nested_call')
  module.body(func, (f) => {
    const [rec, cpu, base, back] = [f.param(0), f.param(1), f.param(2), f.param(3)]
    const budget = f.load('i32.load', cpu, S.BUDGET)
    countTranslated(f, cpu, f.sub(f.i64(0), f.extendU(budget)))
    const left = f.sub(budget, f.load('i32.load8_u', rec, R.REC_LEFT))
    const calls = f.load('i32.load', cpu, S.CALLS_LEFT)
    const isShort = f.ltS(left, f.i32(0))
    f.if(
      f.or(isShort, f.eqz(calls)),
      () => {
        const length = f.load('i64.load8_u', rec, R.REC_LENGTH)
        const offset = f.sub(f.load('i64.load16_u', rec, R.REC_END), length)
        f.store('i64.store', cpu, f.add(f.load('i64.load', cpu, S.RIP_BASE), offset), S.RIP)
        const exit = f.select(isShort, f.i32(S.EXIT_BUDGET), f.i32(S.EXIT_LOOK))
        f.store('i32.store', cpu, exit, S.EXIT)
        f.ret(f.i32(0))
      },
      undefined,
      'unlikely',
    )
    f.store('i32.store', cpu, left, S.BUDGET)
    const outer = f.load('i64.load', cpu, S.RETURN_RIP)
    const key = f.load('i64.load', cpu, S.JUMP_KEY)
    f.store('i64.store', cpu, back, S.RETURN_RIP)
    f.store('i32.store', cpu, f.sub(calls, f.i32(1)), S.CALLS_LEFT)
    const handler = f.load('i32.load', rec, R.REC_HANDLER)
    const following = f.load('i32.load', rec, R.RECORD_SIZE + R.REC_HANDLER)
    f.callIndirect(HANDLER_PARAMS, [], handler, rec, cpu, following)
    const hasReturned = f.eq(f.load('i64.load', cpu, S.RETURN_RIP), f.i64(S.NO_RETURN))
    f.if(f.eqz(hasReturned), () => f.ret(f.i32(0)), undefined, 'unlikely')
    f.store('i64.store', cpu, outer, S.RETURN_RIP)
    f.store('i32.store', cpu, calls, S.CALLS_LEFT)
    f.if(
      f.ne(f.load('i64.load', cpu, S.JUMP_KEY), key),
      () => {
        // Mappings, decoded code or the mode have changed: the caller may not be there any more.
        f.store('i64.store', cpu, back, S.RIP)
        f.store('i32.store', cpu, f.i32(S.EXIT_LOOK), S.EXIT)
        f.ret(f.i32(0))
      },
      undefined,
      'unlikely',
    )
    f.store('i64.store', cpu, base, S.RIP_BASE)
    countTranslated(f, cpu, f.extendU(f.load('i32.load', cpu, S.BUDGET)))
    f.ret(f.i32(1))
  })
  return func
}

/**
 * Adds to the count of instructions that regions execute. They add what they have of the budget when
 * they get it, and subtract what is left of it when they give it away.
 */
export function countTranslated(f: FunctionBuilder, cpu: Value, more: Value): void {
  f.store('i64.store', cpu, f.add(f.load('i64.load', cpu, S.TRANSLATED), more), S.TRANSLATED)
}
