// The operations on a tree of nodes, the same for the store itself and for a transaction's copy.
// Follows docs/misc/xenstore.txt, "Database read, write and permissions operations"; which error
// comes first follows xenstored 4.17. Errors are values. Paths must be absolute and valid.

import { parentOf, segmentsOf } from './path.ts'
import {
  type Caller,
  MAY_READ,
  MAY_WRITE,
  OWNS,
  type Permissions,
  rightsOf,
} from './permissions.ts'
import { type Holdings, ownershipChange } from './ownership.ts'
import type { Quotas } from './quotas.ts'
import { lookUp, type Node, nodesAlong, sizeOf, walk, withNode } from './tree.ts'
import type { Errno } from './wire.ts'

/** A change that watches are told of. */
export interface Change {
  readonly path: string
  /** Only watches on this very path see it: a node that went with its parent. */
  readonly isExact: boolean
}

/** What of a node an operation looked at. */
export type Aspect = 'content' | 'children'

/** The children of a node, and a number that stays the same as long as they do. */
export interface Listing {
  readonly names: string[]
  readonly generation: number
}

/** Hands out the numbers of {@link Node.generation}; transactions share those of their store. */
export class Generations {
  last = 0

  next(): number {
    return ++this.last
  }
}

const NO_VALUE = new Uint8Array()

export abstract class Workspace {
  root: Node
  /** What each domain owns. */
  readonly owned: Map<number, Holdings>
  protected readonly quotas: Quotas
  protected readonly generations: Generations

  constructor(
    root: Node,
    owned: ReadonlyMap<number, Holdings>,
    quotas: Quotas,
    generations: Generations,
  ) {
    this.root = root
    this.owned = new Map(owned)
    this.quotas = quotas
    this.generations = generations
  }

  /** Told what an operation looks at; an error if that is more than the caller may look at. */
  protected abstract touch(caller: Caller, path: string, aspect: Aspect): undefined | Errno

  /** Whether the domains have room for what `root` has more than the tree before: else an error. */
  protected abstract admit(
    caller: Caller,
    root: Node,
    more: ReadonlyMap<number, Holdings>,
  ): undefined | Errno

  /** Told what an operation changed, and the tree before it. */
  protected abstract changed(changes: readonly Change[], before: Node): void

  read(caller: Caller, path: string): Uint8Array | Errno {
    const node = this.#find(caller, path, MAY_READ)
    return typeof node === 'string' ? node : node.value
  }

  list(caller: Caller, path: string): Listing | Errno {
    const node = this.#find(caller, path, MAY_READ)
    if (typeof node === 'string') return node
    const error = this.touch(caller, path, 'children')
    if (error) return error
    return { names: [...node.children.keys()], generation: node.childrenGeneration }
  }

  permissions(caller: Caller, path: string): Permissions | Errno {
    const node = this.#find(caller, path, MAY_READ)
    return typeof node === 'string' ? node : node.permissions
  }

  /** Sets a value; creates the node and its parents if need be. */
  write(caller: Caller, path: string, value: Uint8Array): undefined | Errno {
    const node = this.#find(caller, path, MAY_WRITE)
    if (node === 'ENOENT') return this.#create(caller, path, value)
    if (typeof node === 'string') return node
    return this.#replace(caller, path, node, { value: value.slice() })
  }

  /** Creates an empty node and its parents; leaves one that exists as it is. */
  makeNode(caller: Caller, path: string): undefined | Errno {
    const node = this.#find(caller, path, MAY_WRITE)
    if (node === 'ENOENT') return this.#create(caller, path, NO_VALUE)
    return typeof node === 'string' ? node : undefined
  }

  /** Removes a node and all below it. Without the node its parent must exist. */
  remove(caller: Caller, path: string): undefined | Errno {
    const node = this.#find(caller, path, MAY_WRITE)
    if (node === 'ENOENT') return this.#hasParent(path) ? undefined : 'ENOENT'
    if (typeof node === 'string') return node
    return path === '/' ? 'EINVAL' : this.#remove(caller, path, node)
  }

  /** Only the owner may; only a privileged caller may give a node to another owner. */
  setPermissions(caller: Caller, path: string, permissions: Permissions): undefined | Errno {
    if (!caller.isPrivileged && permissions.length > this.quotas.permissions) return 'ENOSPC'
    const node = this.#find(caller, path, MAY_WRITE | OWNS)
    if (typeof node === 'string') return node
    const [owner] = node.permissions
    if (!caller.isPrivileged && permissions[0].domid !== owner.domid) return 'EPERM'
    return this.#replace(caller, path, node, { permissions })
  }

