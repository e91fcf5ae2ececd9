// The three-way merge by which a transaction is committed: what it changed since its base is
// applied to the current tree. Only called when nothing it looked at has changed, so that both
// sides can have changed the same node only in its list of children.

import type { Node } from './tree.ts'

/**
 * The current node with the changes from `base` to `mine`; undefined stands for no node.
 * Nodes that differ from all three take `generation` for their list of children.
 */
export function merge(
  base: Node | undefined,
  mine: Node | undefined,
  current: Node | undefined,
  generation: number,
): Node | undefined {
  if (mine === base) return current
  if (current === base || !mine || !current) return mine
  const children = new Map(current.children)
  for (const name of new Set([...(base?.children.keys() ?? []), ...mine.children.keys()])) {
    const child = merge(
      base?.children.get(name),
      mine.children.get(name),
      current.children.get(name),
      generation,
    )
    if (child) children.set(name, child)
    else children.delete(name)
  }
  const isMine = mine.generation !== base?.generation
  const { value, permissions } = isMine ? mine : current
  return {
    value,
    permissions,
    children,
    generation: isMine ? mine.generation : current.generation,
    childrenGeneration: hasSameNames(children, current.children)
      ? current.childrenGeneration
      : generation,
  }
}

function hasSameNames(a: ReadonlyMap<string, Node>, b: ReadonlyMap<string, Node>): boolean {
  return a.size === b.size && [...a.keys()].every((name) => b.has(name))
}
