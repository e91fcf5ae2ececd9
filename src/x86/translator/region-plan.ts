// Which code a region has: basic blocks that can be reached from its entry by direct branches, into
// small functions by calls and behind the calls of others, and that have been executed; how control
// flows between them; and what the structured
// control flow of WebAssembly needs to know of it. Places are offsets from the page of the entry;
// they may lie on other pages, of which it is not known beforehand that they still lie where they
// did: whoever goes to another page looks. (Ramsey: Beyond Relooper, ICFP 2022;
// Cooper, Harvey, Kennedy: A Simple, Fast Dominance Algorithm.)

import type { Handler } from '../interpreter/handler.ts'
import * as R from '../interpreter/record.ts'

const PAGE = 4096
/** Targets of an indirect branch that are followed. */
const MOST_GUESSES = 12
/** Loops with the same start that are told apart. */
const MOST_NESTED = 3

/** An instruction of a region. */
export interface Instruction {
  /** Its record. */
  readonly rec: number
  readonly handler: Handler
  /** Offsets of its first byte and of the byte after it. */
  readonly start: number
  readonly end: number
  /** Offset of the target of a direct branch, or undefined. */
  readonly target: number | undefined
  /** Offsets that an indirect branch was seen to go to. */
  readonly guesses: readonly number[]
}

/** The offset of the page that an offset lies on. */
export function pageOf(offset: number): number {
  return Math.floor(offset / PAGE) * PAGE
}

/** A basic block. */
export class Node {
  readonly start: number
  readonly instructions: Instruction[] = []
  /** How many they are, without the branch to the following block that some blocks end with. */
  count = 0
  /** Where control goes on in the region: nodes by the offset of their start. */
  readonly targets = new Map<number, Node>()
  /** What follows the call that it ends with, if that is not followed into the callee. */
  continuation: Node | undefined
  /** A call comes back to it. */
  isContinuation = false
  /** Offset of what follows when the last instruction does not end the path. */
  next: number | undefined
  /** Record of an instruction that is not translated, before which the node ends; or 0. */
  stop = 0
  /** Place in reverse postorder; -1 if it is not reached. */
  order = -1
  dominator: Node | undefined
  /** Nodes that this one dominates immediately. */
  readonly children: Node[] = []
  isLoop = false
  /**
   * Where branches back to it come from, by the loops that share it as their start, the outermost
   * first; empty if it is none.
   */
  readonly backs: ReadonlySet<Node>[] = []
  /** The start of the innermost loop that it belongs to. */
  loop: Node | undefined
  /** The loop that starts here makes calls that come back. */
  isCalling = false
  /** Edges that come from nodes earlier in reverse postorder. */
  forwardEdges = 0
  /** Most instructions from its start to the next look at the budget. */
  cost = 0

  constructor(start: number) {
    this.start = start
  }

  get isMerge(): boolean {
    return this.forwardEdges > 1
  }
}

/** What is known of the code around an entry, by offsets from its page. */
export interface Surroundings {
  /**
   * First record of the block at an offset, or 0 if none has been decoded. `isCall`: it is wanted
   * for a call.
   */
  readonly find: (offset: number, isCall: boolean) => number
  /** Where the indirect branch that ends at an offset was seen to go, the most frequent first. */
  readonly targetsOf: (end: number) => readonly number[]
}

export interface PlanLimits {
  readonly nodes: number
  readonly instructions: number
  /** Instructions of a function that is copied to where it is called. */
  readonly callee: number
}

export interface Plan {
  readonly entry: Node
  /** All nodes, in reverse postorder. */
  readonly nodes: readonly Node[]
  /** A record for each offset that branches of the region go to. */
  readonly records: ReadonlyMap<number, number>
  readonly instructions: number
}

export class Planner {
  readonly #memory: R.RecordMemory
  readonly #handlerAt: (index: number) => Handler | undefined

  constructor(memory: R.RecordMemory, handlerAt: (index: number) => Handler | undefined) {
    this.#memory = memory
    this.#handlerAt = handlerAt
  }

