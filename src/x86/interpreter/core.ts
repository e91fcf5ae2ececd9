// The core: the handlers that are plain once more, as the cases of one function, which takes
// their places in the table. It is a loop around a br_table on the handler of the next record.
//
// Why: a handler that is a function ends with return_call_indirect, for which V8 loads the
// instance of the callee from the table, and with the instance the memory and the table anew;
// these loads wait for each other. In one function all of that stays in registers, and nothing
// is left of a handler but what it does. bench/interpreter: 1.4 to 2 times as fast. What did not
// pay there: all handlers in one module (no difference), a table with the type of handlers (1 to
// 3 %), and, instead of the core, handlers for pairs of instructions (20 %).

import type { FunctionBuilder } from '../../wasm/function.ts'
import type { Label, Value } from '../../wasm/value.ts'
import type { RuntimeRefs } from '../emit/runtime.ts'
import type { HostInstruction } from '../host-instruction.ts'
import { CoreFlow, runFromTable } from './flow.ts'
import { emitHandler, type Handler } from './handler.ts'
import { RecordEmitter } from './record-emitter.ts'
import { REC_HANDLER } from './record.ts'

/** Writes the core, of handlers that are plain, into a function with a handler's parameters. */
export function emitCore(
  f: FunctionBuilder,
  handlers: readonly Handler[],
  runtime: RuntimeRefs,
  hostNumber: (run: HostInstruction) => number,
): void {
  const next = f.local('i32')
  const cpu = f.param(1)
  f.set(next, f.param(0))
  f.block((outside) => {
    f.loop((again) => {
      const labels: Label[] = []
      const emitCases = (count: number): void => {
        const handler = handlers[count - 1]
        if (!handler) return dispatch(f, f.get(next), handlers, labels, outside)
        f.block((label) => {
          labels[count - 1] = label
          emitCases(count - 1)
        })
        // Each case may retreat, whatever those before it have done.
        f.hasEffects = false
        const rec = f.get(next)
        const flow = new CoreFlow(f, next, again, rec, handler.slow)
        emitHandler(
          new RecordEmitter(f, handler.shape, { rec, cpu }, runtime, hostNumber, flow),
          handler,
        )
      }
      emitCases(handlers.length)
    })
  })
  runFromTable(f, f.get(next), cpu)
}

/** Goes to the case of a record's handler, or to `outside` if it has none. */
function dispatch(
  f: FunctionBuilder,
  rec: Value,
  handlers: readonly Handler[],
  labels: readonly Label[],
  outside: Label,
): void {
  const byIndex: Label[] = []
  for (const [i, { index }] of handlers.entries()) byIndex[index] = labels[i] as Label
  const all = Array.from(byIndex, (label) => label ?? outside)
  f.brTable(all, outside, f.load('i32.load', rec, REC_HANDLER))
}
