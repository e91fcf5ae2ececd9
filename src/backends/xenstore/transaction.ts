// A transaction: a copy of the tree as it was at the start, and what was looked at in it.
// It commits if nothing that it looked at or changed has been changed by others since; then its
// changes are merged into the store. Finer than xenstored 4.17, where two transactions that
// create different children of one node conflict: here only who lists the children sees those.

import type { MayGrow } from './memory.ts'
import type { Holdings } from './ownership.ts'
import { segmentsOf } from './path.ts'
import type { Caller } from './permissions.ts'
import type { Quotas } from './quotas.ts'
import { lookUp, memoryOf, type Node } from './tree.ts'
import type { Errno } from './wire.ts'
import { type Aspect, type Change, type Generations, Workspace } from './workspace.ts'

export class Transaction extends Workspace {
  /** The tree at the start. */
  readonly base: Node
  /** Paths with the aspects that were looked at. */
  readonly touched = new Map<string, Set<Aspect>>()
  readonly #changes = new Map<string, Change>()
  readonly #mayGrow: MayGrow
  /** Bytes of what was looked at, see {@link bytes}. */
  #bytes = 0

  constructor(
    base: Node,
    root: Node,
    owned: ReadonlyMap<number, Holdings>,
    quotas: Quotas,
    generations: Generations,
    mayGrow: MayGrow,
  ) {
    super(root, owned, quotas, generations)
    this.base = base
    this.#mayGrow = mayGrow
  }

  /**
   * What it takes of its client's memory: the paths that were looked at, and the nodes there as the
   * transaction has them.
   */
  get bytes(): number {
    return this.#bytes
  }

  /** Goes on where another left off, whose trees it has. */
  resume(
    touched: readonly (readonly [string, readonly Aspect[]])[],
    changes: readonly Change[],
  ): void {
    for (const [path, aspects] of touched) {
      this.touched.set(path, new Set(aspects))
      this.#bytes += bytesAt(this.root, path)
    }
    this.#addChanges(changes)
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

  protected override touch(caller: Caller, path: string, aspect: Aspect): undefined | Errno {
    const aspects = this.touched.get(path)
    if (aspects) {
      aspects.add(aspect)
      return undefined
    }
    const bytes = bytesAt(this.root, path)
    if (!caller.isPrivileged) {
      if (this.touched.size >= this.quotas.transactionNodes) return 'ENOSPC'
      if (!this.#mayGrow(caller.domid, bytes)) return 'ENOMEM'
    }
    this.#bytes += bytes
    this.touched.set(path, new Set([aspect]))
    return undefined
  }

  protected override admit(caller: Caller, root: Node): undefined | Errno {
    const more = this.#growth(root)
    if (!caller.isPrivileged && more > 0 && !this.#mayGrow(caller.domid, more)) return 'EIO'
    this.#bytes += more
    return undefined
  }

  protected override changed(changes: readonly Change[]): void {
    this.#addChanges(changes)
  }

  /** How many bytes more what was looked at takes in `root`. */
  #growth(root: Node): number {
    let more = 0
    for (const path of this.touched.keys()) {
      const segments = segmentsOf(path)
      const [was, is] = [lookUp(this.root, segments), lookUp(root, segments)]
      if (was !== is) more += bytesOf(is, path) - bytesOf(was, path)
    }
    return more
  }

  /** Adds changes that are not among those of this transaction yet. */
  #addChanges(changes: readonly Change[]): void {
    for (const change of changes) {
      const earlier = this.#changes.get(change.path)
      if (!earlier || (earlier.isExact && !change.isExact)) this.#changes.set(change.path, change)
    }
  }
}

function bytesAt(root: Node, path: string): number {
  return bytesOf(lookUp(root, segmentsOf(path)), path)
}

/** A path that was looked at takes room, whether there is a node or not. */
function bytesOf(node: Node | undefined, path: string): number {
  return node ? memoryOf(node, path.length) : path.length
}
