// The translator: has functions made of the code around blocks, puts them into the table of
// handlers, and their places there into the first records of the blocks. From then on whoever comes
// to a block runs the region; nothing else knows that there are two kinds of code.

import type { EngineOptions } from '../engine.ts'
import type { Block, CodeCache } from '../interpreter/code-cache.ts'
import {
  FIRST_REGION,
  HANDLER_DEAD,
  type Handlers,
  REGION_PLACES,
} from '../interpreter/handlers.ts'
import * as R from '../interpreter/record.ts'
import type { HostMemory } from '../memory/host-memory.ts'
import { BranchTargets } from './branch-targets.ts'
import { Coverage } from './coverage.ts'
import { ExitCounters } from './exit-counters.ts'
import { type Compiled, type Made, RegionCompiler, type Wanted } from './region-compiler.ts'
import { type CompilerThread, OrderWriter } from './region-order.ts'
import { RegionMemory } from './region-memory.ts'
import { PAGES_SIZE } from './region-pages.ts'
import { RegionUses } from './region-uses.ts'
import type { TranslatorOptions } from './options.ts'
import type { Policy } from './policy.ts'
import type { Surroundings } from './region-plan.ts'

const PAGE = 4096

/** Where a region may begin. */
interface Place {
  readonly rec: number
  /** Host address of the instruction. */
  readonly start: number
  readonly mode: number
  readonly linear: LinearCode
  /** The block that begins there, unless the place is in the middle of one. */
  readonly block?: Block
}

/** What is known where a block is seen running. */
interface Sample {
  /** That it stands for. */
  readonly instructions: number
  /** At privilege level 3. */
  readonly isUser: boolean
  readonly linear: () => LinearCode
}

/** A region that is being made at a place. */
interface Request extends Wanted {
  readonly place: Place
  /** First records of the blocks that it was made with knowledge of. */
  readonly uses: ReadonlySet<number>
  /** A block that it is being made with was dropped: nothing will come of it. */
  isVoid: boolean
}

/** Regions that another thread is making. */
interface Ordered {
  readonly requests: readonly Request[]
  /** Regions that may be ordered besides, behind instructions that are left to the interpreter. */
  readonly left: number
  /** Their places in the table were given up: nothing may be put there. */
  isForgotten: boolean
}

/** The code around a place as linear addresses go, by offsets from the page that it lies on. */
export interface LinearCode {
  /** First record of the block at an offset, or 0. */
  readonly peek: (offset: number) => number
  /** Where the indirect branch that ends at an offset was seen to go. */
  readonly targetsOf: Surroundings['targetsOf']
  /** How people call the code at an offset. */
  readonly nameOf: (offset: number) => string
}

/** How much of the limits is left when regions are given up: a part, or that would be done often. */
const REMAINDER = 3 / 4

/** Orders that another thread may be behind by: where it gets no time, this one makes regions as well. */
const MOST_ORDERS = 8

export class Translator {
  readonly #memory: HostMemory
  readonly #handlers: Handlers
  readonly #code: () => CodeCache
  readonly #compiler: RegionCompiler
  /** Another thread, if there is one that makes regions. */
  #thread: CompilerThread | undefined
  readonly #writer: OrderWriter
  /** What it was asked for, the oldest first. */
  readonly #orders: Ordered[] = []
  readonly #options: TranslatorOptions
  readonly #policy: Policy
  /** Handlers of the first records of regions as they were before. */
  readonly #originals = new Int32Array(REGION_PLACES)
  /** What regions know of other pages. */
  readonly #pages: number
  /** Sizes of regions. */
  readonly #sizes = new Int32Array(REGION_PLACES)
  /** Where each begins. */
  readonly #begins: (Place | undefined)[] = []
  readonly #uses = new RegionUses()
  readonly #regions = new RegionMemory()
  readonly #nowMs: () => number
  readonly #free: number[] = []
  readonly #coverage = new Coverage()
  /** Blocks that were seen running since all were forgotten last, by their first records. */
  readonly #seen = new Set<number>()
  /** Places that wait, and samples since the first of them came. */
  readonly #waiting: Place[] = []
  #waited = 0
  #next = FIRST_REGION
  /** Why regions are left, if that is counted. */
  readonly exits: ExitCounters | undefined
  readonly targets = new BranchTargets()
  readonly counters = {
    regions: 0,
    attempts: 0,
    failures: 0,
    live: 0,
    /** Whose blocks were dropped, and those that were given up to keep within the limits. */
    dropped: 0,
    evicted: 0,
    bytes: 0,
    instructions: 0,
    modules: 0,
    /** That making regions took, as far as somebody gave a clock, on whatever thread. */
    milliseconds: 0,
  }

