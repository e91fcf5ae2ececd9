// The table of handlers: one for each row of the opcode table in each shape it is met in. They
// are emitted when the first instruction of their kind is decoded, in one module a block. Each
// has up to two forms: a fast one for the common case, which retreats from everything else to a
// slow one that begins anew. Being without calls, the fast one has no frame and no stack check.

import { invariant } from '../../base/errors.ts'
import type { FunctionBuilder } from '../../wasm/function.ts'
import type { FuncRef } from '../../wasm/graph.ts'
import type { Value } from '../../wasm/value.ts'
import { ModuleBuilder } from '../../wasm/module.ts'
import type { Row } from '../decode/row.ts'
import { importRuntime, type Runtime, type RuntimeRefs } from '../emit/runtime.ts'
import type { Shape } from '../emit/operand.ts'
import type { HostInstruction } from '../host-instruction.ts'
import type { HostMemory } from '../memory/host-memory.ts'
import * as S from '../state.ts'
import { emitCore } from './core.ts'
import { FastFlow, type Flow, HANDLER_PARAMS, SlowFlow } from './flow.ts'
import { emitHandler, type Handler, keyOf, newHandler } from './handler.ts'
import { RecordEmitter } from './record-emitter.ts'
import { REC_HANDLER, RECORD_SIZE } from './record.ts'

/**
 * From here on regions have their places. Each handler takes up to three below: a guest that runs
 * every instruction in every shape does not come near.
 */
export const FIRST_REGION = 1 << 18
export const REGION_PLACES = 16384
const TABLE_SIZE = FIRST_REGION + REGION_PLACES
/** Handlers of a core at most. */
const CORE_SIZE = 1024
/** What a handler in a new core costs, in instructions that could be interpreted instead. */
const CORE_COST = 10_000
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

/** A module over the memory and the table of handlers. */
export function newModule(): ModuleBuilder {
  const module = new ModuleBuilder()
  module.importMemory('env', 'memory', { min: 1 })
  module.importTable('env', 'table', { min: TABLE_SIZE })
  return module
}

/** Starts the interpreter at a record. */
export type Enter = (rec: number, cpu: number) => void

