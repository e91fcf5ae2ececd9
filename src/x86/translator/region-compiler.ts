// Makes regions: plans each from the records around its first one, emits it, and puts those that
// are made together into one module. It knows records and handlers, not what becomes of a region.

import type { FuncRef } from '../../wasm/graph.ts'
import type { ModuleBuilder } from '../../wasm/module.ts'
import { HANDLER_PARAMS } from '../interpreter/flow.ts'
import type { Handler } from '../interpreter/handler.ts'
import { newModule } from '../interpreter/handlers.ts'
import * as R from '../interpreter/record.ts'
import type { ExitCounters } from './exit-counters.ts'
import { declareNestedCall } from './nested-calls.ts'
import type { TranslatorOptions } from './options.ts'
import { Learned, Region } from './region.ts'
import { declarePageFinder } from './region-pages.ts'
import { pageOf, type Plan, Planner, type PlanLimits, type Surroundings } from './region-plan.ts'

/**
 * Attempts teach each other what a region needs. Where flags are wanted is found going backwards, a
 * node an attempt: from so many on they are put everywhere. What is still not complete then stays
 * with the interpreter.
 */
const PATIENT_ATTEMPTS = 8
const MOST_ATTEMPTS = 32

/** A region that is wanted. */
export interface Wanted {
  /** Record of its first instruction, and host address of that. */
  readonly rec: number
  readonly start: number
  /** What profilers show it as. */
  readonly name: string
  /** The place in the table of handlers that it gets. */
  readonly index: number
  /** Where it keeps what it knows of other pages: see region-pages.ts. */
  readonly pagesAt: number
  readonly limits: PlanLimits
  /** If it is not larger than that it is not worth it; see {@link sizeOf}. */
  readonly leastSize: number
  readonly around: Surroundings
}

/** What became of one. */
export interface Made {
  /** How much it covers; 0: there is no region. */
  readonly size: number
  readonly instructions: number
  /** Records where others may begin, behind instructions that the interpreter executes. */
  readonly continuations: readonly number[]
  /** Where its blocks begin, as far as they lie on the page of its entry: offsets from that. */
  readonly starts: readonly number[]
}

/** There is no region. */
export const NOTHING: Made = { size: 0, instructions: 0, continuations: [], starts: [] }

export interface Compiled {
  /** What has them; undefined if there are none, or the engine had no memory for more code. */
  readonly module: WebAssembly.Module | undefined
  readonly hasFailed: boolean
  /** Size of the module. */
  readonly bytes: number
  /** In the order in which they were wanted. */
  readonly made: readonly Made[]
  readonly attempts: number
}

/** Functions of a module that its regions call. */
interface Helpers {
  readonly pageFinder: FuncRef
  readonly nestedCall: FuncRef
}

export class RegionCompiler {
  readonly #memory: R.RecordMemory
  readonly #handlerAt: (index: number) => Handler | undefined
  readonly #options: TranslatorOptions
  readonly #exits: ExitCounters | undefined
  readonly #planner: Planner
  #attempts = 0

  /** `exits`: counts the ways out of regions. */
  constructor(
    memory: R.RecordMemory,
    handlerAt: (index: number) => Handler | undefined,
    options: TranslatorOptions,
    exits?: ExitCounters,
  ) {
    this.#memory = memory
    this.#handlerAt = handlerAt
    this.#options = options
    this.#exits = exits
    this.#planner = new Planner(memory, handlerAt)
  }

  compile(wanted: readonly Wanted[]): Compiled {
    this.#attempts = 0
    const module = newModule()
    const helpers = {
      pageFinder: declarePageFinder(module),
      nestedCall: declareNestedCall(module),
    }
    const made = wanted.map((one) => this.#make(module, helpers, one))
    const isEmpty = made.every(({ size }) => size === 0)
    const bytes = isEmpty ? undefined : module.finish()
    return { ...compiled(bytes), bytes: bytes?.length ?? 0, made, attempts: this.#attempts }
  }

  #make(module: ModuleBuilder, helpers: Helpers, wanted: Wanted): Made {
    const plan = this.#plan(wanted)
    if (!plan) return { ...NOTHING, continuations: [wanted.rec + R.RECORD_SIZE] }
    if (sizeOf(plan) <= wanted.leastSize) return NOTHING
    const func = module.declare(HANDLER_PARAMS, [], wanted.name)
    const region = this.#emit(module, func, helpers, wanted, plan)
    if (!region) return NOTHING
    module.element(wanted.index, [func])
    return {
      size: sizeOf(region.plan),
      instructions: region.plan.instructions,
      continuations: [...region.continuations],
      starts: region.plan.nodes.map(({ start }) => start).filter((start) => pageOf(start) === 0),
    }
  }

  #plan({ rec, around, limits }: Wanted): Plan | undefined {
    return this.#planner.plan(rec, around, limits)
  }

  /** Emits a region; undefined if it turns out that there is none. */
  #emit(
    module: ModuleBuilder,
    func: FuncRef,
    helpers: Helpers,
    wanted: Wanted,
    firstPlan: Plan,
  ): Region | undefined {
    const learned = new Learned()
    let plan: Plan | undefined = firstPlan
    let attempts = 0
    let region: Region | undefined
    module.body(func, (f) => {
      if (learned.isPlanStale) plan = this.#plan(wanted)
      learned.isPlanStale = false
      if (!plan || attempts >= MOST_ATTEMPTS || learned.isTooLarge) {
        region = undefined
        f.unreachable()
        return true
      }
      if (attempts === 0) learned.expect(plan)
      attempts++
      this.#attempts++
      learned.isStoredEverywhere = attempts > PATIENT_ATTEMPTS
      region = new Region(f, plan, learned, {
        memory: this.#memory,
        options: this.#options,
        exits: this.#exits,
        nameOf: (rec) => this.#nameOf(rec),
        find: wanted.around.find,
        pagesAt: wanted.pagesAt,
        ...helpers,
      })
      return region.emit()
    })
    return region
  }

  #nameOf(rec: number): string {
    const handler = this.#handlerAt(this.#memory.u32[rec >>> 2] as number)
    return handler ? `${handler.row.name} ${handler.row.text}` : 'no instruction'
  }
}

function compiled(
  bytes: Uint8Array<ArrayBuffer> | undefined,
): Pick<Compiled, 'module' | 'hasFailed'> {
  try {
    return { module: bytes && new WebAssembly.Module(bytes), hasFailed: false }
  } catch (error) {
    if (!(error instanceof RangeError)) throw error
    return { module: undefined, hasFailed: true }
  }
}

/** How much a region covers: instructions, and ways between them. */
function sizeOf({ nodes, instructions }: Plan): number {
  return nodes.reduce((sum, node) => sum + node.targets.size, instructions)
}
