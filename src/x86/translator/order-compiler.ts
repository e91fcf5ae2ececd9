// Makes the regions of orders, on a thread that has nothing but those: a copy of the records at their
// addresses, and handlers that are never emitted.

import { invariant } from '../../base/errors.ts'
import { type Handler, newHandler } from '../interpreter/handler.ts'
import { rowOf } from '../interpreter/pseudo-rows.ts'
import { RECORD_SIZE } from '../interpreter/record.ts'
import { type Compiled, RegionCompiler, type Wanted } from './region-compiler.ts'
import type { Delivery, Order, OrderedRegion, ThreadSetup } from './region-order.ts'

const PAGE_SHIFT = 12
/** Pages of copied records after which memory is begun anew: 8 MiB. */
const MOST_PAGES = 2048

export class OrderCompiler {
  readonly #setup: ThreadSetup
  #records = new Uint8Array()
  /** Pages of it that records were copied to. */
  readonly #pages = new Set<number>()
  #compiler: RegionCompiler
  readonly #handlers: (Handler | undefined)[] = []
  readonly #untranslatable = new Set<Handler>()
  readonly #nowMs: () => number

  /** `nowMs`: a clock to measure by what it takes. */
  constructor(setup: ThreadSetup, nowMs: () => number = () => 0) {
    this.#nowMs = nowMs
    this.#setup = setup
    this.#compiler = this.#begin()
  }

  /** A compiler with a memory that has no records yet: no order needs those of another one. */
  #begin(): RegionCompiler {
    const { options, recordsEnd } = this.#setup
    // Most of it is never touched, and takes no memory.
    const buffer = new ArrayBuffer(recordsEnd + RECORD_SIZE)
    this.#records = new Uint8Array(buffer)
    const memory = {
      u8: this.#records,
      u16: new Uint16Array(buffer),
      u32: new Uint32Array(buffer),
      i32: new Int32Array(buffer),
      view: new DataView(buffer),
    }
    this.#pages.clear()
    return new RegionCompiler(memory, (index) => this.#handlers[index], options)
  }

  make(order: Order): Delivery {
    const start = this.#nowMs()
    const compiled = this.#compile(order)
    const untranslatable = this.#newlyUntranslatable()
    return { ...compiled, untranslatable, milliseconds: this.#nowMs() - start }
  }

  #compile({ handlers, records, regions }: Order): Compiled {
    for (const { row: id, shape, index, alone, slow } of handlers) {
      const row = rowOf(id)
      invariant(row !== undefined, `there is no row ${id}`)
      this.#handlers[index] = { ...newHandler(row, shape, index, alone), slow }
    }
    if (this.#pages.size > MOST_PAGES) this.#compiler = this.#begin()
    for (const [rec, bytes] of records) {
      this.#records.set(bytes, rec)
      this.#pages.add(rec >>> PAGE_SHIFT)
    }
    return this.#compiler.compile(regions.map(wantedOf))
  }

  #newlyUntranslatable(): number[] {
    const found: number[] = []
    for (const handler of this.#handlers) {
      if (!handler?.isUntranslatable || this.#untranslatable.has(handler)) continue
      this.#untranslatable.add(handler)
      found.push(handler.index)
    }
    return found
  }
}

function wantedOf({ callees, blocks, targets, ...wanted }: OrderedRegion): Wanted {
  return {
    ...wanted,
    around: {
      find: (offset, isCall) => (isCall ? callees : blocks).get(offset) ?? 0,
      targetsOf: (end) => targets.get(end) ?? [],
    },
  }
}
