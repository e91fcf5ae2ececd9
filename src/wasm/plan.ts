// Planning: one walk backwards over the recorded sequence. It drops what nobody uses, and decides for
// each value where it is computed and whether it needs a local.
//
// A pure value is computed at its first use, and kept in a local from there if there are others. It
// is computed where it was recorded instead
// - if its first use is not always run before the others (it lies in an arm, the others do not),
// - if its first use lies in a loop that the value does not, so that it is not computed repeatedly,
// - if a local that it reads is assigned in between: keeping the value is cheaper than a copy of that,
// - if it is a load and memory may change in between.

import {
  CONST,
  EFFECT,
  ELSE,
  LOAD,
  PLACE,
  PURE,
  READ,
  type Scope,
  SET,
  type Value,
} from './value.ts'

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
      case PURE: {
        const first = node.site
        if (!first) continue
        const { scope } = first
        if (
          node.height === 0 ||
          scope !== node.useScope ||
          scope.loop !== node.scope.loop ||
          (node.kind === LOAD && first.position > nextChange) ||
          isAssigned(node, first.position)
        ) {
          node.site = node
        }
        useAll(node, node.site as Value)
        continue
      }
      case ELSE:
        continue
      case PLACE:
        if (planPlace(node, i)) nextChange = i
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

/** What is assigned at a place, and whether memory changes there. Its operands need no planning. */
function planPlace({ rest }: Value, i: number): boolean {
  let isStoring = false
  for (const { local } of rest as Value[]) {
    if (local) local.nextSet = i
    else isStoring = true
  }
  return isStoring
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

/** Whether a local that the node reads is assigned between the node and the place. */
function isAssigned({ a, b, c }: Value, place: number): boolean {
  return isReadAssigned(a, place) || isReadAssigned(b, place) || isReadAssigned(c, place)
}

function isReadAssigned(value: Value | undefined, place: number): boolean {
  return value?.local !== undefined && value.local.nextSet < place
}

function useAll(node: Value, site: Value): void {
  if (node.a) use(node.a, site)
  if (node.b) use(node.b, site)
  if (node.c) use(node.c, site)
  if (node.rest) for (const value of node.rest) use(value, site)
}

function use(value: Value, site: Value): void {
  if (value.kind === CONST) return
  const { scope } = site
  value.uses++
  // The first use is the one that is encoded first: users are recorded in another order than that.
  if (!value.site || site.position < value.site.position) value.site = site
  if (value.useScope !== scope) {
    value.useScope = value.useScope ? commonScope(value.useScope, scope) : scope
  }
  let at = site.position
  // What is used in a loop but created outside is needed until the loop's end.
  if (scope.loop !== value.scope.loop) {
    let loop = scope.loop
    while (loop?.parent && loop.parent.loop !== value.scope.loop) loop = loop.parent.loop
    if (loop) at = loop.end
  }
  if (at > value.lastUse) value.lastUse = at
}

function commonScope(one: Scope, other: Scope): Scope {
  let a: Scope | undefined = one
  let b: Scope | undefined = other
  while (a && b && a !== b) {
    if (a.level >= b.level) a = a.parent
    else b = b.parent
  }
  return a as Scope
}
