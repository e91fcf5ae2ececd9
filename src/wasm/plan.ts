// Planning: one walk backwards over the recorded sequence. It drops what nobody uses, and decides for
// each value whether it is emitted inside the code of its one use, read from a local that still holds
// it, or kept in a local of its own from the place of its creation.

import { CONST, EFFECT, ELSE, LOAD, PURE, READ, SET, type Value } from './value.ts'

/** Fills in uses, lastUse, site and home of every node. */
export function plan(sequence: readonly Value[]): void {
  /** The next place after the current one where memory may change. */
  let nextChange = Number.MAX_SAFE_INTEGER
  for (let i = sequence.length - 1; i >= 0; i--) {
    const node = sequence[i] as Value
    switch (node.kind) {
      case READ:
        if (node.uses > 0) planRead(node)
        continue
      case LOAD:
      case PURE:
        if (node.uses === 0) continue
        // A value whose use lies in a loop that it was not created in is not computed again and again.
        if (
          node.uses > 1 ||
          (node.kind === LOAD && node.lastUse > nextChange) ||
          node.height === 0 ||
          node.site?.scope.loop !== node.scope.loop
        ) {
          node.site = node
        }
        useAll(node, node.site as Value)
        continue
      case ELSE:
        continue
      case SET:
        if (node.local) node.local.nextSet = i
        break
      case EFFECT:
        if (node.instruction?.changesMemory) nextChange = i
        break
    }
    node.site = node
    useAll(node, node)
  }
}

/** A read costs nothing if the local still holds the value at its last use. */
function planRead(node: Value): void {
  const local = node.local
  if (!local) return
  if (local.nextSet < node.lastUse) node.site = node
  else {
    node.site = undefined
    node.home = local.index
  }
}

function useAll(node: Value, site: Value): void {
  if (node.a) use(node.a, site)
  if (node.b) use(node.b, site)
  if (node.c) use(node.c, site)
  if (node.rest) for (const value of node.rest) use(value, site)
}

function use(value: Value, site: Value): void {
  if (value.kind === CONST) return
  value.uses++
  value.site = site
  let at = site.position
  // What is used in a loop but created outside is needed until the loop's end.
  if (site.scope.loop !== value.scope.loop) {
    let loop = site.scope.loop
    while (loop?.parent && loop.parent.loop !== value.scope.loop) loop = loop.parent.loop
    if (loop) at = loop.end
  }
  if (at > value.lastUse) value.lastUse = at
}
