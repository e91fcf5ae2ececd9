// Medians, ratios and geometric means of the rounds of all sides.

import { geometricMean, median } from '../statistics.ts'
import { GROUPS, type Group, type GuestProgram } from './suite.ts'
import type { SuiteRun, Took } from './timeline.ts'

/** The rounds of each side; `qemu` is empty when only ours ran. */
export interface Rounds {
  readonly ours: readonly SuiteRun[]
  readonly qemu: readonly SuiteRun[]
  readonly native: readonly SuiteRun[]
}

/** Medians of one piece of work, in milliseconds; NaN where it was not measured. */
export interface Row {
  readonly name: string
  readonly oursMs: number
  readonly qemuMs: number
  readonly nativeMs: number
  /** QEMU's time by ours: above one, ours is faster. */
  readonly ratio: number
  /** The same by processor time, which counts the compilers' threads and leaves others out. */
  readonly cpuRatio: number
  /** Ours by native. */
  readonly slowdown: number
  /** Millions of the guest's instructions a second, of ours. */
  readonly mips: number
}

/** A geometric mean over some programs. */
export interface Mean extends Pick<Row, 'ratio' | 'cpuRatio' | 'slowdown' | 'mips'> {
  readonly group: Group | 'all'
}

/**
 * A row a program.
 * @throws Error when two runs of a program have different checksums
 */
export function programRows(programs: readonly GuestProgram[], rounds: Rounds): Row[] {
  return programs.map(({ name }) => {
    const runsOf = (side: readonly SuiteRun[]) =>
      side.map((run) => {
        const program = run.programs.get(name)
        if (!program) throw new Error(`${name} did not run`)
        return program
      })
    const runs = {
      ours: runsOf(rounds.ours),
      qemu: runsOf(rounds.qemu),
      native: runsOf(rounds.native),
    }
    const checksums = Object.entries(runs).flatMap(([side, some]) =>
      some.map(({ checksum }) => `${checksum} (${side})`),
    )
    if (new Set(checksums.map((text) => text.split(' ')[0])).size > 1) {
      throw new Error(`the checksums of ${name} differ: ${[...new Set(checksums)].join(', ')}`)
    }
    return rowOf(name, runs.ours, runs.qemu, runs.native)
  })
}

/** From the kernel's first instruction to the first line of init. */
export function bootRow({ ours, qemu }: Rounds): Row {
  const boots = (runs: readonly SuiteRun[]) => runs.flatMap(({ boot }) => boot ?? [])
  return rowOf('boot', boots(ours), boots(qemu), [])
}

/**
 * From the start of the process to the kernel's first instruction: of ours, Node starts and the
 * kernel is decompressed; of QEMU, which gets it decompressed, the firmware runs.
 */
export function startRow({ ours, qemu }: Rounds): Row {
  const starts = (runs: readonly SuiteRun[]) =>
    runs.map(({ startMs }) => ({ ms: startMs, cpuMs: Number.NaN, instructions: undefined }))
  return rowOf('start', starts(ours), starts(qemu), [])
}

/** The means of the groups that have programs, and that of all at last. */
export function means(programs: readonly GuestProgram[], rows: readonly Row[]): Mean[] {
  return [...GROUPS, 'all' as const].flatMap((group) => {
    const some = rows.filter((_, i) => group === 'all' || programs[i]?.group === group)
    if (some.length === 0) return []
    const mean = (key: keyof Omit<Mean, 'group'>) => geometricMean(some.map((row) => row[key]))
    const [ratio, cpuRatio, slowdown, mips] = [
      mean('ratio'),
      mean('cpuRatio'),
      mean('slowdown'),
      mean('mips'),
    ]
    return [{ group, ratio, cpuRatio, slowdown, mips }]
  })
}

function rowOf(
  name: string,
  ours: readonly Took[],
  qemu: readonly Took[],
  native: readonly Took[],
): Row {
  const ms = (runs: readonly Took[]) => median(runs.map((run) => run.ms))
  const cpuMs = (runs: readonly Took[]) => median(runs.map((run) => run.cpuMs))
  const rates = ours.map((run) => (run.instructions ?? Number.NaN) / run.ms / 1000)
  return {
    name,
    oursMs: ms(ours),
    qemuMs: ms(qemu),
    nativeMs: ms(native),
    ratio: ms(qemu) / ms(ours),
    cpuRatio: cpuMs(qemu) / cpuMs(ours),
    slowdown: ms(ours) / ms(native),
    mips: median(rates),
  }
}
