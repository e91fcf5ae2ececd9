// Runs each kernel by ours and by Bochs in turn, so that whatever else the machine does disturbs
// both, and takes medians.

import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { runBochs } from './bochs.ts'
import { buildImage, kernels } from './kernels.ts'
import type { Measured } from './marked-output.ts'
import type { Ours } from './ours.ts'
import { median } from '../statistics.ts'

/** What was measured of one kernel. */
export interface Comparison {
  readonly name: string
  /** Instructions that the kernel executes; a repeated string instruction is one. */
  readonly instructions: number
  /** Millions of instructions a second, medians of the rounds. */
  readonly ours: number
  readonly bochs: number
  /** As `ours`, by the processor time of its thread. */
  readonly oursByCpu: number
  /** From the creation of our machine to the kernel's start mark, median, in milliseconds. */
  readonly startMs: number
}

/** Runs all kernels `rounds` times. Throws if a checksum is wrong. */
export async function compare(rounds: number): Promise<Comparison[]> {
  const folder = mkdtempSync(join(tmpdir(), 'xenolith-bench-'))
  try {
    const rows: Comparison[] = []
    for (const kernel of kernels) {
      const image = buildImage(kernel, folder)
      const ours: Ours[] = []
      const bochs: Measured[] = []
      for (let round = 0; round < rounds; round++) {
        ours.push(await runOurs(image))
        bochs.push(await runBochs(image))
      }
      for (const { checksum } of [...ours, ...bochs]) {
        if (checksum === kernel.checksum) continue
        throw new Error(`${kernel.name} gives ${checksum} and should give ${kernel.checksum}`)
      }
      const { instructions } = ours[0] as Ours
      const rate = (runs: readonly Measured[]) =>
        instructions / median(runs.map(({ ms }) => ms)) / 1000
      rows.push({
        name: kernel.name,
        instructions,
        ours: rate(ours),
        bochs: rate(bochs),
        oursByCpu: instructions / median(ours.map(({ cpuMs }) => cpuMs)) / 1000,
        startMs: median(ours.map(({ startMs }) => startMs)),
      })
    }
    return rows
  } finally {
    rmSync(folder, { recursive: true })
  }
}

async function runOurs(image: string): Promise<Ours> {
  const script = join(import.meta.dirname, 'ours.ts')
  const { stdout } = await promisify(execFile)(process.execPath, [script, image])
  return JSON.parse(stdout) as Ours
}
