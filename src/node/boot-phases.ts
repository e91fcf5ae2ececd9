// The phases of a domain's boot, for those who wait for it: what the toolstack says, and what the
// guest's first lines on the console show.

import type { PhaseListener } from './host-types.ts'

/** What Linux prints when its kernel has come up and hands over to the first process. */
const INIT_STARTS = /(Run \S+ as init process|xenolith demo: init)[^\n]*\n/
/** So much of the console is looked at for that line. */
const LINE = 400

export class BootPhases {
  readonly #started: number
  readonly #phases: Parameters<PhaseListener>[] = []
  readonly #listeners: PhaseListener[] = []
  readonly #reached = new Set<string>()
  #line = ''

  /** `started` is when the domain was asked for, on the clock of performance.now(). */
  constructor(started: number) {
    this.#started = started
  }

  /** Calls `listener` with the phases reached so far, then with each new one. */
  listen(listener: PhaseListener): void {
    for (const phase of this.#phases) listener(...phase)
    this.#listeners.push(listener)
  }

  /** A phase is reached, which counts once. */
  reached(phase: string, ms = performance.now() - this.#started, detail = ''): void {
    if (this.#reached.has(phase)) return
    this.#reached.add(phase)
    this.#phases.push([phase, ms, detail])
    for (const listener of this.#listeners) listener(phase, ms, detail)
  }

  /** The guest has printed this. */
  watch(bytes: Uint8Array): void {
    this.reached('kernel')
    if (this.#reached.has('init')) return
    this.#line = (this.#line + new TextDecoder('latin1').decode(bytes)).slice(-LINE)
    // After the other listeners, so that the line itself comes first.
    if (INIT_STARTS.test(this.#line)) queueMicrotask(() => this.reached('init'))
  }
}
