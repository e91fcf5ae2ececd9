// What a domain may take of the host's processor: its weight against other domains, and its cap.
// After credit2: who has run little for its weight runs first; a cap is a budget that is renewed
// each ten milliseconds, what was spent too much being taken from the next one. Unlike credit2 the
// weight is the domain's, not that of each of its vCPUs.

import { invariant } from '../base/errors.ts'

export const DEFAULT_WEIGHT = 256
export const MOST_WEIGHT = 65535

/** Nanoseconds of a budget's period, as in credit2. */
export const CAP_PERIOD_NS = 10_000_000

/**
 * So much may a domain be ahead of the one that has had least and still run in the same round, in
 * nanoseconds of the default weight; and so much may it have saved up when it wakes. Long enough
 * for a round of several vCPUs, short enough that nobody waits noticeably.
 */
const SLACK_NS = 2_000_000

/** The plain form of a {@link Credit}. */
export interface CreditState {
  readonly version: 1
  readonly weight: number
  readonly cap: number
  readonly charged: number
  readonly budget: number
  readonly renewsAt: number
}

export class Credit {
  #weight: number
  #cap: number
  /** Processor time divided by weight: what fairness compares. */
  #charged = 0
  /** Nanoseconds left until {@link renewsAt}, if there is a cap; below 0 what was overspent. */
  #budget = 0
  #renewsAt = 0

  /** `cap` is in per cent of one processor, 0 for none. */
  constructor(weight = DEFAULT_WEIGHT, cap = 0) {
    this.#weight = weight
    this.#cap = cap
  }

  get weight(): number {
    return this.#weight
  }

  get cap(): number {
    return this.#cap
  }

  get charged(): number {
    return this.#charged
  }

  /** When an exhausted budget is renewed. */
  get renewsAt(): number {
    return this.#renewsAt
  }

  set(weight: number, cap: number): void {
    invariant(weight >= 1 && weight <= MOST_WEIGHT && cap >= 0, 'no weight or cap like that')
    this.#weight = weight
    if (cap !== this.#cap) this.#renewsAt = 0
    this.#cap = cap
  }

  /** It has run for so long. */
  charge(ns: number): void {
    this.#charged += (ns * DEFAULT_WEIGHT) / this.#weight
    this.#budget -= ns
  }

  /** Does its cap let it run now; renews the budget when its time has come. */
  mayRun(now: number): boolean {
    if (this.#cap === 0) return true
    if (now >= this.#renewsAt) {
      const allowance = (this.#cap / 100) * CAP_PERIOD_NS
      const isFirst = this.#renewsAt === 0
      const periods = isFirst ? 1 : 1 + Math.floor((now - this.#renewsAt) / CAP_PERIOD_NS)
      const left = isFirst ? 0 : this.#budget
      this.#budget = Math.min(allowance, left + periods * allowance)
      this.#renewsAt = isFirst ? now + CAP_PERIOD_NS : this.#renewsAt + periods * CAP_PERIOD_NS
    }
    return this.#budget > 0
  }

  /** Is it its turn, when the one that has had least was charged `least`. */
  isDue(least: number): boolean {
    return this.#charged <= least + SLACK_NS
  }

  /** It slept while others ran: what it did not take then is not owed to it. */
  forgetSavings(least: number): void {
    this.#charged = Math.max(this.#charged, least - SLACK_NS)
  }

  save(): CreditState {
    return {
      version: 1,
      weight: this.#weight,
      cap: this.#cap,
      charged: this.#charged,
      budget: this.#budget,
      renewsAt: this.#renewsAt,
    }
  }

  restore(state: CreditState): void {
    invariant(state.version === 1, `credit of version ${state.version} is not known`)
    this.#weight = state.weight
    this.#cap = state.cap
    this.#charged = state.charged
    this.#budget = state.budget
    this.#renewsAt = state.renewsAt
  }
}
