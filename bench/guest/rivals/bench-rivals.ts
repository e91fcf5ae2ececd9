// The rivals of one measurement: sets them up, runs them beside the other sides, and compares.

import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { UserError } from '../../../src/base/errors.ts'
import { type Image, writeRamdisk } from '../image.ts'
import { runSuite } from '../sides.ts'
import { type GuestProgram, scaled } from '../suite.ts'
import type { SuiteRun } from '../timeline.ts'
import { watch } from '../watch.ts'
import { setUpBochs } from './bochs.ts'
import { type RivalFigure, rivalFigures } from './comparison.ts'
import type { Rival, RivalChoice, RivalName, SetUp } from './rival.ts'
import { hasEnded, type RivalRun, runRival } from './run-rival.ts'
import { setUpV86 } from './v86.ts'

const SET_UPS: Readonly<Record<RivalName, SetUp>> = { bochs: setUpBochs, v86: setUpV86 }

/** What was measured of a rival. */
export interface RivalResult extends RivalChoice {
  readonly title: string
  readonly notes: readonly string[]
  readonly runs: readonly RivalRun[]
  /** One run of ours with the rival's sizes. */
  readonly reduced: SuiteRun
  readonly figures: ReadonlyMap<string, RivalFigure>
}

export interface SkippedRival extends RivalChoice {
  readonly skipped: string
}

/** One rival in the course of a measurement. */
export class RivalBench {
  readonly choice: RivalChoice
  readonly #image: Image
  readonly #folder: string
  readonly #silenceMs: number
  /** With their sizes for the rival, without those that have failed. */
  #programs: readonly GuestProgram[] = []
  #rival: Rival | undefined
  #skipped = ''
  readonly #runs: RivalRun[] = []

  /** @param silenceMs a rival that shows nothing for so long hangs */
  constructor(choice: RivalChoice, image: Image, silenceMs: number) {
    this.choice = choice
    this.#image = image
    this.#folder = join(image.folder, '..', choice.name)
    this.#silenceMs = silenceMs
  }

  /** Sets the rival up; one that cannot run is skipped from then on. */
  async setUp(programs: readonly GuestProgram[]): Promise<void> {
    mkdirSync(this.#folder)
    try {
      const rival = await SET_UPS[this.choice.name](this.#image, this.#folder)
      const possible = programs.filter(({ isOnly64 }) => !(rival.is32Bit && isOnly64))
      this.#programs = scaled(possible, this.choice.scale)
      this.#rival = rival
    } catch (error) {
      if (!(error instanceof UserError)) throw error
      this.#skipped = error.message.replaceAll('\n', ' ')
    }
  }

  /** Runs the suite once. */
  async run(): Promise<void> {
    const rival = this.#rival
    if (!rival || this.#programs.length === 0) return
    const run = await runRival(this.#programs, (programs) =>
      watch(rival.prepare(programs), this.#folder, this.#silenceMs),
    )
    this.#runs.push(run)
    this.#programs = this.#programs.filter(({ name }) => hasEnded(run.programs.get(name)))
  }

  /** @param ours the runs of ours with whole sizes */
  async result(
    programs: readonly GuestProgram[],
    ours: readonly SuiteRun[],
  ): Promise<RivalResult | SkippedRival> {
    if (!this.#rival) return { ...this.choice, skipped: this.#skipped }
    const ramdisk = join(this.#folder, 'reduced.gz')
    writeRamdisk(ramdisk, this.#image.folder, scaled(programs, this.choice.scale))
    const reduced = await runSuite('ours', { ...this.#image, ramdisk })
    const { title, notes } = this.#rival
    const figures = rivalFigures(programs, this.#runs, ours, reduced)
    return { ...this.choice, title, notes, runs: this.#runs, reduced, figures }
  }
}
