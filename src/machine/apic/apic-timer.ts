// The timer of the local APIC: counts down from the initial count at the bus clock divided by the
// divide configuration, once or over and over, or waits for a value of the TSC.
// (Intel SDM vol. 3A, 10.5.4.)
//
// Nothing counts: what the counter would show is computed from the time it was started. While the
// LVT entry is masked no timer of the host is set, so a masked timer does not wake anybody; what
// is due meanwhile is made up for by `settle`, which every access to a register of it calls first.

import { invariant } from '../../base/errors.ts'
import type { Clock } from '../time.ts'
import type { TimerHandle, Timers } from '../timers.ts'
import type { Tsc } from '../tsc.ts'
import { LVT_MASKED, TimerMode } from './registers.ts'

/** One tick of the bus clock that the divider is fed with, in nanoseconds; the same as Xen's. */
export const APIC_BUS_CYCLE_NS = 10

/** The plain form of an {@link ApicTimer}. */
export interface ApicTimerState {
  readonly version: 1
  readonly lvt: number
  readonly divide: number
  readonly initialCount: number
  readonly expiresAt: number | null
  readonly tscDeadline: bigint
  readonly handle: number | null
}

const NEVER = Number.POSITIVE_INFINITY

export class ApicTimer {
  readonly #clock: Clock
  readonly #timers: Timers
  readonly #tsc: Tsc
  readonly #interrupt: () => void
  #lvt = LVT_MASKED
  #divide = 0
  #initialCount = 0
  /** When the counter next reaches 0, or the TSC the deadline; Infinity if it stands still. */
  #expiresAt = NEVER
  #tscDeadline = 0n
  #handle: TimerHandle | undefined

  /** `interrupt` is called when the timer expires and its LVT entry is not masked. */
  constructor(clock: Clock, timers: Timers, tsc: Tsc, interrupt: () => void) {
    this.#clock = clock
    this.#timers = timers
    this.#tsc = tsc
    this.#interrupt = interrupt
  }

  /** The timer's LVT entry. */
  get lvt(): number {
    return this.#lvt
  }

  set lvt(value: number) {
    this.settle()
    const oldMode = this.#mode
    this.#lvt = value
    const isDeadline = this.#mode === TimerMode.tscDeadline
    // The counter and the deadline do not share a life: whoever changes over starts from nothing.
    if (isDeadline !== (oldMode === TimerMode.tscDeadline)) this.#stop()
    this.#arm()
  }

  /** The divide configuration register. */
  get divideConfiguration(): number {
    return this.#divide
  }

  set divideConfiguration(value: number) {
    this.settle()
    const count = this.currentCount
    this.#divide = value
    if (count > 0) this.#expiresAt = this.#clock.now() + count * this.#tickNs
    this.#arm()
  }

  get initialCount(): number {
    return this.#initialCount
  }

  /** Starts the counter; 0 stops it. Ignored in TSC-deadline mode. */
  set initialCount(value: number) {
    this.settle()
    if (this.#mode === TimerMode.tscDeadline) return
    this.#initialCount = value
    this.#expiresAt = value === 0 ? NEVER : this.#clock.now() + value * this.#tickNs
    this.#arm()
  }

  /** What the counter shows. Always 0 in TSC-deadline mode. */
  get currentCount(): number {
    this.settle()
    if (this.#expiresAt === NEVER || this.#mode === TimerMode.tscDeadline) return 0
    return Math.ceil((this.#expiresAt - this.#clock.now()) / this.#tickNs)
  }

  /** The value of the TSC that is waited for; 0 if none is, and in the other modes. */
  get tscDeadline(): bigint {
    this.settle()
    return this.#tscDeadline
  }

  /** Waits for a value of the TSC, which may be past already; 0 stops waiting. */
  set tscDeadline(value: bigint) {
    this.settle()
    if (this.#mode !== TimerMode.tscDeadline) return
    this.#tscDeadline = value
    this.#expiresAt = value === 0n ? NEVER : this.#tsc.nsAt(value, this.#clock.now())
    this.settle()
    this.#arm()
  }

  /** To be called after the TSC was written: a deadline is a value, not a time. */
  tscChanged(): void {
    if (this.#tscDeadline === 0n) return
    this.#expiresAt = this.#tsc.nsAt(this.#tscDeadline, this.#clock.now())
    this.#arm()
  }

  /** Back to the state after power-up. */
  reset(): void {
    this.#lvt = LVT_MASKED
    this.#divide = 0
    this.#stop()
    this.#arm()
  }

  /** Does what is due by now. */
  settle(): void {
    const now = this.#clock.now()
    if (this.#expiresAt > now) return
    if (this.#mode === TimerMode.periodic && this.#initialCount > 0) {
      // The next period counts from the end of the last one, not from now: no drift.
      const period = this.#initialCount * this.#tickNs
      this.#expiresAt += period * (1 + Math.floor((now - this.#expiresAt) / period))
    } else {
      this.#expiresAt = NEVER
      this.#tscDeadline = 0n
    }
    this.#arm()
    if (!(this.#lvt & LVT_MASKED)) this.#interrupt()
  }

  save(): ApicTimerState {
    return {
      version: 1,
      lvt: this.#lvt,
      divide: this.#divide,
      initialCount: this.#initialCount,
      expiresAt: this.#expiresAt === NEVER ? null : this.#expiresAt,
      tscDeadline: this.#tscDeadline,
      handle: this.#handle ?? null,
    }
  }

  /** The clock, the timers and the TSC have been restored before. */
  restore(state: ApicTimerState): void {
    invariant(state.version === 1, `an APIC timer of version ${state.version} is not known`)
    if (this.#handle !== undefined) this.#timers.cancel(this.#handle)
    this.#handle = undefined
    this.#lvt = state.lvt
    this.#divide = state.divide
    this.#initialCount = state.initialCount
    this.#expiresAt = state.expiresAt ?? NEVER
    this.#tscDeadline = state.tscDeadline
    if (state.handle === null || state.expiresAt === null) return
    this.#handle = state.handle as TimerHandle
    this.#timers.revive(this.#handle, state.expiresAt, this.#expired)
  }

  get #mode(): number {
    return (this.#lvt >> 17) & 3
  }

  /** Nanoseconds of one count. */
  get #tickNs(): number {
    const code = (this.#divide & 3) | ((this.#divide & 8) >> 1)
    return APIC_BUS_CYCLE_NS * (code === 7 ? 1 : 2 << code)
  }

  #stop(): void {
    this.#initialCount = 0
    this.#expiresAt = NEVER
    this.#tscDeadline = 0n
  }

  #arm(): void {
    if (this.#handle !== undefined) this.#timers.cancel(this.#handle)
    this.#handle = undefined
    if (this.#expiresAt === NEVER || this.#lvt & LVT_MASKED) return
    this.#handle = this.#timers.set(this.#expiresAt, this.#expired)
  }

  readonly #expired = (): void => {
    this.#handle = undefined
    this.settle()
    if (this.#handle === undefined) this.#arm()
  }
}
