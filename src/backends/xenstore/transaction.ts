// A transaction: a copy of the tree as it was at the start, and what was looked at in it.
// It commits if nothing that it looked at or changed has been changed by others since; then its
// changes are merged into the store. Finer than xenstored 4.17, where two transactions that
// create different children of one node conflict: here only who lists the children sees those.

import { segmentsOf } from './path.ts'
import type { Caller } from './permissions.ts'
import type { Quotas } from './quotas.ts'
import { lookUp, type Node } from './tree.ts'
import { type Aspect, type Change, type Generations, Workspace } from './workspace.ts'

export class Transaction extends Workspace {
  /** The tree at the start. */
  readonly base: Node
  /** Paths with the aspects that were looked at. */
  readonly touched = new Map<string, Set<Aspect>>()
  readonly #changes = new Map<string, Change>()

  constructor(
    base: Node,
    root: Node,
    owned: ReadonlyMap<number, number>,
    quotas: Quotas,
    generations: Generations,
  ) {
    super(root, owned, quotas, generations)
    this.base = base
  }

  /**
   * What watches are told of at the commit: each path once, in the order in which they were first
   * looked at; not what came and went within.
   */
  get changes(): Change[] {
    return [...this.touched.keys()].flatMap((path) => {
      const change = this.#changes.get(path)
      const segments = segmentsOf(path)
      const isSame = lookUp(this.base, segments) === lookUp(this.root, segments)
      return change && !isSame ? [change] : []
    })
  }

  /** Whether others have changed in `current` what this transaction looked at. */
  conflictsWith(current: Node): boolean {
    if (this.#changes.size === 0) return false
    for (const [path, aspects] of this.touched) {
      const segments = segmentsOf(path)
      const was = lookUp(this.base, segments)
      const is = lookUp(current, segments)
      if (was === is) continue
      if (was?.generation !== is?.generation) return true
      if (aspects.has('children') && was?.childrenGeneration !== is?.childrenGeneration) return true
    }
    return false
  }

  protected override touch(caller: Caller, path: string, aspect: Aspect): boolean {
    const aspects = this.touched.get(path)
    if (aspects) {
      aspects.add(aspect)
      return true
    }
    if (!caller.isPrivileged && this.touched.size >= this.quotas.transactionNodes) return false
    this.touched.set(path, new Set([aspect]))
    return true
  }

  protected override changed(changes: readonly Change[]): void {
    this.addChanges(changes)
  }

  /** Adds changes that are not among those of this transaction yet. */
  addChanges(changes: readonly Change[]): void {
    for (const change of changes) {
      const earlier = this.#changes.get(change.path)
      if (!earlier || (earlier.isExact && !change.isExact)) this.#changes.set(change.path, change)
    }
  }
}
