// A rival's times beside ours. It had less work: how much less is known from the instructions that
// ours executes for the same programs with the sizes of both, so that what a program prepares, and
// what does not grow with its size, is counted right. A time scaled so is that of the whole work.

import { geometricMean, median } from '../../statistics.ts'
import { GROUPS, type Group, type GuestProgram } from '../suite.ts'
import type { SuiteRun } from '../timeline.ts'
import { hasEnded, type RivalRun } from './run-rival.ts'

/** A program on a rival. */
export type RivalFigure =
  | {
      /** Its time for all the work of ours, and that time by ours: above one, ours is faster. */
      readonly ms: number
      readonly ratio: number
      /** The same ratio by processor time. */
      readonly cpuRatio: number
    }
  | { readonly why: string }

export interface RivalMean {
  readonly group: Group | 'all'
  /** Geometric mean of the programs that have a ratio; NaN when there is none. */
  readonly ratio: number
  readonly cpuRatio: number
  readonly of: number
  readonly measured: number
}

/** Why there is no figure of a program that has no 32-bit build. */
export const NO_32_BIT_BUILD = 'it has no 32-bit build'

/**
 * A figure a program, by its name.
 * @param ours with whole sizes
 * @param reduced one run of ours, with the sizes that the rival had
 */
export function rivalFigures(
  programs: readonly GuestProgram[],
  rival: readonly RivalRun[],
  ours: readonly SuiteRun[],
  reduced: SuiteRun,
): Map<string, RivalFigure> {
  const figureOf = ({ name }: GuestProgram): RivalFigure => {
    const outcomes = rival.flatMap((run) => run.programs.get(name) ?? [])
    const ended = outcomes.filter(hasEnded)
    const failed = outcomes.find((outcome) => !hasEnded(outcome))
    if (failed && 'why' in failed) return { why: failed.why }
    if (ended.length === 0) return { why: NO_32_BIT_BUILD }
    const small = reduced.programs.get(name)
    const whole = ours.flatMap((run) => run.programs.get(name) ?? [])
    const right = small?.checksum
    const wrong = ended.find(({ checksum }) => checksum !== right)
    if (wrong) return { why: `its result is ${wrong.checksum}, and should be ${right}` }
    const instructions = median(whole.map((took) => took.instructions ?? Number.NaN))
    const scale = instructions / (small?.instructions ?? Number.NaN)
    const ms = scale * median(ended.map((took) => took.ms))
    const cpuMs = scale * median(ended.map((took) => took.cpuMs))
    return {
      ms,
      ratio: ms / median(whole.map((took) => took.ms)),
      cpuRatio: cpuMs / median(whole.map((took) => took.cpuMs)),
    }
  }
  return new Map(programs.map((program) => [program.name, figureOf(program)]))
}

/** The means of the groups that have programs, and that of all at last. */
export function rivalMeans(
  programs: readonly GuestProgram[],
  figures: ReadonlyMap<string, RivalFigure>,
): RivalMean[] {
  return [...GROUPS, 'all' as const].flatMap((group) => {
    const some = programs.filter((program) => group === 'all' || program.group === group)
    if (some.length === 0) return []
    const measured = some.flatMap(({ name }) => {
      const figure = figures.get(name)
      return figure && 'ratio' in figure ? [figure] : []
    })
    const mean = (key: 'ratio' | 'cpuRatio') =>
      measured.length === 0 ? Number.NaN : geometricMean(measured.map((figure) => figure[key]))
    const [ratio, cpuRatio] = [mean('ratio'), mean('cpuRatio')]
    return [{ group, ratio, cpuRatio, of: some.length, measured: measured.length }]
  })
}

/** The rival's time from the kernel's entry to init, by ours; NaN where it is not known. */
export function bootRatio(rival: readonly RivalRun[], ours: readonly SuiteRun[]): number {
  const time = (runs: readonly Pick<RivalRun, 'boot'>[]) =>
    median(runs.flatMap(({ boot }) => boot?.ms ?? []))
  return time(rival) / time(ours)
}
