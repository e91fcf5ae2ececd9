// What the suite needs to know of another emulator that runs it: a rival, slower than ours and
// QEMU, so that it gets less work. Its times are compared by work done (comparison.ts).

import type { Image } from '../image.ts'
import type { GuestProgram } from '../suite.ts'

export const RIVAL_NAMES = ['bochs', 'v86'] as const

export type RivalName = (typeof RIVAL_NAMES)[number]

/** Which rival runs, and how much. */
export interface RivalChoice {
  readonly name: RivalName
  /** What the sizes of programs are multiplied by, after those of all sides. */
  readonly scale: number
}

/** So that a program takes it seconds, as it does of the others. */
export const DEFAULT_SCALES: Readonly<Record<RivalName, number>> = { bochs: 0.05, v86: 0.25 }

/** A rival that is installed and set up. */
export interface Rival {
  /** Name and version. */
  readonly title: string
  /** What a reader of its figures must know, a sentence each. */
  readonly notes: readonly string[]
  /** Whether it runs 32-bit builds. */
  readonly is32Bit: boolean
  /** Prepares to run these programs and gives the command for it. */
  readonly prepare: (programs: readonly GuestProgram[]) => readonly string[]
}

/**
 * Sets a rival up in a folder of its own.
 * @throws UserError when something that it needs is missing
 */
export type SetUp = (image: Image, folder: string) => Promise<Rival>