export class Handlers {
  readonly enter: Enter
  readonly #memory: HostMemory
  readonly #table: WebAssembly.Table
  readonly #runtime: Runtime
  /** By the numbers of their rows; a row has few. */
  readonly #byRow = new Map<number, Handler[]>()
  readonly #byIndex: (Handler | undefined)[] = []
  readonly #hostNumbers = new Map<HostInstruction, number>()
  readonly #hostInstructions: HostInstruction[] = []
  readonly #all: Handler[] = []
  #pending: Handler[] = []
  #next = FIRST_FREE
  #isHeld = false
  /** Plain handlers: all, and those that are younger than the core. */
  #plain = 0
  #arrived = 0
  /** Instructions that were interpreted since the core was built. */
  #sinceCore = 0
  cores = 0
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
    return this.#all.length
  }

  /** The handler at a place in the table; undefined where there is another kind of code. */
  at(index: number): Handler | undefined {
    return this.#byIndex[index]
  }

  hostInstruction(id: number): HostInstruction {
    return this.#hostInstructions[id] as HostInstruction
  }

  /** The number by which emitted code names a host instruction. */
  readonly hostNumber = (run: HostInstruction): number => {
    const known = this.#hostNumbers.get(run)
    if (known !== undefined) return known
    const id = this.#hostInstructions.push(run) - 1
    this.#hostNumbers.set(run, id)
    return id
  }

  /** Index of the handler for a row in a shape; it exists from the next flush on. */
  index(row: Row, shape: Shape): number {
    const key = keyOf(shape)
    const ofRow = this.#ofRow(row)
    for (const known of ofRow) {
      if (known.key !== key) continue
      known.uses++
      return known.index
    }
    invariant(this.#next + 3 < FIRST_REGION, 'the table of handlers is full')
    const index = this.#next++
    const handler = newHandler(row, shape, index, this.#next++)
    ofRow.push(handler)
    this.#byIndex[index] = handler
    this.#all.push(handler)
    this.#pending.push(handler)
    return index
  }

  #ofRow({ id }: Row): Handler[] {
    const known = this.#byRow.get(id)
    if (known) return known
    const none: Handler[] = []
    this.#byRow.set(id, none)
    return none
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
    const module = newModule()
    const runtime = importRuntime(module)
    for (const handler of pending) this.#emit(module, runtime, handler)
    this.#instantiate(module)
  }

  #emit(module: ModuleBuilder, runtime: RuntimeRefs, handler: Handler): void {
    const name = `${handler.row.name}_${handler.index}`
    let slow: FuncRef | undefined
    const slowForm = () => {
      slow ??= module.declare(HANDLER_PARAMS, [], `${name}_slow`)
      return slow
    }
    const emit = (f: FunctionBuilder, flow: Flow) => {
      const place = { rec: f.param(0), cpu: f.param(1) }
      const e = new RecordEmitter(f, handler.shape, place, runtime, this.hostNumber, flow)
      emitHandler(e, handler)
      return e
    }
    const func = module.declare(HANDLER_PARAMS, [], name)
    module.element(handler.index, [func])
    module.element(handler.alone, [func])
    module.body(func, (f) => {
      handler.isPlain = !emit(f, new FastFlow(f, slowForm)).hasCalled
    })
    if (handler.isPlain) {
      this.#plain++
      this.#arrived++
    }
    if (!slow) return
    module.body(slow, (f) => {
      emit(f, new SlowFlow(f))
    })
    handler.slow = this.#next++
    module.element(handler.slow, [slow])
  }

  /**
   * Instructions have been interpreted. From time to time the handlers that have come since move
   * into the core: when the time that they have taken outside it is likely to be more than a new
   * core costs.
   */
  interpreted(instructions: number): void {
    this.#sinceCore += instructions
    const size = Math.min(this.#plain, CORE_SIZE)
    if (this.#sinceCore * this.#arrived > CORE_COST * size * size) this.buildCore()
  }

  /** Takes a region from the table: whoever comes there finds that the block was dropped. */
  removeRegion(index: number): void {
    this.#table.set(index, this.#table.get(HANDLER_DEAD))
  }

  /** Puts the handlers that are plain into a core, or the most used of them. */
  buildCore(): void {
    this.#sinceCore = 0
    this.#arrived = 0
    const plain = this.#all.filter(({ isPlain }) => isPlain)
    const chosen = plain.sort((a, b) => b.uses - a.uses).slice(0, CORE_SIZE)
    if (chosen.length === 0) return
    const module = newModule()
    const runtime = importRuntime(module)
    const core = module.declare(HANDLER_PARAMS, [], 'core')
    module.body(core, (f) => emitCore(f, chosen, runtime, this.hostNumber))
    for (const { index } of chosen) module.element(index, [core])
    this.#instantiate(module)
    this.cores++
  }

  #instantiate(module: ModuleBuilder): Record<string, unknown> {
    const bytes = module.finish()
    this.modules++
    this.bytes += bytes.length
    return this.instantiate(new WebAssembly.Module(bytes))
  }

  /** Puts the functions of a module that newModule() began into the table. */
  instantiate(module: WebAssembly.Module): Record<string, unknown> {
    return new WebAssembly.Instance(module, {
      env: { memory: this.#memory.memory, table: this.#table },
      runtime: this.#runtime,
    }).exports
  }

  #emitBuiltIns(): Enter {
    const module = newModule()
    const runtime = importRuntime(module)
    const leave = (name: string, index: number, build: (e: RecordEmitter, rec: Value) => void) => {
      const func = module.declare(HANDLER_PARAMS, [], name)
      module.element(index, [func])
      module.body(func, (f) => {
        const place = { rec: f.param(0), cpu: f.param(1) }
        const flow = new SlowFlow(f)
        const e = new RecordEmitter(f, NO_OPERANDS, place, runtime, this.hostNumber, flow)
        build(e, place.rec)
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
