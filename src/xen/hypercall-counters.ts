// How often each hypercall and each operation was made, and how often the answer was an error.
// Operations that do not exist are counted under their number, so that none goes unseen.

import type { Hypercall } from './hypercalls/table.ts'

/** Kinds of calls that are told apart; a guest may make up numbers. */
const MOST_KINDS = 1024
const OTHERS = -1

export interface HypercallCount {
  readonly calls: number
  readonly errors: number
}

export class HypercallCounters {
  readonly #counts = new Map<number, { calls: number; errors: number }>()
  readonly #names = new Map<number, string>()

  /** Notes one call. `operation` is its first argument, if that chooses an operation. */
  note(number: number, known: Hypercall | undefined, operation: number, result: number): void {
    const hasOperations = known?.operations !== undefined
    // One number for both, so that counting costs no string; hypercalls are below 64.
    let key = (number & 0xffff) + (hasOperations ? ((operation & 0xffff) + 1) * 0x10000 : 0)
    if (!this.#counts.has(key) && this.#counts.size >= MOST_KINDS) key = OTHERS
    let count = this.#counts.get(key)
    if (!count) {
      count = { calls: 0, errors: 0 }
      this.#counts.set(key, count)
      const chosen = hasOperations ? operation : undefined
      this.#names.set(key, key === OTHERS ? 'others' : nameOf(number, known, chosen))
    }
    count.calls++
    if (result < 0) count.errors++
  }

  /** Counts by name: `event_channel_op EVTCHNOP_send`, or `hypercall 63` for what is not known. */
  snapshot(): ReadonlyMap<string, HypercallCount> {
    const named = [...this.#counts].map(([key, count]): [string, HypercallCount] => [
      this.#names.get(key) ?? '',
      { ...count },
    ])
    return new Map(named.sort(([a], [b]) => (a < b ? -1 : 1)))
  }
}

/** The name of a call for traces and counters. */
export function nameOf(
  number: number,
  known: Hypercall | undefined,
  operation: number | undefined,
): string {
  if (!known) return `hypercall ${number}`
  if (operation === undefined) return known.name
  // Only six bits of a memory_op choose the operation.
  const chosen = known.name === 'memory_op' ? operation & 63 : operation
  return `${known.name} ${known.operations?.get(chosen) ?? `operation ${chosen}`}`
}
