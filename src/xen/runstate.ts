// How long a virtual processor has been running, ready, blocked and offline (public/vcpu.h,
// struct vcpu_runstate_info). Times are nanoseconds since the host started.

import { invariant } from '../base/errors.ts'
import {
  RUNSTATE_blocked,
  RUNSTATE_offline,
  RUNSTATE_runnable,
  RUNSTATE_running,
} from './abi/vcpu.ts'

export const RunstateKind = {
  running: RUNSTATE_running,
  runnable: RUNSTATE_runnable,
  blocked: RUNSTATE_blocked,
  offline: RUNSTATE_offline,
} as const
export type RunstateKind = (typeof RunstateKind)[keyof typeof RunstateKind]

/** The plain form of a {@link Runstate}. */
export interface RunstateState {
  readonly version: 1
  readonly kind: RunstateKind
  readonly since: number
  readonly times: readonly number[]
}

export class Runstate {
  #kind: RunstateKind = RunstateKind.offline
  #since: number
  #times = [0, 0, 0, 0]

  constructor(now: number) {
    this.#since = now
  }

  get kind(): RunstateKind {
    return this.#kind
  }

  /** Changes the state; false if it is that already. */
  change(kind: RunstateKind, now: number): boolean {
    if (kind === this.#kind) return false
    this.#times[this.#kind] = this.timeIn(this.#kind, now)
    this.#kind = kind
    this.#since = now
    return true
  }

  /** Nanoseconds spent in a state up to now. */
  timeIn(kind: RunstateKind, now: number): number {
    const past = this.#times[kind] as number
    return kind === this.#kind ? past + Math.max(0, now - this.#since) : past
  }

  /** The values of struct vcpu_runstate_info, the current state's time up to now included. */
  values(now: number) {
    return {
      state: this.#kind,
      state_entry_time: BigInt(this.#since),
      time: [0, 1, 2, 3].map((kind) => BigInt(this.timeIn(kind as RunstateKind, now))),
    }
  }

  save(): RunstateState {
    return { version: 1, kind: this.#kind, since: this.#since, times: [...this.#times] }
  }

  restore(state: RunstateState): void {
    invariant(state.version === 1, `run states of version ${state.version} are not known`)
    this.#kind = state.kind
    this.#since = state.since
    this.#times = [...state.times]
  }
}
