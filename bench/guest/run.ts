// Guest programs on Xenolith beside QEMU's TCG: the same Debian kernel with the same ramdisk boots
// on both in turn and runs the same programs, one after another; the same files also run on the
// host itself. Prints medians of the times by the host's clock, how many times as fast as QEMU ours
// is (above one: faster; by the clock and by processor time), how many times as slow as the host
// itself, and our millions of instructions a second. Needs gcc and Debian's qemu-system-x86.
//
// tools/bench guest [--rounds N] [--programs NAME,…] [--scale X] [--ours-only] [--json FILE]
//                   [--with NAME[:SCALE],…] [--patience SECONDS]
//
// --scale multiplies all sizes: with 0.1 everything takes a tenth, and starting weighs more.
// --with adds rivals, bochs (needs Debian's bochs and nasm) and v86 (needs npm and gcc-multilib:
// it runs 32-bit builds), and a column each: the rival's time by ours. They are slow and get less
// work, SCALE times that of ours; times are scaled to the same work by the instructions that ours
// executes. A rival that is not there is skipped. A program that fails there, gives a wrong result
// or shows nothing for the time of --patience (180 seconds) is one that it did not finish.

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { UserError } from '../../src/base/errors.ts'
import { buildImage } from './image.ts'
import { type Options, parseOptions } from './options.ts'
import { type Measured, report, save } from './report.ts'
import { RivalBench } from './rivals/bench-rivals.ts'
import { qemuVersion, runSuite, type Side } from './sides.ts'
import type { SuiteRun } from './timeline.ts'

async function measure(options: Options): Promise<Measured> {
  const { programs, rounds, oursOnly } = options
  const folder = mkdtempSync(join(tmpdir(), 'xenolith-bench-'))
  try {
    const image = await buildImage(programs, folder)
    const rivals = options.rivals.map((choice) => new RivalBench(choice, image, options.patienceMs))
    for (const rival of rivals) await rival.setUp(programs)
    const runs = { ours: [] as SuiteRun[], qemu: [] as SuiteRun[], native: [] as SuiteRun[] }
    for (let round = 0; round < rounds; round++) {
      const say = (side: string) => console.error(`round ${round + 1} of ${rounds}: ${side}`)
      // Who comes first changes, so that a machine that grows slower is fair to both.
      const guests: Side[] = oursOnly ? ['ours'] : ['ours', 'qemu']
      if (round % 2 === 1) guests.reverse()
      for (const side of [...guests, 'native' as const]) {
        say(side)
        runs[side].push(await runSuite(side, image))
      }
      for (const rival of rivals) {
        say(rival.choice.name)
        await rival.run()
      }
    }
    const results = []
    for (const rival of rivals) results.push(await rival.result(programs, runs.ours))
    return { rounds: runs, rivals: results }
  } finally {
    rmSync(folder, { recursive: true })
  }
}

try {
  const options = parseOptions(process.argv.slice(2))
  if (!options.oursOnly) console.log(qemuVersion())
  const measured = await measure(options)
  if (options.json !== undefined) save(options.json, options, measured)
  report(options, measured)
} catch (error) {
  if (!(error instanceof UserError)) throw error
  console.error(error.message)
  process.exitCode = 1
}
