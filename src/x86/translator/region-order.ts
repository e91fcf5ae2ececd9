// Regions that another thread is to make, and what it makes: plain data, which threads can send each
// other. An order has all that a region depends on, copied: what the planner asks for, decoded records,
// and where handlers have their places. So the guest runs on meanwhile, and may change anything; whether
// what was made still holds good is for the one who has it to find out.

import type { Handler, HandlerPlace } from '../interpreter/handler.ts'
import * as R from '../interpreter/record.ts'
import type { TranslatorOptions } from './options.ts'
import type { Compiled, Wanted } from './region-compiler.ts'
import { Planner, type Surroundings } from './region-plan.ts'

/** What is the same for all orders to a thread. */
export interface ThreadSetup {
  readonly options: TranslatorOptions
  /** Records lie below this address. */
  readonly recordsEnd: number
}

/** A region that is wanted; see {@link Wanted}. */
export interface OrderedRegion extends Omit<Wanted, 'around'> {
  /** Answers to questions for {@link Surroundings}: first records, for calls and for others. */
  readonly callees: ReadonlyMap<number, number>
  readonly blocks: ReadonlyMap<number, number>
  readonly targets: ReadonlyMap<number, readonly number[]>
}

export interface Order {
  /** Those of its records, unless an earlier order had them. */
  readonly handlers: readonly HandlerPlace[]
  /** Records that lie one after another, by the address of the first. */
  readonly records: ReadonlyMap<number, Uint8Array>
  readonly regions: readonly OrderedRegion[]
}

export interface Delivery extends Compiled {
  /** Handlers that turned out to be untranslatable. */
  readonly untranslatable: readonly number[]
  /** That it took, where there is a clock. */
  readonly milliseconds: number
}

/** A thread that makes regions, as the one who orders them sees it. */
export interface CompilerThread {
  order(order: Order): void
  /** What has become of the oldest order that was not delivered yet; undefined while it is made. */
  deliver(): Delivery | undefined
  /** There will be no deliveries any more. */
  readonly hasEnded: boolean
}

export class OrderWriter {
  readonly #memory: R.RecordMemory
  readonly #planner: Planner
  readonly #handlerAt: (index: number) => Handler | undefined
  readonly #original: (index: number) => number
  /** Handlers that the thread knows. */
  readonly #known = new Set<number>()

  /**
   * `handlerAt`, `original`: the handler that a record has, or would have if no region began there,
   * and its place in the table.
   */
  constructor(
    memory: R.RecordMemory,
    handlerAt: (index: number) => Handler | undefined,
    original: (index: number) => number,
  ) {
    this.#memory = memory
    this.#planner = new Planner(memory, handlerAt)
    this.#original = original
    this.#handlerAt = handlerAt
  }

  write(wanted: readonly Wanted[]): Order {
    const handlers: HandlerPlace[] = []
    const records = new Map<number, Uint8Array>()
    const regions = wanted.map((one) => this.#survey(one))
    const copy = (rec: number) => {
      if (rec !== 0 && !records.has(rec)) records.set(rec, this.#copy(rec, handlers))
    }
    for (const { rec, callees, blocks } of regions) {
      copy(rec)
      for (const found of callees.values()) copy(found)
      for (const found of blocks.values()) copy(found)
    }
    return { handlers, records, regions }
  }

  /** Asks what making a region may ask: what its plan asks, and where the plan's branches lead. */
  #survey({ rec, start, name, index, pagesAt, limits, leastSize, around }: Wanted): OrderedRegion {
    const callees = new Map<number, number>()
    const blocks = new Map<number, number>()
    const targets = new Map<number, readonly number[]>()
    const find: Surroundings['find'] = (offset, isCall) => {
      const answers = isCall ? callees : blocks
      return answers.getOrInsertComputed(offset, () => around.find(offset, isCall))
    }
    const targetsOf: Surroundings['targetsOf'] = (end) =>
      targets.getOrInsertComputed(end, () => around.targetsOf(end))
    const plan = this.#planner.plan(rec, { find, targetsOf }, limits)
    for (const { instructions, next } of plan?.nodes ?? []) {
      for (const { target } of instructions) if (target !== undefined) find(target, false)
      if (next !== undefined) find(next, false)
    }
    return { rec, start, name, index, pagesAt, limits, leastSize, callees, blocks, targets }
  }

  /** The records from one to the end of its block, with their own handlers. */
  #copy(rec: number, handlers: HandlerPlace[]): Uint8Array {
    // One more for what goes on behind a block.
    const count = (this.#memory.u8[rec + R.REC_LEFT] as number) + 1
    const bytes = this.#memory.u8.slice(rec, rec + count * R.RECORD_SIZE)
    const words = new Uint32Array(bytes.buffer)
    for (let at = 0; at < words.length; at += R.RECORD_SIZE >>> 2) {
      const index = this.#original(words[at] as number)
      words[at] = index
      const handler = this.#handlerAt(index)
      if (!handler || this.#known.has(index)) continue
      this.#known.add(index)
      const { row, shape, alone, slow } = handler
      handlers.push({ row: row.id, shape, index, alone, slow })
    }
    return bytes
  }
}
