// The translator: makes a function of the code around a block, puts it into the table of handlers,
// and its place there into the first record of the block. From then on whoever comes to the block
// runs the region; nothing else knows that there are two kinds of code.

import type { FuncRef } from '../../wasm/graph.ts'
import type { ModuleBuilder } from '../../wasm/module.ts'
import type { Block, CodeCache } from '../interpreter/code-cache.ts'
import { HANDLER_PARAMS } from '../interpreter/flow.ts'
import {
  FIRST_REGION,
  HANDLER_DEAD,
  type Handlers,
  REGION_PLACES,
} from '../interpreter/handlers.ts'
import type { Translation } from '../engine.ts'
import * as R from '../interpreter/record.ts'
import type { HostMemory } from '../memory/host-memory.ts'
import { BranchTargets } from './branch-targets.ts'
import { ExitCounters } from './exit-counters.ts'
import { Learned, Region } from './region.ts'
import { type Plan, Planner, type Surroundings } from './region-plan.ts'

const PAGE = 4096
/** What a region has at most: at first, and when it has been seen running often. */
const LIMITS = { nodes: 32, instructions: 200 }
const WIDE_LIMITS = { nodes: 192, instructions: 1200 }
/**
 * Attempts teach each other what a region needs. Where flags are wanted is found going backwards, a
 * node an attempt: from so many on they are put everywhere. What is still not complete then stays
 * with the interpreter.
 */
const PATIENT_ATTEMPTS = 8
const MOST_ATTEMPTS = 32

/** Where a region may begin. */
interface Place {
  readonly rec: number
  /** Host address of the instruction. */
  readonly start: number
  readonly mode: number
  readonly linear: LinearCode
}

/** The code around a place as linear addresses go, by offsets from the page that it lies on. */
export interface LinearCode {
  /** First record of the block at an offset, or 0. */
  readonly peek: (offset: number) => number
  /** Where the indirect branch that ends at an offset was seen to go. */
  readonly targetsOf: Surroundings['targetsOf']
}

/** Regions that are made at once at most. */
const MOST_PLACES = 16
/** Places that are translated together: each module has a price of its own. */
const BATCH = 6
/** Samples that a place waits for others. */
const PATIENCE = 24
/** Instructions that a block still has behind one that is interpreted, to be worth a region. */
const LEAST_CONTINUATION = 3
/**
 * Instructions that have run, as far as samples tell, where a block is translated: about what a
 * region costs. What has run for so long is likely to run as long again.
 */
const HOT = 90_000
/**
 * When it is looked at again: more of the code around it is known by then, callees have become
 * regions, and indirect branches have been seen. A region that would grow by a quarter is made anew.
 */
const AGAIN = [1_000_000, 10_000_000, 100_000_000]
const WORTHWHILE_GROWTH = 1.25

