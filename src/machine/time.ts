// Time of the host. All of it is counted in nanoseconds since the host started, as an integer
// below 2^53 (104 days) in a plain number. A VirtualClock stands still until the scheduler moves
// it, so that a run depends on nothing but its inputs; a RealClock follows a clock of the outside.

import { Bug, invariant } from '../base/errors.ts'

export const NS_PER_SECOND = 1_000_000_000

/** A moment since 1970-01-01 UTC: whole seconds, and nanoseconds below 10^9. */
export interface WallTime {
  readonly seconds: number
  readonly nanoseconds: number
}

export interface Clock {
  /** Nanoseconds since the host started: never runs backwards. */
  now(): number
  /** The wall clock at `now() === 0`: what Xen's wc_sec and wc_nsec are made from. */
  readonly wallBase: WallTime
}

/** The plain form of a clock: where it stood. */
export interface ClockState {
  readonly version: 1
  readonly now: number
  readonly wallBase: WallTime
}

/** The wall clock's time now. */
export function wallClock(clock: Clock): WallTime {
  return addNanoseconds(clock.wallBase, clock.now())
}

/** A moment that much later (or earlier, if negative). */
export function addNanoseconds(time: WallTime, ns: number): WallTime {
  const seconds = Math.floor(ns / NS_PER_SECOND)
  const sum = time.nanoseconds + (ns - seconds * NS_PER_SECOND)
  const carry = sum >= NS_PER_SECOND ? 1 : 0
  return { seconds: time.seconds + seconds + carry, nanoseconds: sum - carry * NS_PER_SECOND }
}

/** Time that moves only when it is told to. */
export class VirtualClock implements Clock {
  #wallBase: WallTime
  #now = 0

  /** `wallBase` is the date the host believes it starts at. */
  constructor(wallBase: WallTime) {
    this.#wallBase = wallBase
  }

  get wallBase(): WallTime {
    return this.#wallBase
  }

  now(): number {
    return this.#now
  }

  /** Moves on by a whole number of nanoseconds. */
  advance(ns: number): void {
    this.skipTo(this.#now + ns)
  }

  /** Moves on to a later moment at once: nobody has anything to do until then. */
  skipTo(ns: number): void {
    if (!Number.isSafeInteger(ns) || ns < this.#now) {
      throw new Bug(`time cannot go from ${this.#now} ns to ${ns} ns`)
    }
    this.#now = ns
  }

  save(): ClockState {
    return { version: 1, now: this.#now, wallBase: this.#wallBase }
  }

  restore(state: ClockState): void {
    invariant(state.version === 1, `a clock of version ${state.version} is not known`)
    this.#now = state.now
    this.#wallBase = state.wallBase
  }
}

/** Time that follows a clock of the outside. */
export class RealClock implements Clock {
  #wallBase: WallTime
  readonly #source: () => number
  #zero: number
  #last = 0

  /**
   * `source` gives nanoseconds of a monotonic clock, from any origin, fractions allowed; should it
   * step back all the same, time stands still until it has caught up.
   */
  constructor(source: () => number, wallBase: WallTime) {
    this.#source = source
    this.#zero = source()
    this.#wallBase = wallBase
  }

  get wallBase(): WallTime {
    return this.#wallBase
  }

  now(): number {
    const now = Math.floor(this.#source() - this.#zero)
    if (now > this.#last) this.#last = now
    return this.#last
  }

  save(): ClockState {
    return { version: 1, now: this.now(), wallBase: this.#wallBase }
  }

  /** Goes on from where the state was saved; the wall clock is then late by the time between. */
  restore(state: ClockState): void {
    invariant(state.version === 1, `a clock of version ${state.version} is not known`)
    this.#zero = this.#source() - state.now
    this.#last = state.now
    this.#wallBase = state.wallBase
  }
}
