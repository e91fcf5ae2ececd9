// What the benchmark prints, and what it writes for programs.

import { writeFileSync } from 'node:fs'
import { differingMitigations } from './mitigations.ts'
import type { Options } from './options.ts'
import type { RivalResult, SkippedRival } from './rivals/bench-rivals.ts'
import { bootRatio, rivalMeans } from './rivals/comparison.ts'
import { bootRow, means, programRows, type Row, type Rounds, startRow } from './summary.ts'
import type { SuiteRun } from './timeline.ts'

/** Everything that was measured. */
export interface Measured {
  readonly rounds: Rounds
  readonly rivals: readonly (RivalResult | SkippedRival)[]
}

const line = (cells: readonly string[]) =>
  cells.map((cell, i) => (i === 0 ? cell.padEnd(22) : cell.padStart(11))).join('')

/** A figure that was not measured leaves its place empty. */
const figure = (value: number, digits: number) => (Number.isNaN(value) ? '' : value.toFixed(digits))

const figures = ({ ratio, cpuRatio, slowdown, mips }: Omit<Row, 'name'>) => [
  figure(ratio, 2),
  figure(cpuRatio, 2),
  figure(slowdown, 1),
  figure(mips, 0),
]

const NO_TIMES = { oursMs: Number.NaN, qemuMs: Number.NaN, nativeMs: Number.NaN }

function print(name: string, row: Omit<Row, 'name'>, rivals: readonly string[] = []): void {
  const seconds = [row.oursMs, row.qemuMs, row.nativeMs].map((ms) => figure(ms / 1000, 3))
  console.log(line([name, ...seconds, ...figures(row), ...rivals]).trimEnd())
}

const hasRun = (rival: RivalResult | SkippedRival): rival is RivalResult => !('skipped' in rival)

/** Prints the tables. */
export function report({ programs }: Options, { rounds, rivals }: Measured): void {
  const ran = rivals.filter(hasRun)
  const columns = ['ours, s', 'QEMU, s', 'host, s', 'QEMU/ours', 'by CPU', 'ours/host', 'MIPS']
  console.log(line(['program', ...columns, ...ran.map(({ name }) => `${name}/ours`)]))
  const rows = programRows(programs, rounds)
  for (const row of rows) {
    const cells = ran.map((rival) => {
      const found = rival.figures.get(row.name)
      return found && 'ratio' in found ? figure(found.ratio, 1) : '-'
    })
    print(row.name, row, cells)
  }
  console.log('geometric means')
  const meansOfRivals = ran.map((rival) => rivalMeans(programs, rival.figures))
  for (const mean of means(programs, rows)) {
    const cells = meansOfRivals.map((some) =>
      figure(some.find(({ group }) => group === mean.group)?.ratio ?? Number.NaN, 1),
    )
    print(`  ${mean.group}`, { ...mean, ...NO_TIMES }, cells)
  }
  console.log('boot')
  print('  process to kernel', startRow(rounds))
  const boots = ran.map((rival) => figure(bootRatio(rival.runs, rounds.ours), 1))
  print('  kernel to init', bootRow(rounds), boots)
  if (rivals.length > 0) {
    console.log(
      'rivals: the time of a rival for the same work by ours, above one where ours is faster',
    )
  }
  for (const rival of rivals) explain(rival, programs)
  mitigations(rounds, ran)
}

function explain(rival: RivalResult | SkippedRival, programs: Options['programs']): void {
  if (!hasRun(rival)) {
    console.log(`  ${rival.name}, skipped: ${rival.skipped}`)
    return
  }
  const work = `had ${rival.scale} of the work, and its times are scaled to all of it.`
  console.log(`  ${rival.title} ${[work, ...rival.notes].join(' ')}`)
  const all = rivalMeans(programs, rival.figures).at(-1)
  if (all && all.measured > 0) {
    const by = `by the clock ${figure(all.ratio, 1)}, by processor time ${figure(all.cpuRatio, 1)}`
    console.log(`    geometric mean of ${all.measured} of ${all.of} programs: ${by}`)
  }
  for (const [name, found] of rival.figures) {
    if ('why' in found) console.log(`    did not finish ${name}: ${found.why}`)
  }
}

function mitigations({ ours, qemu }: Rounds, rivals: readonly RivalResult[]): void {
  const sides = new Map<string, ReadonlyMap<string, string>>()
  const add = (name: string, run: Pick<SuiteRun, 'mitigations'> | undefined) => {
    if (run && run.mitigations.size > 0) sides.set(name, run.mitigations)
  }
  add('ours', ours[0])
  add('QEMU', qemu[0])
  for (const { name, runs } of rivals) add(name, runs[0])
  if (sides.size < 2) return
  const differing = differingMitigations(sides)
  console.log(
    `mitigations in the guests' kernels: ${differing.length === 0 ? 'the same' : ''}`.trim(),
  )
  for (const text of differing) console.log(`  ${text}`)
}

/** Writes the raw figures as JSON. */
export function save(file: string, options: Options, { rounds, rivals }: Measured): void {
  const { programs, scale } = options
  const all = { rounds: options.rounds, scale, programs, ...rounds, rivals }
  writeFileSync(file, `${JSON.stringify(all, plain, 2)}\n`)
}

/** Maps as objects, for JSON. */
const plain = (_key: string, value: unknown): unknown =>
  value instanceof Map ? Object.fromEntries(value) : value
