// Makes the regions of orders, on a thread that has nothing but those: a copy of the records at their
// addresses, and handlers that are never emitted.

import { invariant } from '../../base/errors.ts'
import { type Handler, newHandler } from '../interpreter/handler.ts'
import { rowOf } from '../interpreter/pseudo-rows.ts'
import { RECORD_SIZE } from '../interpreter/record.ts'
import { type Compiled, RegionCompiler, type Wanted } from './region-compiler.ts'
import type { Delivery, Order, OrderedRegion, ThreadSetup } from './region-order.ts'

export class OrderCompiler {
  readonly #records: Uint8Array
  readonly #handlers: (Handler | undefined)[] = []
  readonly #compiler: RegionCompiler
  readonly #untranslatable = new Set<Handler>()

  readonly #nowMs: () => number

  /** `nowMs`: a clock to measure by what it takes. */
  constructor({ options, recordsEnd }: ThreadSetup, nowMs: () => number = () => 0) {
    this.#nowMs = nowMs
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
    this.#compiler = new RegionCompiler(memory, (index) => this.#handlers[index], options)
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
    for (const [rec, bytes] of records) this.#records.set(bytes, rec)
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