  /** Plans the region that is entered at a record; undefined if nothing there can be translated. */
  plan(rec: number, around: Surroundings, limits: PlanLimits): Plan | undefined {
    const starts = this.starts(rec, around, limits)
    const nodes = new Map<number, Node>()
    for (const [start, first] of starts)
      nodes.set(start, this.#node(start, first, starts, around, limits))
    const entry = nodes.get(this.#instruction(rec, 0, around)?.start ?? Number.NaN)
    if (!entry || entry.instructions.length === 0) return undefined
    for (const node of nodes.values()) connect(node, nodes)
    connectReturns(nodes)
    connectContinuations(nodes)
    const order = arrange(entry)
    return {
      entry,
      nodes: order,
      records: starts,
      instructions: order.reduce((sum, node) => sum + node.count, 0),
    }
  }

  /** The instruction of a record on a page; undefined if it is no instruction. */
  #instruction(rec: number, page: number, around: Surroundings): Instruction | undefined {
    const { u8, u16, u32, i32 } = this.#memory
    const handler = this.#handlerAt(u32[rec >>> 2] as number)
    const length = u8[rec + R.REC_LENGTH] as number
    if (!handler) return undefined
    const end = u16[(rec + R.REC_END) >>> 1] as number
    const { near, codeSize } = handler.shape
    const isDirect = near || (codeSize === 64 && isBranch(handler))
    const target = isDirect ? page + (i32[(rec + R.REC_IMMEDIATE) >>> 2] as number) : undefined
    const guesses = handler.branch === 'indirect' ? around.targetsOf(page + end) : []
    return { rec, handler, start: page + end - length, end: page + end, target, guesses }
  }

  /** Where nodes start, with a record for each: the entry, targets of branches, what follows them. */
  starts(entry: number, around: Surroundings, limits: PlanLimits): Map<number, number> {
    const { find } = around
    const starts = new Map<number, number>()
    const first = this.#instruction(entry, 0, around)
    if (!first) return starts
    starts.set(first.start, entry)
    const smalls = new Map<number, boolean>()
    const isSmall = (offset: number, rec: number) => {
      const known = smalls.get(offset)
      if (known !== undefined) return known
      const found = this.#isSmall(offset, rec, around, limits)
      smalls.set(offset, found)
      return found
    }
    const seen = new Set<number>()
    const waiting = [first.start]
    let left = limits.instructions
    const add = (offset: number, rec: number) => {
      if (rec === 0 || starts.has(offset) || starts.size >= limits.nodes) return
      starts.set(offset, rec)
      waiting.push(offset)
    }
    for (let from = waiting.shift(); from !== undefined && left > 0; from = waiting.shift()) {
      const page = pageOf(from)
      for (let at = starts.get(from) as number; left > 0; at += R.RECORD_SIZE) {
        const instruction = this.#instruction(at, page, around)
        if (!instruction || !isTranslatable(instruction)) break
        const { handler, target, guesses, start, end } = instruction
        if (start !== end) {
          if (seen.has(start)) break
          seen.add(start)
          left--
        }
        const isCalling = isCall(handler)
        const follow = (to: number) => {
          const found = find(to, isCalling)
          if (found !== 0 && (!isCalling || isSmall(to, found))) add(to, found)
        }
        if (target !== undefined) follow(target)
        for (const guess of guesses.slice(0, MOST_GUESSES)) follow(guess)
        if (isCalling || handler.branch === 'next') add(end, find(end, false))
        if (handler.row.attributes.has('end')) break
        // What follows a conditional branch has been executed as part of this block.
        if (!isBranch(handler)) continue
        const next = at + R.RECORD_SIZE
        const isInstruction = this.#memory.u8[next + R.REC_LENGTH] !== 0
        add(end, isInstruction ? next : find(end, false))
      }
    }
    return starts
  }

  /** Is it a function that is copied to where it is called: a small one, its callees not counted. */
  #isSmall(start: number, first: number, around: Surroundings, limits: PlanLimits): boolean {
    const starts = new Map([[start, first]])
    const add = (offset: number) => {
      const found = around.find(offset, false)
      if (found !== 0) starts.set(offset, found)
    }
    const seen = new Set<number>()
    let returns = 0
    for (const [from, rec] of starts) {
      const page = pageOf(from)
      for (let at = rec; ; at += R.RECORD_SIZE) {
        const instruction = this.#instruction(at, page, around)
        if (!instruction || !isTranslatable(instruction)) break
        const { handler, target, end } = instruction
        if (instruction.start !== end) {
          if (seen.has(instruction.start)) break
          seen.add(instruction.start)
          if (seen.size > limits.callee) return false
        }
        if (isReturn(handler)) returns++
        if (isCall(handler)) add(end)
        else if (handler.branch === 'indirect') return false
        else if (target !== undefined) add(target)
        if (handler.row.attributes.has('end')) break
      }
    }
    return returns > 0
  }

