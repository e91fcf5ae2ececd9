// Trees as plain data: one table of nodes for all of them, in which what they share lies once.

import { Bug } from '../../base/errors.ts'
import type { Permissions } from './permissions.ts'
import type { Node } from './tree.ts'

/** One node; children stand before their parents and are named by their place in the table. */
export interface NodeState {
  readonly value: Uint8Array
  readonly permissions: Permissions
  readonly children: [name: string, index: number][]
  readonly generation: number
  readonly childrenGeneration: number
}

export type NodeTable = NodeState[]

/** Collects trees into a table. */
export class NodeTableWriter {
  readonly table: NodeTable = []
  readonly #places = new Map<Node, number>()

  /** The place of the node in the table, where it and all below it are from now on. */
  add(node: Node): number {
    const known = this.#places.get(node)
    if (known !== undefined) return known
    const children: [string, number][] = []
    for (const [name, child] of node.children) children.push([name, this.add(child)])
    const { value, permissions, generation, childrenGeneration } = node
    this.table.push({ value, permissions, children, generation, childrenGeneration })
    this.#places.set(node, this.table.length - 1)
    return this.table.length - 1
  }
}

/** The nodes of a table, each made once. */
export function readNodeTable(table: NodeTable): (index: number) => Node {
  const nodes: Node[] = []
  const at = (index: number): Node => {
    const node = nodes[index]
    if (!node) throw new Bug(`a saved store has no node ${index}`)
    return node
  }
  for (const state of table) {
    nodes.push({ ...state, children: new Map(state.children.map(([name, i]) => [name, at(i)])) })
  }
  return at
}
