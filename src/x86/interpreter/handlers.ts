// The table of handlers: one for each row of the opcode table in each shape it is met in. They
// are emitted when the first instruction of their kind is decoded, in one module a block.

import type { FunctionBuilder } from '../../wasm/function.ts'
import type { FuncRef } from '../../wasm/graph.ts'
import type { Value } from '../../wasm/value.ts'
import { ModuleBuilder } from '../../wasm/module.ts'
import type { Row } from '../decode/row.ts'
import { importRuntime, type Runtime } from '../emit/runtime.ts'
import type { Shape } from '../emit/operand.ts'
import type { HostInstruction } from '../host-instruction.ts'
import type { HostMemory } from '../memory/host-memory.ts'
import * as S from '../state.ts'
import { bindOperands } from './bind.ts'
import { HANDLER_PARAMS, RecordEmitter, type SlowForm } from './record-emitter.ts'
import { REC_HANDLER, RECORD_SIZE } from './record.ts'
import { preamble } from './preamble.ts'

const TABLE_SIZE = 32768
/** Handlers that are not instructions. Index 0 stays null, so that a zeroed record traps. */
export const HANDLER_DEAD = 1
export const HANDLER_STOP = 2
const FIRST_FREE = 3

const NO_OPERANDS: Shape = {
  operandSize: 64,
  addressSize: 64,
  codeSize: 64,
  stackSize: 64,
  form: 0,
  rep: 0,
  near: false,
}

/** Starts the interpreter at a record. */
export type Enter = (rec: number, cpu: number) => void

type Pending = { readonly index: number; readonly row: Row; readonly shape: Shape }

export class Handlers {
  readonly enter: Enter
  readonly #memory: HostMemory
  readonly #table: WebAssembly.Table
  readonly #runtime: Runtime
  readonly #indices = new Map<number, number>()
  readonly #names: string[] = []
  readonly #hostNumbers = new Map<HostInstruction, number>()
  readonly #hostInstructions: HostInstruction[] = []
  #pending: Pending[] = []
  #next = FIRST_FREE
  #isHeld = false
  modules = 0
  bytes = 0

  constructor(memory: HostMemory, runtime: Runtime) {
    this.#memory = memory
    this.#runtime = runtime
    this.#table = new WebAssembly.Table({ element: 'anyfunc', initial: TABLE_SIZE })
    this.enter = this.#emitBuiltIns()
  }

  /** Number of handlers that exist. */
  get count(): number {
    return this.#next
  }

  /** What a handler executes, for diagnostics. */
  nameOf(index: number): string {
    return this.#names[index] ?? `handler ${index}`
  }

  hostInstruction(id: number): HostInstruction {
    return this.#hostInstructions[id] as HostInstruction
  }

  readonly #hostNumber = (run: HostInstruction): number => {
    const known = this.#hostNumbers.get(run)
    if (known !== undefined) return known
    const id = this.#hostInstructions.push(run) - 1
    this.#hostNumbers.set(run, id)
    return id
  }

  /** Index of the handler for a row in a shape; it exists from the next flush on. */
  index(row: Row, shape: Shape): number {
    const key = keyOf(row, shape)
    const known = this.#indices.get(key)
    if (known !== undefined) return known
    const index = this.#next++
    this.#indices.set(key, index)
    this.#names[index] = `${row.name} ${row.text} /${shape.operandSize} form ${shape.form}`
    this.#pending.push({ index, row, shape })
    return index
  }

  /** Until release() no handler is emitted; then all that were asked for are, in one module. */
  hold(): void {
    this.#isHeld = true
  }

  release(): void {
    this.#isHeld = false
    this.flush()
  }

  /** Emits the handlers that were asked for and do not exist yet. */
  flush(): void {
    if (this.#pending.length === 0 || this.#isHeld) return
    const pending = this.#pending
    this.#pending = []
    const module = this.#newModule()
    const runtime = importRuntime(module)
    for (const { index, row, shape } of pending) {
      const name = `${row.name}_${index}`
      const func = module.declare(HANDLER_PARAMS, [], name)
      module.element(index, [func])
      const emit = (f: FunctionBuilder, slow?: SlowForm) => {
        const e = new RecordEmitter(f, shape, runtime, this.#hostNumber, slow)
        preamble(e, row)
        row.meaning(e, ...bindOperands(row, shape))
        if (!row.attributes.has('end')) e.next()
      }
      let slow: FuncRef | undefined
      const slowForm = () => {
        slow ??= module.declare(HANDLER_PARAMS, [], `${name}_slow`)
        return slow
      }
      module.body(func, (f) => emit(f, slowForm))
      if (slow) module.body(slow, (f) => emit(f))
    }
    this.#instantiate(module)
  }

  #newModule(): ModuleBuilder {
    const module = new ModuleBuilder()
    module.importMemory('env', 'memory', { min: 1 })
    module.importTable('env', 'table', { min: TABLE_SIZE })
    return module
  }

  #instantiate(module: ModuleBuilder): Record<string, unknown> {
    const bytes = module.finish()
    this.modules++
    this.bytes += bytes.length
    return new WebAssembly.Instance(new WebAssembly.Module(bytes), {
      env: { memory: this.#memory.memory, table: this.#table },
      runtime: this.#runtime,
    }).exports
  }

  #emitBuiltIns(): Enter {
    const module = this.#newModule()
    const runtime = importRuntime(module)
    const leave = (name: string, index: number, build: (e: RecordEmitter, rec: Value) => void) => {
      const func = module.declare(HANDLER_PARAMS, [], name)
      module.element(index, [func])
      module.body(func, (f) => {
        build(new RecordEmitter(f, NO_OPERANDS, runtime, this.#hostNumber), f.param(0))
      })
    }
    leave('dead', HANDLER_DEAD, (e, rec) => {
      e.stateStore('i32.store', S.EXIT_RECORD, rec)
      e.stateStore('i32.store', S.EXIT, e.f.i32(S.EXIT_DEAD))
    })
    leave('stop', HANDLER_STOP, (e) => e.leaveTo(e.thisRip(), S.EXIT_BUDGET))
    const enter = module.declare(['i32', 'i32'], [], 'enter')
    module.body(enter, (f) => {
      const rec = f.param(0)
      const handler = f.load('i32.load', rec, REC_HANDLER)
      const following = f.load('i32.load', rec, RECORD_SIZE + REC_HANDLER)
      f.callIndirect(HANDLER_PARAMS, [], handler, rec, f.param(1), following)
    })
    module.exportFunction(enter, 'enter')
    return this.#instantiate(module)['enter'] as Enter
  }
}

const SIZE_CODE = { 16: 0, 32: 1, 64: 2 } as const
const REP_CODE = { 0: 0, 0xf2: 1, 0xf3: 2 } as const

function keyOf(row: Row, shape: Shape): number {
  let key = row.id
  key = key * 8 + shape.form
  key = key * 3 + SIZE_CODE[shape.operandSize]
  key = key * 3 + SIZE_CODE[shape.addressSize]
  key = key * 3 + SIZE_CODE[shape.codeSize]
  key = key * 3 + SIZE_CODE[shape.stackSize]
  key = key * 3 + REP_CODE[shape.rep]
  return key * 2 + (shape.near ? 1 : 0)
}