  #node(
    start: number,
    first: number,
    starts: ReadonlyMap<number, number>,
    around: Surroundings,
    limits: PlanLimits,
  ): Node {
    const node = new Node(start)
    for (let rec = first; ; rec += R.RECORD_SIZE) {
      const instruction = this.#instruction(rec, pageOf(start), around)
      if (!instruction || !isTranslatable(instruction)) {
        node.stop = rec
        return node
      }
      if (node.instructions.length > 0 && starts.has(instruction.start)) {
        node.next = instruction.start
        node.stop = rec
        return node
      }
      node.instructions.push(instruction)
      if (instruction.start !== instruction.end) node.count++
      if (instruction.handler.row.attributes.has('end')) return node
      if (isBranch(instruction.handler)) {
        node.next = instruction.end
        node.stop = rec + R.RECORD_SIZE
        return node
      }
      if (node.instructions.length >= limits.instructions) {
        node.stop = rec + R.RECORD_SIZE
        return node
      }
    }
  }
}

function isBranch({ branch }: Handler): boolean {
  return branch === 'direct'
}

function isTranslatable({ handler }: Instruction): boolean {
  return !handler.isUntranslatable
}

function isCall({ row }: Handler): boolean {
  return row.name === 'CALL' && row.attributes.has('f64')
}

function isReturn({ row }: Handler): boolean {
  return row.name === 'RET' && row.attributes.has('f64')
}

/** Enters the edges of a node, but those of returns. */
function connect(node: Node, nodes: ReadonlyMap<number, Node>): void {
  const link = (offset: number | undefined) => {
    const to = offset === undefined ? undefined : nodes.get(offset)
    if (to && to.instructions.length > 0) node.targets.set(to.start, to)
  }
  if (node.next !== undefined && pageOf(node.next) === pageOf(node.start)) link(node.next)
  const last = node.instructions.at(-1)
  link(last?.target)
  if (last?.handler.branch === 'next' && pageOf(last.end) === pageOf(node.start)) link(last.end)
  for (const guess of last?.guesses.slice(0, MOST_GUESSES) ?? []) link(guess)
}

/** Enters the edges of returns: to what follows the calls of the function that they belong to. */
function connectReturns(nodes: ReadonlyMap<number, Node>): void {
  const callers = new Map<Node, Node[]>()
  for (const node of nodes.values()) {
    const last = node.instructions.at(-1)
    if (!last || !isCall(last.handler)) continue
    const back = nodes.get(last.end)
    if (!back || back.instructions.length === 0) continue
    for (const to of node.targets.values()) {
      const known = callers.get(to)
      if (known) known.push(back)
      else callers.set(to, [back])
    }
  }
  const edges: (readonly [Node, Node])[] = []
  for (const [start, backs] of callers) {
    for (const end of returnsOf(start, nodes)) for (const back of backs) edges.push([end, back])
  }
  for (const [from, to] of edges) from.targets.set(to.start, to)
}

/** Enters the edges of calls that are made as such: to what follows them. */
function connectContinuations(nodes: ReadonlyMap<number, Node>): void {
  for (const node of nodes.values()) {
    const last = node.instructions.at(-1)
    if (!last || !isCall(last.handler) || last.handler.shape.codeSize !== 64) continue
    const { end, target } = last
    const back = nodes.get(end)
    const isWithin = target !== undefined && node.targets.has(target)
    // A call at the end of a page may return to NO_RETURN.
    if (!back || isWithin || node.targets.has(end) || end - pageOf(node.start) >= PAGE - 1) continue
    if (back.instructions.length === 0) continue
    node.targets.set(end, back)
    node.continuation = back
  }
}

/** The nodes that return from a function, calls in it stepped over. */
function returnsOf(start: Node, nodes: ReadonlyMap<number, Node>): Node[] {
  const seen = new Set<Node>([start])
  const found: Node[] = []
  for (const node of seen) {
    const last = node.instructions.at(-1)
    if (last && isReturn(last.handler)) found.push(node)
    const isCaller = last !== undefined && isCall(last.handler)
    const back = isCaller ? nodes.get(last.end) : undefined
    if (!isCaller) for (const to of node.targets.values()) seen.add(to)
    else if (back && back.instructions.length > 0) seen.add(back)
  }
  return found
}

/**
 * Numbers the nodes, finds their dominators and loops, and cuts edges that would make a loop with
 * two entries: control leaves the region there.
 */
function arrange(entry: Node): Node[] {
  for (;;) {
    const order = reversePostorder(entry)
    findDominators(order)
    let isReducible = true
    for (const node of order) {
      for (const [offset, to] of node.targets) {
        if (to.order > node.order || dominates(to, node)) continue
        node.targets.delete(offset)
        if (node.continuation === to) node.continuation = undefined
        isReducible = false
      }
    }
    if (!isReducible) continue
    for (const node of order) {
      if (node.continuation) node.continuation.isContinuation = true
      for (const to of node.targets.values()) {
        if (to.order <= node.order) to.isLoop = true
        else
          to.forwardEdges +=
            node.next === to.start && node.instructions.at(-1)?.target === to.start ? 2 : 1
      }
    }
    findLoops(order)
    findCosts(order)
    return order
  }
}

