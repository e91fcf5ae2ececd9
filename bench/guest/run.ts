// Guest programs on Xenolith beside QEMU's TCG: the same Debian kernel with the same ramdisk boots
// on both in turn and runs the same programs, one after another; the same files also run on the
// host itself. Prints medians of the times by the host's clock, how many times as fast as QEMU ours
// is (above one: faster; by the clock and by processor time), how many times as slow as the host
// itself, and our millions of instructions a second. Needs gcc and Debian's qemu-system-x86.
//
// tools/bench guest [--rounds N] [--programs NAME,…] [--scale X] [--ours-only] [--json FILE]
//
// --scale multiplies all sizes: with 0.1 everything takes a tenth, and starting weighs more.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { UserError } from '../../src/base/errors.ts'
import { buildImage } from './image.ts'
import { type Options, parseOptions } from './options.ts'
import { qemuVersion, runSuite, type Side } from './sides.ts'
import { bootRow, means, programRows, type Row, type Rounds, startRow } from './summary.ts'
import type { SuiteRun } from './timeline.ts'

async function measure({ programs, rounds, oursOnly }: Options): Promise<Rounds> {
  const folder = mkdtempSync(join(tmpdir(), 'xenolith-bench-'))
  try {
    const image = await buildImage(programs, folder)
    const runs = { ours: [] as SuiteRun[], qemu: [] as SuiteRun[], native: [] as SuiteRun[] }
    for (let round = 0; round < rounds; round++) {
      // Who comes first changes, so that a machine that grows slower is fair to both.
      const guests: Side[] = oursOnly ? ['ours'] : ['ours', 'qemu']
      if (round % 2 === 1) guests.reverse()
      for (const side of [...guests, 'native' as const]) {
        console.error(`round ${round + 1} of ${rounds}: ${side}`)
        runs[side].push(await runSuite(side, image))
      }
    }
    return runs
  } finally {
    rmSync(folder, { recursive: true })
  }
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

function print(name: string, row: Omit<Row, 'name'>): void {
  const seconds = [row.oursMs, row.qemuMs, row.nativeMs].map((ms) => figure(ms / 1000, 3))
  console.log(line([name, ...seconds, ...figures(row)]).trimEnd())
}

function report(options: Options, rounds: Rounds): void {
  console.log(
    line(['program', 'ours, s', 'QEMU, s', 'host, s', 'QEMU/ours', 'by CPU', 'ours/host', 'MIPS']),
  )
  const rows = programRows(options.programs, rounds)
  for (const row of rows) print(row.name, row)
  console.log('geometric means')
  for (const mean of means(options.programs, rows)) {
    print(`  ${mean.group}`, { ...mean, ...NO_TIMES })
  }
  console.log('boot')
  print('  process to kernel', startRow(rounds))
  print('  kernel to init', bootRow(rounds))
}

function save(file: string, { rounds, scale, programs }: Options, runs: Rounds): void {
  const plain = (side: readonly SuiteRun[]) =>
    side.map((run) => ({ ...run, programs: Object.fromEntries(run.programs) }))
  const { ours, qemu, native } = runs
  const all = { ours: plain(ours), qemu: plain(qemu), native: plain(native) }
  writeFileSync(file, `${JSON.stringify({ rounds, scale, programs, ...all }, undefined, 2)}\n`)
}

try {
  const options = parseOptions(process.argv.slice(2))
  if (!options.oursOnly) console.log(qemuVersion())
  const rounds = await measure(options)
  if (options.json !== undefined) save(options.json, options, rounds)
  report(options, rounds)
} catch (error) {
  if (!(error instanceof UserError)) throw error
  console.error(error.message)
  process.exitCode = 1
}