  constructor(
    memory: HostMemory,
    handlers: Handlers,
    code: () => CodeCache,
    options: TranslatorOptions,
    policy: Policy,
    { countsExits, nowMs }: EngineOptions,
  ) {
    this.#nowMs = nowMs ?? (() => 0)
    if (countsExits === true) this.exits = new ExitCounters(memory)
    this.#options = options
    this.#policy = policy
    this.#memory = memory
    this.#handlers = handlers
    this.#code = code
    this.#pages = memory.allocate(REGION_PLACES * PAGES_SIZE, 64, 'pages of regions')
    const handlerAt = (index: number) => handlers.at(this.original(index))
    this.#compiler = new RegionCompiler(memory, handlerAt, options, this.exits)
    this.#writer = new OrderWriter(memory, handlerAt, (index) => this.original(index))
  }

  /** From now on a thread makes the regions of what is seen running. */
  orderFrom(thread: CompilerThread): void {
    this.#thread = thread
  }

  /** The handler that a record has, or would have if no region began there. */
  original(index: number): number {
    return index < FIRST_REGION ? index : (this.#originals[index - FIRST_REGION] as number)
  }

  /** Bytes of the modules that have regions which are still there. */
  get liveBytes(): number {
    return this.#regions.bytes
  }

  /** Is it of interest which blocks are seen running. */
  get isOn(): boolean {
    return this.#options.translation === 'hot'
  }

  /** Runs are cut into slices, each with a sample at its end. */
  get isSlicing(): boolean {
    return this.isOn || this.#policy.slicesAlways
  }

  /** Every block is translated when it is looked up for the first time. */
  get isEager(): boolean {
    return this.#options.translation === 'always'
  }

  /** A block was looked up, in eager translation. True if regions have come or gone for it. */
  met(block: Block, linear: () => LinearCode): boolean {
    if (block.heat++ !== 0 || block.isCrossing) return false
    this.translate([placeOf(block, linear())])
    return true
  }

  /** A block was seen running, without its being a sample. */
  saw(rec: number): void {
    this.#seen.add(rec)
  }

  /** A block was seen running. True if it is the start of a region already. */
  sample(block: Block, seen: Sample): boolean {
    if (!this.isOn) return true
    this.#seen.add(block.rec)
    const owner = this.#ownerOf(block)
    if (owner) this.#heat(owner, 1, seen)
    this.#heat(block, owner ? this.#policy.shareOfBlock : 1, seen)
    if (this.#thread && this.#orders.length > 0) this.#collect(this.#thread)
    if (this.#waiting.length > 0) this.#wait()
    const region = this.#regionAt((owner ?? block).rec)
    if (region >= 0) this.#regions.saw(region)
    return this.#regionAt(block.rec) >= 0
  }

  /** The block that another region begins with which has this one in its middle, on the same page. */
  #ownerOf(block: Block): Block | undefined {
    if (this.#regionAt(block.rec) >= 0) return undefined
    const entry = this.#coverage.entryOf(block)
    return entry && this.#regionAt(entry.rec) >= 0 ? entry : undefined
  }

  /** Gives a block its part of what a sample stands for. */
  #heat(block: Block, part: number, { instructions, isUser, linear }: Sample): void {
    block.heat += instructions * part
    if (block.heat < this.#threshold(block, isUser)) return
    block.looks++
    if (!block.isCrossing) this.#waiting.push(placeOf(block, linear()))
  }

  /** Heat at which a block is looked at. */
  #threshold({ looks }: Block, isUser: boolean): number {
    const { hot, again } = this.#policy
    if (looks === 0) return isUser ? hot.user : hot.kernel
    return again[looks - 1] ?? Number.POSITIVE_INFINITY
  }

  /** Translates what waits when there is enough of it, or when it has waited for long enough. */
  #wait(): void {
    const { patience, batch } = this.#policy
    if (++this.#waited < patience && this.#waiting.length < batch) return
    const places = this.#waiting.splice(0)
    this.#waited = 0
    const isBusy = this.#orders.length >= MOST_ORDERS
    if (this.#thread && !isBusy) this.#order(this.#thread, places, this.#mostOf(places))
    else this.translate(places)
  }

  /** Has another thread translate the regions that begin at some places, so many at most. */
  #order(thread: CompilerThread, places: readonly Place[], most: number): void {
    this.#makeRoom()
    const requests = this.#requests(places.slice(0, most))
    if (requests.length === 0) return
    thread.order(this.#writer.write(requests))
    for (const { index, uses } of requests) this.#uses.add(index, uses)
    this.#orders.push({ requests, left: most - requests.length, isForgotten: false })
  }

  /** Takes what another thread has finished. */
  #collect(thread: CompilerThread): void {
    if (thread.hasEnded) return this.#doWithout()
    for (let order = this.#orders[0]; order; order = this.#orders[0]) {
      const delivery = thread.deliver()
      if (!delivery) return
      this.#orders.shift()
      this.counters.milliseconds += delivery.milliseconds
      for (const index of delivery.untranslatable) {
        const handler = this.#handlers.at(index)
        if (handler) handler.isUntranslatable = true
      }
      if (order.isForgotten) continue
      this.#regions.begin()
      const next = this.#install(order.requests, delivery)
      if (next.length > 0 && order.left > 0) this.#order(thread, next, order.left)
    }
  }

  /** From now on this thread makes the regions itself. */
  #doWithout(): void {
    this.#thread = undefined
    for (const { requests, isForgotten } of this.#orders.splice(0)) {
      for (const { index, place } of isForgotten ? [] : requests) {
        this.#giveBack(index)
        this.#waiting.push(place)
      }
    }
  }

  /** Nothing was made for a place in the table. */
  #giveBack(index: number): void {
    this.#uses.remove(index)
    this.#free.push(index)
  }

