// Counts why regions are left, for those who want to know: a counter in linear memory for each
// cause, which emitted code increments on its way out.

import type { FunctionBuilder } from '../../wasm/function.ts'
import type { HostMemory } from '../memory/host-memory.ts'

const MOST = 4096
const OTHERS = 'others'

export class ExitCounters {
  readonly #memory: HostMemory
  readonly #base: number
  readonly #numbers = new Map<string, number>([[OTHERS, 0]])

  constructor(memory: HostMemory) {
    this.#memory = memory
    this.#base = memory.allocate(MOST * 8, 64, 'exit counters')
  }

  /** Emits the count of an exit. */
  emit(f: FunctionBuilder, cause: string): void {
    let number = this.#numbers.get(cause)
    if (number === undefined) {
      number = this.#numbers.size < MOST ? this.#numbers.size : 0
      if (number > 0) this.#numbers.set(cause, number)
    }
    const at = f.i32(this.#base + number * 8)
    // The guest does not notice: whoever may retreat still may.
    const { hasEffects } = f
    f.store('i64.store', at, f.add(f.load('i64.load', at), f.i64(1)))
    f.hasEffects = hasEffects
  }

  /** Counts by cause, the most frequent first. */
  get counts(): readonly (readonly [cause: string, count: number])[] {
    const { view } = this.#memory
    return [...this.#numbers]
      .map(([cause, number]) => {
        const count = Number(view.getBigUint64(this.#base + number * 8, true))
        return [cause, count] as const
      })
      .filter(([, count]) => count > 0)
      .sort((a, b) => b[1] - a[1])
  }
}
