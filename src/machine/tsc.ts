// The time-stamp counter of a guest: a frequency and an offset over the host's time, in exact
// integers, and the scale by which a guest turns ticks back into nanoseconds (tsc_to_system_mul
// and tsc_shift of vcpu_time_info, Xen public/xen.h).

import { invariant } from '../base/errors.ts'

const NS_PER_MS = 1_000_000

/** Ticks to nanoseconds as a guest computes it: ((ticks shifted left by tscShift) * mul) >> 32. */
export interface PvclockScale {
  readonly tscToSystemMul: number
  readonly tscShift: number
}

/**
 * The scale for a frequency. As Xen does, the frequency is brought into (10^9, 2 * 10^9] Hz by
 * shifting, so that the multiplier is a fraction in [1/2, 1) with all of its 32 bits in use.
 */
export function pvclockScale(khz: number): PvclockScale {
  invariant(khz > 0 && Number.isSafeInteger(khz * 1000), `no TSC runs at ${khz} kHz`)
  let hz = khz * 1000
  let tscShift = 0
  for (; hz > 2e9; tscShift--) hz = Math.floor(hz / 2)
  for (; hz <= 1e9; tscShift++) hz *= 2
  return { tscToSystemMul: Number((1_000_000_000n << 32n) / BigInt(hz)), tscShift }
}

/** The plain form of a {@link Tsc}. */
export interface TscState {
  readonly version: 1
  readonly khz: number
  readonly offset: bigint
}

export class Tsc {
  #khz: number
  #offset: bigint

  /** A counter of `khz` kilohertz that reads `offset` (modulo 2^64) when the host starts. */
  constructor(khz: number, offset = 0n) {
    invariant(Number.isSafeInteger(khz) && khz > 0, `no TSC runs at ${khz} kHz`)
    this.#khz = khz
    this.#offset = BigInt.asUintN(64, offset)
  }

  get khz(): number {
    return this.#khz
  }

  /** What the counter read when the host started, modulo 2^64. */
  get offset(): bigint {
    return this.#offset
  }

  set offset(value: bigint) {
    this.#offset = BigInt.asUintN(64, value)
  }

  /**
   * Ticks from the start of the host to `ns`, rounded down, without the offset. Exact; NaN if they
   * are more than a number can hold (2^53: 26 days at 4 GHz).
   */
  elapsedTicks(ns: number): number {
    // Whole milliseconds first: both products then stay exact.
    const ms = Math.floor(ns / NS_PER_MS)
    const ticks = ms * this.#khz + Math.floor(((ns - ms * NS_PER_MS) * this.#khz) / NS_PER_MS)
    return Number.isSafeInteger(ticks) ? ticks : Number.NaN
  }

  /** What the counter reads at `ns`. */
  ticksAt(ns: number): bigint {
    const few = this.elapsedTicks(ns)
    const ticks = Number.isNaN(few) ? (BigInt(ns) * BigInt(this.#khz)) / 1_000_000n : BigInt(few)
    return BigInt.asUintN(64, ticks + this.#offset)
  }

  /**
   * The first nanosecond at which the counter, seen from `fromNs`, has come to `ticks`; `fromNs`
   * itself if it has passed it. The counter's own wrap after 2^64 ticks is past the end of time
   * here: more than 2^53 ns are given as Infinity.
   */
  nsAt(ticks: bigint, fromNs: number): number {
    if (ticks <= this.ticksAt(fromNs)) return fromNs
    const elapsed = BigInt.asUintN(64, ticks - this.#offset)
    const khz = BigInt(this.#khz)
    const ns = Number((elapsed * BigInt(NS_PER_MS) + khz - 1n) / khz)
    return Number.isSafeInteger(ns) ? ns : Number.POSITIVE_INFINITY
  }

  /** Makes the counter read `ticks` at `ns`: a write to the TSC. */
  setAt(ns: number, ticks: bigint): void {
    const delta = ticks - this.ticksAt(ns)
    this.#offset = BigInt.asUintN(64, this.#offset + delta)
  }

  save(): TscState {
    return { version: 1, khz: this.#khz, offset: this.#offset }
  }

  restore(state: TscState): void {
    invariant(state.version === 1, `a TSC of version ${state.version} is not known`)
    this.#khz = state.khz
    this.#offset = state.offset
  }
}