  #mostOf(places: readonly Place[]): number {
    return Math.max(this.#policy.mostPlaces, places.length)
  }

  /**
   * Translates the regions that begin at some places, now, and those that begin behind
   * instructions in them that are left to the interpreter.
   */
  translate(places: readonly Place[]): void {
    const start = this.#nowMs()
    this.#translate(places)
    this.counters.milliseconds += this.#nowMs() - start
  }

  #translate(places: readonly Place[]): void {
    this.#makeRoom()
    this.#regions.begin()
    let left = this.#mostOf(places)
    for (let next = places; next.length > 0 && left > 0; ) {
      const requests = this.#requests(next.slice(0, left))
      if (requests.length === 0) return
      left -= requests.length
      next = this.#install(requests, this.#compiler.compile(requests))
    }
  }

  /** Gives up regions that were not seen running lately, if there are too many. */
  #makeRoom(): void {
    const { bytes, regions } = this.#policy.regionLimits
    if (this.#regions.bytes <= bytes && this.counters.live <= regions) return
    for (const region of this.#regions.excess(bytes * REMAINDER, regions * REMAINDER)) {
      this.#evict(region)
    }
  }

  #evict(region: number): void {
    this.#takeAway(region)
    this.counters.evicted++
  }

  /** From now on a region's first block is interpreted, until it is hot again. */
  #takeAway(region: number): void {
    const begin = this.#begins[region]
    if (begin && this.#regionAt(begin.rec) === region) {
      this.#memory.u32[begin.rec >>> 2] = this.#originals[region] as number
      this.#code().cool(begin.start, begin.mode)
    }
    this.#remove(FIRST_REGION + region)
  }

  /** Asks for regions at places where there can be some, each with a place in the table. */
  #requests(places: readonly Place[]): Request[] {
    const { u32 } = this.#memory
    const requests: Request[] = []
    for (const place of places) {
      const { rec, start } = place
      const isAlive = u32[rec >>> 2] !== HANDLER_DEAD
      const isSame = (other: Request) => other.rec === rec
      if (!isAlive || requests.some(isSame) || this.#ordered(isSame)) continue
      const index = this.#takePlace()
      if (index === undefined) break
      const region = this.#regionAt(rec)
      const limits = this.#policy.limits(region < 0)
      const size = region < 0 ? 0 : (this.#sizes[region] as number)
      const leastSize = size * this.#policy.worthwhileGrowth
      const uses = new Set([rec])
      const around = this.#surroundings(place, uses)
      const pagesAt = this.#pagesOf(index)
      const name = place.linear.nameOf(start & (PAGE - 1))
      const made = { rec, start, name, index, pagesAt, limits, leastSize, around }
      requests.push({ ...made, place, uses, isVoid: false })
    }
    return requests
  }

  /** The request that another thread is at and that something holds for. */
  #ordered(is: (request: Request) => boolean): Request | undefined {
    for (const { requests, isForgotten } of this.#orders) {
      const request = isForgotten ? undefined : requests.find(is)
      if (request) return request
    }
    return undefined
  }

  /** Where a region keeps what it knows of other pages. */
  #pagesOf(index: number): number {
    return this.#pages + (index - FIRST_REGION) * PAGES_SIZE
  }

  /** Place of the region that a record begins, less FIRST_REGION; negative if there is none. */
  #regionAt(rec: number): number {
    return (this.#memory.u32[rec >>> 2] as number) - FIRST_REGION
  }

  #takePlace(): number | undefined {
    const free = this.#free.pop()
    if (free !== undefined) return free
    return this.#next < FIRST_REGION + REGION_PLACES ? this.#next++ : undefined
  }

  /** Puts regions into the table and where they begin. Returns where others may begin. */
  #install(requests: readonly Request[], compiled: Compiled): Place[] {
    this.counters.attempts += compiled.attempts
    const isThere = this.#instantiate(compiled)
    const continuations: Place[] = []
    const begun: number[] = []
    for (const [i, { index, place, uses, isVoid }] of requests.entries()) {
      const { size, instructions, continuations: behind, starts } = compiled.made[i] as Made
      if (isThere && size > 0 && !isVoid) {
        this.#begin(place, index, size, instructions)
        begun.push(index - FIRST_REGION)
        this.#uses.add(index, uses)
        this.#cover(place, starts)
      } else {
        this.#handlers.removeRegion(index)
        this.#giveBack(index)
      }
      for (const next of behind) continuations.push(...this.#continueAt(next, place))
    }
    if (begun.length > 0) this.#regions.add(begun, compiled.bytes)
    return continuations
  }

  #instantiate({ module, hasFailed, bytes }: Compiled): boolean {
    // The engine may have no memory for more code: all of it is interpreted then, as before.
    const isThere = module !== undefined && this.#instantiated(module)
    if (isThere) {
      this.counters.bytes += bytes
      this.counters.modules++
    } else if (module || hasFailed) this.counters.failures++
    return isThere
  }

  #instantiated(module: WebAssembly.Module): boolean {
    try {
      this.#handlers.instantiate(module)
      return true
    } catch (error) {
      if (!(error instanceof RangeError)) throw error
      return false
    }
  }

  #begin(place: Place, index: number, size: number, instructions: number): void {
    const { rec } = place
    const before = this.#memory.u32[rec >>> 2] as number
    this.#originals[index - FIRST_REGION] = this.original(before)
    this.#sizes[index - FIRST_REGION] = size
    this.#begins[index - FIRST_REGION] = place
    this.#memory.u32[rec >>> 2] = index
    this.#memory.u8.fill(0, this.#pagesOf(index), this.#pagesOf(index) + PAGES_SIZE)
    if (before >= FIRST_REGION) this.#remove(before)
    this.counters.regions++
    this.counters.live++
    this.counters.instructions += instructions
  }

  /** Notes where the blocks of a region begin. */
  #cover({ block, start }: Place, starts: readonly number[]): void {
    if (!block) return
    const page = pageOf(start)
    const hosts = starts.map((offset) => page + offset)
    this.#coverage.add(block, hosts)
  }

  /** The place of a record in the middle of a block, if it is an instruction worth a region. */
  #continueAt(rec: number, from: Place): Place[] {
    const { u8, u16, u32 } = this.#memory
    const length = u8[rec + R.REC_LENGTH] as number
    const previous = this.#handlers.at(this.original(u32[(rec - R.RECORD_SIZE) >>> 2] as number))
    if (length === 0 || !previous || previous.row.attributes.has('end')) return []
    const isWorthIt = (u8[rec + R.REC_LEFT] as number) >= this.#policy.leastContinuation
    if (!isWorthIt || this.#regionAt(rec) >= 0) return []
    const start = pageOf(from.start) + (u16[(rec + R.REC_END) >>> 1] as number) - length
    return [{ rec, start, mode: from.mode, linear: from.linear }]
  }

  /**
   * The code around a place. Calls are followed to other pages if it is worth it. What is found is
   * added to `uses`.
   */
  #surroundings({ start, mode, linear }: Place, uses: Set<number>): Surroundings {
    const page = pageOf(start)
    const { u16, u32 } = this.#memory
    const look = (offset: number, isCall: boolean) => {
      if (offset >= 0 && offset < PAGE) return this.#code().known(page + offset, mode)
      const rec = linear.peek(offset)
      if (rec === 0 || (u16[(rec + R.REC_END) >>> 1] as number) > PAGE) return 0
      const isUsed = (u32[rec >>> 2] as number) >= FIRST_REGION || this.#seen.has(rec)
      return isCall && !isUsed ? 0 : rec
    }
    const find = (offset: number, isCall: boolean) => {
      const rec = look(offset, isCall)
      if (rec !== 0) uses.add(rec)
      return rec
    }
    return { find, targetsOf: linear.targetsOf }
  }

  /** A record is about to be dropped: so are the regions that were made with its block. */
  recordDropped(rec: number): void {
    for (const index of this.#uses.of(rec)) {
      const request = this.#ordered((one) => one.index === index)
      if (request) {
        request.isVoid = true
        this.#uses.remove(index)
        continue
      }
      const place = this.#begins[index - FIRST_REGION]
      this.#takeAway(index - FIRST_REGION)
      this.counters.dropped++
      // Nobody would ask for one in the middle of a block.
      if (place && !place.block) this.#waiting.push(place)
    }
  }

  /** Nothing leads to a region any more: its place is free. */
  #remove(index: number): void {
    this.#handlers.removeRegion(index)
    this.#regions.remove(index - FIRST_REGION)
    this.#uses.remove(index)
    this.#begins[index - FIRST_REGION] = undefined
    this.#free.push(index)
    this.counters.live--
  }

  /** No region knows of another page any more that its code lies there. */
  forgetPages(): void {
    this.#memory.u8.fill(0, this.#pages, this.#pages + REGION_PLACES * PAGES_SIZE)
  }

  /** All blocks have been dropped. */
  forgetAll(): void {
    for (let index = FIRST_REGION; index < this.#next; index++) this.#handlers.removeRegion(index)
    for (const order of this.#orders) order.isForgotten = true
    this.#regions.clear()
    this.#uses.clear()
    this.#begins.length = 0
    this.#free.length = 0
    this.#waiting.length = 0
    this.#seen.clear()
    this.#coverage.clear()
    this.#next = FIRST_REGION
    this.counters.dropped += this.counters.live
    this.counters.live = 0
  }
}

function placeOf(block: Block, linear: LinearCode): Place {
  const { rec, start, mode } = block
  return { rec, start, mode, linear, block }
}

/** Host address of the page that a host address lies on. */
function pageOf(host: number): number {
  return (host & -PAGE) >>> 0
}
