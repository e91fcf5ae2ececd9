// Runs the suite on a rival. What goes wrong there is a result, not an error: a program that fails
// or does not end is noted, and the rival boots again for those that are left.

import type { GuestProgram } from '../suite.ts'
import type { ProgramRun, Took } from '../timeline.ts'
import type { Watched } from '../watch.ts'

/** A program's time, or why there is none. */
export type Outcome = ProgramRun | { readonly why: string }

export interface RivalRun {
  readonly boot: Took | undefined
  readonly mitigations: ReadonlyMap<string, string>
  readonly programs: ReadonlyMap<string, Outcome>
}

export const hasEnded = (outcome: Outcome | undefined): outcome is ProgramRun =>
  outcome !== undefined && !('why' in outcome)

/** @param boot boots and runs these programs */
export async function runRival(
  programs: readonly GuestProgram[],
  boot: (programs: readonly GuestProgram[]) => Promise<Watched>,
): Promise<RivalRun> {
  const outcomes = new Map<string, Outcome>()
  let first: Took | undefined
  let mitigations: ReadonlyMap<string, string> = new Map()
  let left = [...programs]
  while (left.length > 0) {
    const { timeline, failure } = await boot(left)
    const run = timeline.soFar()
    for (const [name, took] of run.programs) outcomes.set(name, took)
    first ??= run.boot
    if (run.mitigations.size > 0) ({ mitigations } = run)
    const { running } = timeline
    const why = failure ?? 'it did not run'
    if (running !== undefined) outcomes.set(running, { why })
    const rest = left.filter(({ name }) => !outcomes.has(name))
    // A boot that brings nothing will bring nothing the next time.
    const isStuck = rest.length === left.length
    if (isStuck) for (const { name } of rest) outcomes.set(name, { why })
    left = isStuck ? [] : rest
  }
  return { boot: first, mitigations, programs: outcomes }
}
