// One timer of the host that can be saved: a deadline that may be set, moved and cancelled, with a
// callback that stays the same.

import { invariant } from '../base/errors.ts'
import type { TimerHandle, Timers } from '../machine/timers.ts'

/** The plain form of a {@link SavedTimer}. */
export interface SavedTimerState {
  readonly version: 1
  readonly handle: number | null
  readonly deadline: number
}

export class SavedTimer {
  readonly #timers: Timers
  readonly #callback: () => void
  #handle: TimerHandle | undefined
  #deadline = 0

  constructor(timers: Timers, callback: () => void) {
    this.#timers = timers
    this.#callback = callback
  }

  get isSet(): boolean {
    return this.#handle !== undefined
  }

  /** Nanoseconds since the host started; of no meaning unless the timer is set. */
  get deadline(): number {
    return this.#deadline
  }

  /** Sets the timer anew. A deadline past the end of time (2^53 ns) never comes. */
  set(deadlineNs: number): void {
    this.cancel()
    if (!Number.isSafeInteger(deadlineNs)) return
    this.#deadline = deadlineNs
    this.#handle = this.#timers.set(deadlineNs, this.#expired)
  }

  cancel(): void {
    if (this.#handle !== undefined) this.#timers.cancel(this.#handle)
    this.#handle = undefined
  }

  save(): SavedTimerState {
    return { version: 1, handle: this.#handle ?? null, deadline: this.#deadline }
  }

  /** The timers themselves have been restored before. */
  restore(state: SavedTimerState): void {
    invariant(state.version === 1, `a timer of version ${state.version} is not known`)
    this.cancel()
    this.#deadline = state.deadline
    if (state.handle === null) return
    this.#handle = state.handle as TimerHandle
    this.#timers.revive(this.#handle, state.deadline, this.#expired)
  }

  readonly #expired = (): void => {
    this.#handle = undefined
    this.#callback()
  }
}
