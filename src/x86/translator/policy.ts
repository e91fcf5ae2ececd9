// What the translator decides by: from when on code is worth a region, how many are made at once, how
// large they may be, how often it is looked what runs. Nothing of it changes what a guest does. The
// values were measured; for tests they are drawn from a seed, so that regions of all sizes come and go
// at all times.

import { REGION_PLACES } from '../interpreter/handlers.ts'
import type { PlanLimits } from './region-plan.ts'

export interface Policy {
  /**
   * Instructions that have run, as far as samples tell, where a block is translated: less at privilege
   * level 3, as programs go round where a kernel that boots comes by once.
   */
  readonly hot: { readonly kernel: number; readonly user: number }
  /** Part of a sample in the middle of a region that counts for the block there; see coverage.ts. */
  readonly shareOfBlock: number
  /**
   * When it is looked at again: more of the code around it is known by then, callees have become
   * regions, and indirect branches have been seen. A region that would grow by so much is made anew.
   */
  readonly again: readonly number[]
  readonly worthwhileGrowth: number
  /** Places that are translated together: each module has a price of its own. */
  readonly batch: number
  /** Samples that a place waits for others. */
  readonly patience: number
  /** Regions that are made at once at most, if not more were asked for. */
  readonly mostPlaces: number
  /** Instructions that a block still has behind one that is interpreted, to be worth a region. */
  readonly leastContinuation: number
  /** Instructions of a slice while much is interpreted, and while all is translated; see sampler.ts. */
  readonly leastSlice: number
  readonly mostSlice: number
  /** Where the lengths of slices begin. */
  readonly sampling: number
  /** Runs are cut into slices even where nobody wants to know what is hot. */
  readonly slicesAlways: boolean
  /**
   * Samples from when regions are wanted until they are there, as if another thread made them; 0: they
   * are made at once, or by another thread.
   */
  readonly latency: number
  /** Bytes for decoded code: what does not fit has all of it forgotten, regions as well. */
  readonly arenaBytes: number
  /** What it grows by with each further processor of a host that may have many, and by how much. */
  readonly arenaGrowth: { readonly perCpu: number; readonly most: number }
  /** What regions may take together. */
  readonly regionLimits: RegionLimits
  /** How large the next region may be: the first at a place, or one in place of another. */
  readonly limits: (isFirst: boolean) => PlanLimits
}

export interface RegionLimits {
  /** Bytes of their modules, and regions: beyond them, some are given up. */
  readonly bytes: number
  readonly regions: number
}

/** What a region has at most: at first, and when it has been seen running often. */
const FIRST: PlanLimits = { nodes: 32, instructions: 200, callee: 16 }
const LATER: PlanLimits = { nodes: 192, instructions: 1200, callee: 100 }

/**
 * Of thirty small guests that boot beside each other, each decodes its code three times without this
 * (tools/bench domains).
 */
const GROWTH = { perCpu: 5 << 18, most: 120 << 20 }

const MEASURED: Policy = {
  hot: { kernel: 80_000, user: 30_000 },
  shareOfBlock: 1 / 16,
  again: [40_000_000, 200_000_000],
  worthwhileGrowth: 1.25,
  batch: 8,
  patience: 24,
  mostPlaces: 16,
  leastContinuation: 3,
  leastSlice: 8192,
  mostSlice: 131_072,
  sampling: 1,
  slicesAlways: false,
  latency: 0,
  // Decoded code of a whole system. A small boot takes 14 MiB; with ever new code (tools/bench
  // code-memory) it lasts for ten minutes, and what runs then is made again in a second or two.
  arenaBytes: 56 << 20,
  arenaGrowth: GROWTH,
  // V8's machine code takes three times as much as the modules that it is made from, which it keeps;
  // with what is decoded, all of it stays below 150 MiB.
  regionLimits: { bytes: 9 << 20, regions: REGION_PLACES - 1024 },
  limits: (isFirst) => (isFirst ? FIRST : LATER),
}

/** The policy of a seed; the measured one without. */
export function policyOf(seed: number | undefined): Policy {
  if (seed === undefined) return MEASURED
  const below = randomNumbers(seed)
  /** Between two numbers, each order of magnitude as likely as the others. */
  const between = (least: number, most: number) =>
    Math.round(least * (most / least) ** (below(65_536) / 65_535))
  const hot = between(2000, 2_000_000)
  const again = [hot * between(2, 20)]
  again.push((again[0] as number) * between(2, 20))
  const leastSlice = between(200, 20_000)
  return {
    hot: { kernel: hot, user: hot },
    shareOfBlock: 1 / between(1, 64),
    again: again.slice(below(3)),
    worthwhileGrowth: 1 + below(3) / 4,
    batch: between(1, 32),
    patience: between(1, 100),
    mostPlaces: between(1, 32),
    leastContinuation: below(6),
    leastSlice,
    mostSlice: leastSlice * between(1, 16),
    sampling: below(2 ** 32),
    slicesAlways: true,
    arenaBytes: between(8, 128) << 20,
    arenaGrowth: GROWTH,
    regionLimits: { bytes: between(64 << 10, 16 << 20), regions: between(20, 10_000) },
    latency: below(3) === 0 ? 0 : between(1, 200),
    limits: () => ({
      nodes: between(1, 256),
      instructions: between(1, 1600),
      callee: between(1, 100),
    }),
  }
}

/** Numbers below a bound, the same for the same seed (splitmix32). */
function randomNumbers(seed: number): (bound: number) => number {
  let state = seed | 0
  return (bound) => {
    state = (state + 0x9e3779b9) | 0
    let mixed = Math.imul(state ^ (state >>> 16), 0x21f0aaad)
    mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97)
    return ((mixed ^ (mixed >>> 15)) >>> 0) % bound
  }
}
