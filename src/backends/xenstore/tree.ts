// The tree of nodes. Nodes never change: an operation makes new ones along the path from the
// root, so keeping a root keeps a snapshot, and comparing nodes by identity finds what changed.

import type { Permissions } from './permissions.ts'
import { joinPath } from './path.ts'

export interface Node {
  readonly value: Uint8Array
  readonly permissions: Permissions
  /** In the order of creation. */
  readonly children: ReadonlyMap<string, Node>
  /** Drawn anew whenever the value or the permissions are set. */
  readonly generation: number
  /** Drawn anew whenever a child is added or removed. */
  readonly childrenGeneration: number
}

/** The nodes from the root to the end of the path, as far as they exist. Never empty. */
export function nodesAlong(root: Node, segments: readonly string[]): [Node, ...Node[]] {
  const nodes: [Node, ...Node[]] = [root]
  let node: Node | undefined = root
  for (const name of segments) {
    node = node.children.get(name)
    if (!node) break
    nodes.push(node)
  }
  return nodes
}

export function lookUp(root: Node, segments: readonly string[]): Node | undefined {
  return nodesAlong(root, segments)[segments.length]
}

/**
 * The tree with `node` in place of what is at the path, or with nothing there. The parent must
 * exist. A parent whose list of children changes takes `generation`.
 */
export function withNode(
  root: Node,
  segments: readonly string[],
  node: Node | undefined,
  generation: number,
): Node {
  const [name, ...rest] = segments
  if (name === undefined) return node ?? root
  const child = root.children.get(name)
  const next = rest.length > 0 && child ? withNode(child, rest, node, generation) : node
  return withChild(root, name, next, generation)
}

/** The node with one child set or removed. */
export function withChild(
  parent: Node,
  name: string,
  child: Node | undefined,
  generation: number,
): Node {
  const children = new Map(parent.children)
  const isListChanged = children.has(name) !== (child !== undefined)
  if (child) children.set(name, child)
  else children.delete(name)
  const childrenGeneration = isListChanged ? generation : parent.childrenGeneration
  return { ...parent, children, childrenGeneration }
}

/** Visits a subtree, each node after its children. */
export function* walk(path: string, node: Node): Generator<[path: string, node: Node]> {
  for (const [name, child] of node.children) yield* walk(joinPath(path, name), child)
  yield [path, node]
}

/** Bytes that a node takes, with its path, as the quota of memory counts them. */
export function memoryOf(node: Node, pathLength: number): number {
  return sizeOf(node) + pathLength
}

/** Bytes of a node as its quota counts them. */
export function sizeOf(node: Node): number {
  let size = 24 + 8 * node.permissions.length + node.value.length
  for (const name of node.children.keys()) size += name.length + 1
  return size
}