  /** Adds to what domains own. */
  protected count(more: ReadonlyMap<number, Holdings>): void {
    for (const [domid, by] of more) {
      const had = this.owned.get(domid) ?? { nodes: 0, bytes: 0 }
      const nodes = had.nodes + by.nodes
      if (nodes > 0) this.owned.set(domid, { nodes, bytes: had.bytes + by.bytes })
      else this.owned.delete(domid)
    }
  }

  #find(caller: Caller, path: string, need: number): Node | Errno {
    const segments = segmentsOf(path)
    const found = nodesAlong(this.root, segments)
    const nearest = found[found.length - 1] ?? this.root
    for (let depth = segments.length; depth >= found.length - 1; depth--) {
      const at = `/${segments.slice(0, depth).join('/')}`
      const error = this.touch(caller, at, 'content')
      if (error) return error
    }
    const rights = rightsOf(caller, nearest.permissions) & need
    if (found.length <= segments.length) return rights !== 0 ? 'ENOENT' : 'EACCES'
    return rights === need ? nearest : 'EACCES'
  }

  #hasParent(path: string): boolean {
    return lookUp(this.root, segmentsOf(parentOf(path))) !== undefined
  }

  /** New nodes inherit the permissions above them, but belong to an unprivileged creator. */
  #create(caller: Caller, path: string, value: Uint8Array): undefined | Errno {
    const segments = segmentsOf(path)
    const depth = nodesAlong(this.root, segments).length
    const parentPath = segments.slice(0, depth - 1)
    const parent = lookUp(this.root, parentPath) ?? this.root
    const [inherited, ...listed] = parent.permissions
    const domid = caller.isPrivileged ? inherited.domid : caller.domid
    const missing = segments.slice(depth - 1)
    const total = (this.owned.get(domid)?.nodes ?? 0) + missing.length
    if (!caller.isPrivileged && total > this.quotas.nodes) return 'ENOSPC'

    const generation = this.generations.next()
    const permissions: Permissions = [{ ...inherited, domid }, ...listed]
    const fresh = { permissions, generation, childrenGeneration: generation }
    let node: Node = { ...fresh, value: value.slice(), children: new Map() }
    let isTooLarge = this.#isTooLarge(caller, node)
    for (const name of missing.slice(1).toReversed()) {
      node = { ...fresh, value: NO_VALUE, children: new Map([[name, node]]) }
      isTooLarge ||= this.#isTooLarge(caller, node)
    }
    const top = [...parentPath, ...missing.slice(0, 1)]
    const root = withNode(this.root, top, node, generation)
    isTooLarge ||= this.#isTooLarge(caller, lookUp(root, parentPath) ?? root)
    if (isTooLarge) return 'ENOSPC'
    return this.#commit(caller, root, [{ path, isExact: false }])
  }

  #replace(
    caller: Caller,
    path: string,
    node: Node,
    change: { value: Uint8Array } | { permissions: Permissions },
  ): undefined | Errno {
    const generation = this.generations.next()
    const next = { ...node, ...change, generation }
    if (this.#isTooLarge(caller, next)) return 'ENOSPC'
    const root = withNode(this.root, segmentsOf(path), next, generation)
    return this.#commit(caller, root, [{ path, isExact: false }])
  }

  /** Looks at all that it removes: what others add there meanwhile would be lost or left. */
  #remove(caller: Caller, path: string, node: Node): undefined | Errno {
    const removed = [...walk(path, node)]
    for (const [at] of removed) {
      const error = this.touch(caller, at, 'children')
      if (error) return error
    }
    const root = withNode(this.root, segmentsOf(path), undefined, this.generations.next())
    const changes = removed.map(([at]) => ({ path: at, isExact: at !== path }))
    return this.#commit(caller, root, changes)
  }

  #isTooLarge(caller: Caller, node: Node): boolean {
    return !caller.isPrivileged && sizeOf(node) >= this.quotas.nodeSize
  }

  #commit(caller: Caller, root: Node, changes: readonly Change[]): undefined | Errno {
    const before = this.root
    const more = ownershipChange(before, root)
    const error = this.admit(caller, root, more)
    if (error) return error
    this.count(more)
    this.root = root
    this.changed(changes, before)
    return undefined
  }
}
