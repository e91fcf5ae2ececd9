// Who owns how many nodes, and of what size, found by comparing two trees and skipping what they share; and what
// becomes of the nodes of a domain that is gone.

import { joinPath } from './path.ts'
import type { Permission } from './permissions.ts'
import { memoryOf, type Node, walk, withChild } from './tree.ts'
import type { Change } from './workspace.ts'

/** Nodes that a domain owns, and their bytes as the quota of memory counts them. */
export interface Holdings {
  readonly nodes: number
  readonly bytes: number
}

/** How much more each domain owns in `after` than in `before`. */
export function ownershipChange(
  before: Node | undefined,
  after: Node | undefined,
): Map<number, Holdings> {
  const change = new Map<number, Holdings>()
  addChange(before, after, 1, change)
  return change
}

function addChange(
  before: Node | undefined,
  after: Node | undefined,
  pathLength: number,
  change: Map<number, Holdings>,
): void {
  if (before === after) return
  const add = (node: Node | undefined, by: number): void => {
    if (!node) return
    const { domid } = node.permissions[0]
    const { nodes, bytes } = change.get(domid) ?? { nodes: 0, bytes: 0 }
    change.set(domid, { nodes: nodes + by, bytes: bytes + by * memoryOf(node, pathLength) })
  }
  // Most nodes that differ are those above the one that was changed, and take what they took.
  const hasSameNames = before?.childrenGeneration === after?.childrenGeneration
  if (!hasSameNames || before?.generation !== after?.generation) {
    add(before, -1)
    add(after, 1)
  }
  // Below the root, whose path is a slash, another one stands before each name.
  const above = pathLength === 1 ? 1 : pathLength + 1
  for (const [name, child] of before?.children ?? []) {
    addChange(child, after?.children.get(name), above + name.length, change)
  }
  if (hasSameNames) return
  for (const [name, child] of after?.children ?? []) {
    if (!before?.children.has(name)) addChange(undefined, child, above + name.length, change)
  }
}

/**
 * The tree without the nodes that a domain owns and all below them; its entries in the lists of
 * other nodes become void. Adds the removals to `changes`. A root that it owned goes to domain 0.
 */
export function withoutDomain(
  path: string,
  node: Node,
  domid: number,
  generation: number,
  changes: Change[],
): Node | undefined {
  const [owner, ...listed] = node.permissions
  if (owner.domid === domid && path !== '/') {
    for (const [at] of walk(path, node)) changes.push({ path: at, isExact: at !== path })
    return undefined
  }
  let next = node
  for (const [name, child] of node.children) {
    const left = withoutDomain(joinPath(path, name), child, domid, generation, changes)
    if (left !== child) next = withChild(next, name, left, generation)
  }
  const isNamed = (p: Permission): boolean => p.domid === domid && !p.isVoid
  if (owner.domid !== domid && !listed.some(isNamed)) return next
  const head = owner.domid === domid ? { ...owner, domid: 0 } : owner
  const tail = listed.map((p) => (isNamed(p) ? { ...p, isVoid: true as const } : p))
  return { ...next, permissions: [head, ...tail], generation }
}