export class Translator {
  readonly #memory: HostMemory
  readonly #handlers: Handlers
  readonly #code: () => CodeCache
  readonly #planner: Planner
  readonly #translation: Translation
  /** Handlers of the first records of regions as they were before. */
  readonly #originals = new Int32Array(REGION_PLACES)
  /** Sizes of regions: see sizeOf. */
  readonly #sizes = new Int32Array(REGION_PLACES)
  readonly #free: number[] = []
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
    bytes: 0,
    instructions: 0,
    modules: 0,
  }

  constructor(
    memory: HostMemory,
    handlers: Handlers,
    code: () => CodeCache,
    translation: Translation,
    countsExits: boolean,
  ) {
    if (countsExits) this.exits = new ExitCounters(memory)
    this.#translation = translation
    this.#memory = memory
    this.#handlers = handlers
    this.#code = code
    this.#planner = new Planner(memory, (index) => handlers.at(this.original(index)))
  }

  /** The handler that a record has, or would have if no region began there. */
  original(index: number): number {
    return index < FIRST_REGION ? index : (this.#originals[index - FIRST_REGION] as number)
  }

  /** Is it of interest which blocks are seen running. */
  get isOn(): boolean {
    return this.#translation === 'hot'
  }

  /** Every block is translated when it is looked up for the first time. */
  get isEager(): boolean {
    return this.#translation === 'always'
  }

  /** A block was looked up, in eager translation. */
  met(block: Block, linear: () => LinearCode): void {
    if (block.heat++ !== 0 || block.isCrossing) return
    this.translate([{ ...block, linear: linear() }])
  }

  /** A block was seen running, without its being a sample. */
  saw(rec: number): void {
    this.#seen.add(rec)
  }

  /**
   * A block was seen running, which stands for a number of instructions. True if it is the start
   * of a region already.
   */
  sample(block: Block, instructions: number, linear: () => LinearCode): boolean {
    this.#seen.add(block.rec)
    const isRegion = this.#regionAt(block.rec) >= 0
    const before = block.heat
    block.heat += instructions
    const isNow = (threshold: number) => before < threshold && block.heat >= threshold
    const isDue = isRegion ? AGAIN.some(isNow) : isNow(HOT)
    if (isDue && !block.isCrossing) this.#waiting.push({ ...block, linear: linear() })
    if (this.#waiting.length > 0) this.#wait()
    return isRegion
  }

  /** Translates what waits when there is enough of it, or when it has waited for long enough. */
  #wait(): void {
    if (++this.#waited < PATIENCE && this.#waiting.length < BATCH) return
    const { u32 } = this.#memory
    const alive = this.#waiting.filter(({ rec }) => u32[rec >>> 2] !== HANDLER_DEAD)
    this.#waiting.length = 0
    this.#waited = 0
    if (alive.length > 0) this.translate(alive)
  }

  /**
   * Translates the regions that begin at some places, in one module, and those that begin behind
   * instructions in them that are left to the interpreter.
   */
  translate(places: readonly Place[]): void {
    const candidates = [...places]
    const module = this.#handlers.newModule()
    const installed: Installed[] = []
    for (const candidate of candidates) {
      const { rec } = candidate
      if (installed.some((other) => other.rec === rec)) continue
      const plan = this.#plan(candidate)
      if (plan && !this.#isWorthwhile(rec, plan)) continue
      if (!plan) {
        this.#continueAt(rec + R.RECORD_SIZE, candidate, candidates)
        continue
      }
      const index = this.#takePlace()
      if (index === undefined) break
      const func = module.declare(HANDLER_PARAMS, [], `region_${candidate.start.toString(16)}`)
      module.element(index, [func])
      const region = this.#emit(module, func, candidate, plan)
      if (!region) {
        this.#free.push(index)
        continue
      }
      for (const next of region.continuations) this.#continueAt(next, candidate, candidates)
      installed.push({ rec, index, size: sizeOf(region.plan) })
    }
    if (installed.length > 0) this.#install(module, installed)
  }

  /** Place of the region that a record begins, less FIRST_REGION; negative if there is none. */
  #regionAt(rec: number): number {
    return (this.#memory.u32[rec >>> 2] as number) - FIRST_REGION
  }

  /** Is there no region at a record, or a much smaller one than there could be. */
  #isWorthwhile(rec: number, plan: Plan): boolean {
    const region = this.#regionAt(rec)
    return region < 0 || sizeOf(plan) > (this.#sizes[region] as number) * WORTHWHILE_GROWTH
  }

  #takePlace(): number | undefined {
    const free = this.#free.pop()
    if (free !== undefined) return free
    return this.#next < FIRST_REGION + REGION_PLACES ? this.#next++ : undefined
  }

  #install(module: ModuleBuilder, regions: readonly Installed[]): void {
    const bytes = module.finish()
    try {
      this.#handlers.instantiate(bytes)
    } catch (error) {
      if (!(error instanceof RangeError)) throw error
      // The engine has no memory for more code: all of it is interpreted, as before.
      this.counters.failures++
      for (const { index } of regions) this.#free.push(index)
      return
    }
    this.counters.bytes += bytes.length
    this.counters.modules++
    for (const { rec, index, size } of regions) {
      const before = this.#memory.u32[rec >>> 2] as number
      this.#originals[index - FIRST_REGION] = this.original(before)
      this.#sizes[index - FIRST_REGION] = size
      this.#memory.u32[rec >>> 2] = index
      if (before >= FIRST_REGION) this.dropped(before)
      this.counters.regions++
      this.counters.live++
    }
  }

  /** Adds the place of a record in the middle of a block, if it is an instruction. */
  #continueAt(rec: number, from: Place, places: Place[]): void {
    const { u8, u16, u32 } = this.#memory
    const length = u8[rec + R.REC_LENGTH] as number
    const previous = this.#handlers.at(this.original(u32[(rec - R.RECORD_SIZE) >>> 2] as number))
    if (length === 0 || !previous || previous.row.attributes.has('end')) return
    if (places.length >= MOST_PLACES || (u8[rec + R.REC_LEFT] as number) < LEAST_CONTINUATION)
      return
    const start = ((from.start & -PAGE) >>> 0) + (u16[(rec + R.REC_END) >>> 1] as number) - length
    places.push({ rec, start, mode: from.mode, linear: from.linear })
  }

  #plan(place: Place): Plan | undefined {
    const limits = this.#regionAt(place.rec) < 0 ? LIMITS : WIDE_LIMITS
    return this.#planner.plan(place.rec, this.#surroundings(place), limits)
  }

  /** The code around a place. Calls are followed to other pages if it is worth it. */
  #surroundings({ start, mode, linear }: Place): Surroundings {
    const page = (start & -PAGE) >>> 0
    const { u16, u32 } = this.#memory
    const find = (offset: number, isCall: boolean) => {
      if (offset >= 0 && offset < PAGE) return this.#code().known(page + offset, mode)
      const rec = linear.peek(offset)
      if (rec === 0 || (u16[(rec + R.REC_END) >>> 1] as number) > PAGE) return 0
      const isUsed = (u32[rec >>> 2] as number) >= FIRST_REGION || this.#seen.has(rec)
      return isCall && !isUsed ? 0 : rec
    }
    return { find, targetsOf: linear.targetsOf }
  }

  /** Emits a region; undefined if it turns out that there is none. */
  #emit(module: ModuleBuilder, func: FuncRef, place: Place, firstPlan: Plan): Region | undefined {
    const learned = new Learned()
    let plan: Plan | undefined = firstPlan
    const { find } = this.#surroundings(place)
    const nameOf = (rec: number) =>
      this.#handlers.nameOf(this.original(this.#memory.u32[rec >>> 2] as number))
    let attempts = 0
    let region: Region | undefined
    module.body(func, (f) => {
      if (learned.isPlanStale) plan = this.#plan(place)
      learned.isPlanStale = false
      if (!plan || attempts >= MOST_ATTEMPTS || learned.isTooLarge) {
        region = undefined
        f.unreachable()
        return true
      }
      attempts++
      this.counters.attempts++
      learned.isStoredEverywhere = attempts > PATIENT_ATTEMPTS
      region = new Region(f, plan, learned, {
        memory: this.#memory,
        hostNumber: this.#handlers.hostNumber,
        exits: this.exits,
        nameOf,
        find,
      })
      const isGood = region.emit()
      if (isGood) this.counters.instructions += plan.instructions
      return isGood
    })
    return region
  }

  /** The block that a region begins with has been dropped, or has another one: its place is free. */
  dropped(index: number): void {
    this.#handlers.removeRegion(index)
    this.#free.push(index)
    this.counters.live--
  }

  /** All blocks have been dropped. */
  forgetAll(): void {
    for (let index = FIRST_REGION; index < this.#next; index++) this.#handlers.removeRegion(index)
    this.#free.length = 0
    this.#waiting.length = 0
    this.#seen.clear()
    this.#next = FIRST_REGION
    this.counters.live = 0
  }
}

interface Installed {
  readonly rec: number
  readonly index: number
  readonly size: number
}

/** How much a region covers: instructions, and ways between them. */
function sizeOf({ nodes, instructions }: Plan): number {
  return nodes.reduce((sum, node) => sum + node.targets.size, instructions)
}
