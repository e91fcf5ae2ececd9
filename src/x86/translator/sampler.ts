// When a look is taken at what runs. A processor's budget is given to emitted code in slices, and
// where one ends, a block is seen running. Slices are short while much is interpreted and long
// where all is translated; their lengths vary, lest they beat in time with a loop of the guest.
//
// A slice ends where a block does not fit into the rest of it, which happens to large blocks more
// often than to small ones: the sample is taken a few branches further on, which are the same for
// all. All of this is a function of what the guest executes; no clock has a part in it.

import { type Policy, policyOf } from './policy.ts'

/** Most branches from the end of a slice to the sample, less one; a mask. */
const MOST_DRIFT = 3

export class Sampler {
  /** Branches to go to the next sample: 1 for now, 0 for none. */
  drift = 0
  /** Instructions that a sample stands for. */
  weight = 0
  #slice: number
  /** Instructions of the running slice, and how many of them are to come. */
  #size = 0
  #rest = 0
  #random: number
  readonly #policy: Policy

  constructor(policy: Policy = policyOf(undefined)) {
    this.#policy = policy
    this.#slice = policy.leastSlice
    this.#random = policy.sampling
  }

  /** Instructions to execute before the next look: of the running slice, or of a new one. */
  next(most: number): number {
    if (this.#rest === 0) {
      this.weight = this.#size
      this.#random = (Math.imul(this.#random, 1664525) + 1013904223) >>> 0
      this.drift = 1 + ((this.#random >>> 8) & MOST_DRIFT)
      this.#size = this.#slice + ((this.#random >>> 16) % this.#slice)
      this.#rest = this.#size
    }
    const given = Math.min(this.#rest, most)
    this.#rest -= given
    return given
  }

  /** Instructions that were to be executed and have not been. */
  giveBack(instructions: number): void {
    this.#rest += instructions
  }

  /** A sample was taken: of a region, or of code that is interpreted. */
  sampled(isTranslated: boolean): void {
    this.drift = 0
    const { leastSlice, mostSlice } = this.#policy
    this.#slice = isTranslated
      ? Math.min(this.#slice * 2, mostSlice)
      : Math.max(this.#slice >>> 1, leastSlice)
  }
}
