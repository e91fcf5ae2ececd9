// The time that Xen gives a guest (public/xen.h, struct vcpu_time_info): the time-stamp counter and
// the system time at one moment, and the scale between them. The guest computes the time between
// two updates itself.

import { invariant } from '../base/errors.ts'
import { pvclockScale, type Tsc } from '../machine/tsc.ts'
import { vcpu_time_info, XEN_PVCLOCK_TSC_STABLE_BIT } from './abi/xen.ts'

/** Xen calibrates once a second; so often the stamp is renewed, if the processor runs. */
const RENEWAL_NS = 1_000_000_000

/** The plain form of a {@link PvClock}. */
export interface PvClockState {
  readonly version: 1
  readonly count: number
  readonly stampedAt: number
}

export class PvClock {
  readonly #tsc: Tsc
  readonly #isStable: boolean
  /** The version of the last stamp: even, 0 before the first. */
  #count = 0
  #stampedAt = Number.NEGATIVE_INFINITY

  /** `isStable`: the counters of all processors agree at any time (XEN_PVCLOCK_TSC_STABLE_BIT). */
  constructor(tsc: Tsc, isStable: boolean) {
    this.#tsc = tsc
    this.#isStable = isStable
  }

  /** Is the last stamp so old that it should be renewed. */
  isStale(now: number): boolean {
    return now - this.#stampedAt >= RENEWAL_NS
  }

  /** A new struct vcpu_time_info for this moment, with the next even version. */
  stamp(now: number): Uint8Array {
    this.#count = (this.#count + 2) >>> 0
    this.#stampedAt = now
    const { tscToSystemMul, tscShift } = pvclockScale(this.#tsc.khz)
    return vcpu_time_info.encode(64, {
      version: this.#count,
      tsc_timestamp: this.#tsc.ticksAt(now),
      system_time: BigInt(now),
      tsc_to_system_mul: tscToSystemMul,
      tsc_shift: tscShift,
      flags: this.#isStable ? XEN_PVCLOCK_TSC_STABLE_BIT : 0,
    })
  }

  save(): PvClockState {
    return { version: 1, count: this.#count, stampedAt: this.#stampedAt }
  }

  restore(state: PvClockState): void {
    invariant(state.version === 1, `a pv clock of version ${state.version} is not known`)
    this.#count = state.count
    this.#stampedAt = state.stampedAt
  }
}