function reversePostorder(entry: Node): Node[] {
  const order: Node[] = []
  const seen = new Set<Node>([entry])
  const path: { readonly node: Node; readonly rest: Node[] }[] = []
  const enter = (node: Node) => path.push({ node, rest: [...node.targets.values()] })
  enter(entry)
  for (let top = path.at(-1); top; top = path.at(-1)) {
    const to = top.rest.shift()
    if (!to) {
      order.push(top.node)
      path.pop()
    } else if (!seen.has(to)) {
      seen.add(to)
      enter(to)
    }
  }
  order.reverse()
  for (const [i, node] of order.entries()) node.order = i
  return order
}

function findDominators(order: readonly Node[]): void {
  const [entry] = order as [Node]
  const sources = sourcesOf(order)
  for (const node of order) {
    node.dominator = undefined
    node.children.length = 0
  }
  entry.dominator = entry
  for (let isChanged = true; isChanged; ) {
    isChanged = false
    for (const node of order) {
      if (node === entry) continue
      let dominator: Node | undefined
      for (const from of sources.get(node) ?? []) {
        if (from.dominator) dominator = dominator ? common(dominator, from) : from
      }
      if (dominator === node.dominator) continue
      node.dominator = dominator
      isChanged = true
    }
  }
  for (const node of order) if (node !== entry) node.dominator?.children.push(node)
}

function common(one: Node, other: Node): Node {
  let [a, b] = [one, other]
  while (a !== b) {
    if (a.order > b.order) a = a.dominator as Node
    else b = b.dominator as Node
  }
  return a
}

function dominates(node: Node, other: Node): boolean {
  let at = other
  while (at.order > node.order) at = at.dominator as Node
  return at === node
}

/** Which nodes belong to which loops; inner loops start later. */
function findLoops(order: readonly Node[]): void {
  if (!order.some(({ isLoop }) => isLoop)) return
  const sources = sourcesOf(order)
  for (const head of order) {
    if (!head.isLoop) continue
    const loops = loopsAt(head, sources)
    head.backs.push(...loops.map(({ backs }) => backs))
    for (const { body } of loops) {
      for (const node of body) {
        node.loop = head
        // Where it was seen to go otherwise, the call is the exception.
        head.isCalling ||= node.continuation !== undefined && node.targets.size === 1
      }
    }
  }
}

interface Loop {
  /** Where its branches back come from. */
  readonly backs: Set<Node>
  readonly body: ReadonlySet<Node>
}

/**
 * The loops that start at a node, the outermost first. One that was entered inside an inner loop
 * has the same start as that, and only the branches back tell them apart: a branch back belongs to
 * an outer loop if what leads to it has all of the inner loop, and more.
 */
function loopsAt(head: Node, sources: ReadonlyMap<Node, readonly Node[]>): Loop[] {
  const ones: Loop[] = []
  for (const from of sources.get(head) as Node[]) {
    if (from.order < head.order) continue
    const body = new Set([head, from])
    for (const node of body) {
      if (node !== head) for (const before of sources.get(node) as Node[]) body.add(before)
    }
    ones.push({ backs: new Set([from]), body })
  }
  ones.sort((a, b) => a.body.size - b.body.size)
  const loops: Loop[] = []
  for (const { backs, body } of ones) {
    const [inner] = loops
    if (!inner) {
      loops.push({ backs, body })
      continue
    }
    const isAround =
      loops.length < MOST_NESTED && body.size > inner.body.size && inner.body.isSubsetOf(body)
    if (isAround) loops.unshift({ backs, body })
    else loops[0] = { backs: inner.backs.union(backs), body: inner.body.union(body) }
  }
  return loops
}

function sourcesOf(order: readonly Node[]): Map<Node, Node[]> {
  const sources = new Map<Node, Node[]>(order.map((node) => [node, []]))
  for (const node of order) for (const to of node.targets.values()) sources.get(to)?.push(node)
  return sources
}

/**
 * How much budget each look asks for: those where the region is entered, where calls come back, and
 * before branches back.
 */
function findCosts(order: readonly Node[]): void {
  for (let i = order.length - 1; i >= 0; i--) {
    const node = order[i] as Node
    let after = 0
    for (const to of node.targets.values()) {
      if (to.order > node.order && !to.isContinuation) after = Math.max(after, to.cost)
    }
    node.cost = node.count + after
  }
}
