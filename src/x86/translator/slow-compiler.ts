// A thread that makes regions, without a thread: what it makes is there when it was asked for often
// enough. So tests have regions that come late in the same way every time.

import { OrderCompiler } from './order-compiler.ts'
import type { CompilerThread, Delivery, Order, ThreadSetup } from './region-order.ts'

export class SlowCompiler implements CompilerThread {
  readonly hasEnded = false
  readonly #compiler: OrderCompiler
  readonly #latency: number
  /** What has been made, and the time that each waits still. */
  readonly #waiting: { readonly delivery: Delivery; patience: number }[] = []

  constructor(setup: ThreadSetup, latency: number) {
    this.#compiler = new OrderCompiler(setup)
    this.#latency = latency
  }

  order(order: Order): void {
    const delivery = this.#compiler.make(structuredClone(order))
    this.#waiting.push({ delivery, patience: this.#latency })
  }

  deliver(): Delivery | undefined {
    const [first] = this.#waiting
    if (!first || --first.patience > 0) return undefined
    this.#waiting.shift()
    return first.delivery
  }
}
