// When a look is taken at what runs. A processor's budget is given to emitted code in slices, and
// where one ends, a block is seen running. Slices are short while much is interpreted and long
// where all is translated; their lengths vary, lest they beat in time with a loop of the guest.
//
// A slice ends where a block does not fit into the rest of it, which happens to large blocks more
// often than to small ones: the sample is taken a few branches further on, which are the same for
// all. All of this is a function of what the guest executes; no clock has a part in it.

const LEAST_SLICE = 8192
const MOST_SLICE = 65536
/** A rest shorter than this is not worth a slice of its own. */
const LEAST_REST = 512
/** Most branches from the end of a slice to the sample, less one; a mask. */
const MOST_DRIFT = 3

export class Sampler {
  /** Branches to go to the next sample: 1 for now, 0 for none. */
  drift = 0
  /** Instructions that a sample stands for. */
  weight = 0
  #slice = LEAST_SLICE
  #random = 1

  /** Instructions of the next slice, out of what is left. */
  nextSlice(left: number): number {
    this.#random = (Math.imul(this.#random, 1664525) + 1013904223) >>> 0
    const size = this.#slice + ((this.#random >>> 16) % this.#slice)
    this.weight = size + LEAST_REST < left ? size : left
    return this.weight
  }

  /** A slice has ended. */
  sliceEnded(): void {
    this.drift = 1 + ((this.#random >>> 8) & MOST_DRIFT)
  }

  /** A sample was taken: of a region, or of code that is interpreted. */
  sampled(isTranslated: boolean): void {
    this.drift = 0
    this.#slice = isTranslated
      ? Math.min(this.#slice * 2, MOST_SLICE)
      : Math.max(this.#slice >>> 1, LEAST_SLICE)
  }
}
