// Where indirect branches were seen to go: what the planner takes for their targets. Only hints, by
// linear address; that another address space has other code there costs a wrong guess.

/** Targets of one branch that are remembered. */
const MOST_TARGETS = 16
/** Branches that are remembered. */
const MOST_BRANCHES = 8192

export class BranchTargets {
  /** For each branch how often it was seen to go to an offset from its page. */
  readonly #counts = new Map<number, Map<number, number>>()

  /**
   * A branch on a page was seen to go to an offset from that page. `lo`, `hi`: halves of the
   * page's linear address; `end`: page offset of the byte behind the branch.
   */
  note(lo: number, hi: number, end: number, target: number): void {
    const key = keyOf(lo, hi, end)
    let counts = this.#counts.get(key)
    if (!counts) {
      if (this.#counts.size >= MOST_BRANCHES) this.#counts.clear()
      counts = new Map()
      this.#counts.set(key, counts)
    }
    const count = counts.get(target)
    if (count !== undefined) counts.set(target, count + 1)
    else if (counts.size < MOST_TARGETS) counts.set(target, 1)
  }

  /** Offsets that a branch was seen to go to, the most frequent first. */
  of(lo: number, hi: number, end: number): readonly number[] {
    const counts = this.#counts.get(keyOf(lo, hi, end))
    if (!counts) return []
    return [...counts].sort((a, b) => b[1] - a[1]).map(([target]) => target)
  }
}

function keyOf(lo: number, hi: number, end: number): number {
  return ((lo + end) | 0) ^ Math.imul(hi, 0x9e3779b1)
}
