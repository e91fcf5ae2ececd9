// The store: the current tree, transactions on it, and who owns how much of it. Pure: it knows
// callers but neither connections nor watches, and tells one listener of every change.
// Follows docs/misc/xenstore.txt.

import type { MayGrow } from './memory.ts'
import { merge } from './merge.ts'
import { type Holdings, ownershipChange, withoutDomain } from './ownership.ts'
import { parentOf, segmentsOf } from './path.ts'
import { type Caller, MAY_READ, rightsOf } from './permissions.ts'
import { DEFAULT_QUOTAS, type Quotas } from './quotas.ts'
import { Transaction } from './transaction.ts'
import { lookUp, type Node } from './tree.ts'
import { type NodeTable, NodeTableWriter, readNodeTable } from './tree-state.ts'
import type { Errno } from './wire.ts'
import { type Aspect, type Change, Generations, Workspace } from './workspace.ts'

/** Told of changes, with the trees before and after them. */
export type ChangeListener = (changes: readonly Change[], before: Node, after: Node) => void

/** A transaction as plain data; its trees are places in the store's table of nodes. */
export interface TransactionState {
  readonly base: number
  readonly root: number
  readonly touched: [path: string, aspects: Aspect[]][]
  readonly changes: Change[]
}

/** The store with its open transactions, as plain data. */
export interface StoreState {
  readonly version: 1
  readonly generation: number
  readonly root: number
  readonly nodes: NodeTable
  readonly transactions: TransactionState[]
}

/** What a new store holds: a root that belongs to domain 0 and hides from others. */
const EMPTY_ROOT: Node = {
  value: new Uint8Array(),
  permissions: [{ domid: 0, access: 'n' }],
  children: new Map(),
  generation: 0,
  childrenGeneration: 0,
}

export class Store extends Workspace {
  /** Told of every change when it has been made. */
  onChange: ChangeListener = () => {}
  /** Asked before a domain's nodes or transactions take more memory. */
  mayGrow: MayGrow = () => true

  constructor(quotas: Quotas = DEFAULT_QUOTAS) {
    super(EMPTY_ROOT, ownershipChange(undefined, EMPTY_ROOT), quotas, new Generations())
  }

  /** A transaction on the tree as it is now. Forgetting it is aborting it. */
  begin(): Transaction {
    return this.#transaction(this.root, this.root, this.owned)
  }

  /** Makes the changes of a transaction, all or none: EAGAIN on a conflict, ENOSPC by quota. */
  commit(caller: Caller, transaction: Transaction): undefined | Errno {
    const before = this.root
    if (transaction.conflictsWith(before)) return 'EAGAIN'
    const { base, root } = transaction
    const after = merge(base, root, before, this.generations.next()) ?? before
    const owned = ownershipChange(before, after)
    const more = owned.get(caller.domid)?.nodes ?? 0
    const total = (this.owned.get(caller.domid)?.nodes ?? 0) + more
    if (!caller.isPrivileged && more > 0 && total > this.quotas.nodes) return 'ENOSPC'
    // The transaction has counted what the nodes take now.
    this.count(owned)
    this.root = after
    this.changed(transaction.changes, before)
    return undefined
  }

  /** Removes the nodes that a domain owns, with all below them; its entries elsewhere are void. */
  forgetDomain(domid: number): void {
    const before = this.root
    const generation = this.generations.next()
    const changes: Change[] = []
    this.root = withoutDomain('/', before, domid, generation, changes) ?? before
    this.count(ownershipChange(before, this.root))
    this.changed(changes, before)
  }

  save(transactions: readonly Transaction[] = []): StoreState {
    const writer = new NodeTableWriter()
    return {
      version: 1,
      generation: this.generations.last,
      root: writer.add(this.root),
      nodes: writer.table,
      transactions: transactions.map((t) => ({
        base: writer.add(t.base),
        root: writer.add(t.root),
        touched: [...t.touched].map(([path, aspects]) => [path, [...aspects]]),
        changes: t.changes,
      })),
    }
  }

  /** Takes a saved state and gives its transactions, in their order. */
  restore(state: StoreState): Transaction[] {
    const at = readNodeTable(state.nodes)
    this.root = at(state.root)
    this.generations.last = state.generation
    this.owned.clear()
    this.count(ownershipChange(undefined, this.root))
    return state.transactions.map((t) => {
      const root = at(t.root)
      const owned = ownershipChange(undefined, root)
      const made = this.#transaction(at(t.base), root, owned)
      made.resume(t.touched, t.changes)
      return made
    })
  }

  protected override touch(): undefined {}

  protected override admit(
    caller: Caller,
    _root: Node,
    more: ReadonlyMap<number, Holdings>,
  ): undefined | Errno {
    const isRefused = ([domid, { bytes }]: [number, Holdings]) =>
      bytes > 0 && !this.mayGrow(domid, bytes)
    return !caller.isPrivileged && [...more].some(isRefused) ? 'EIO' : undefined
  }

  #transaction(base: Node, root: Node, owned: ReadonlyMap<number, Holdings>): Transaction {
    const mayGrow: MayGrow = (domid, bytes) => this.mayGrow(domid, bytes)
    return new Transaction(base, root, owned, this.quotas, this.generations, mayGrow)
  }

  protected override changed(changes: readonly Change[], before: Node): void {
    if (changes.length > 0) this.onChange(changes, before, this.root)
  }
}

/**
 * Whether a caller may know that the node at `path` has changed: if it can read the node or its
 * parent, in the tree before the change or in the one after it.
 */
export function isVisible(caller: Caller, path: string, before: Node, after: Node): boolean {
  const segments = segmentsOf(path)
  const above = segmentsOf(parentOf(path))
  const nodes = [before, after].flatMap((root) => {
    const node = lookUp(root, segments)
    return node ? [node, lookUp(root, above)] : []
  })
  return nodes.some((n) => n && (rightsOf(caller, n.permissions) & MAY_READ) !== 0)
}
