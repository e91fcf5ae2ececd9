// A profile of a run in the foreground: the file that it goes to, and the lines for people.

import { closeSync, openSync, writeSync } from 'node:fs'
import { UserError } from '../base/errors.ts'
import { CpuProfile, guestTimes, type ProfileTime } from '../node/cpu-profile.ts'

/** What is told of it; the rest is in the file. */
const MOST_TOLD = 25

export interface ProfileSummary {
  readonly file: string
  /** Of all that was seen, idle time included. */
  readonly ms: number
  readonly times: readonly ProfileTime[]
}

export class RunProfile {
  readonly #path: string
  readonly #file: number
  readonly #profile: CpuProfile

  private constructor(path: string, file: number, profile: CpuProfile) {
    this.#path = path
    this.#file = file
    this.#profile = profile
  }

  /** @throws UserError if there can be no such file */
  static async start(path: string): Promise<RunProfile> {
    return new RunProfile(path, open(path), await CpuProfile.start())
  }

  /** Ends the profile and writes it. */
  async finish(): Promise<ProfileSummary> {
    const profile = await this.#profile.stop()
    writeSync(this.#file, JSON.stringify(profile))
    const times = guestTimes(profile)
    const ms = times.reduce((sum, time) => sum + time.ms, 0)
    return { file: this.#path, ms, times: times.slice(0, MOST_TOLD) }
  }

  close(): void {
    this.#profile.close()
    closeSync(this.#file)
  }
}

function open(path: string): number {
  try {
    return openSync(path, 'w')
  } catch (cause) {
    throw new UserError(
      `The profile ${path} cannot be written.`,
      `${cause instanceof Error ? cause.message : String(cause)}.`,
      'Give --profile a file in a folder that exists and is writable.',
    )
  }
}

/** A table: what took the time, in milliseconds and per cent. */
export function profileLines({ file, ms: all, times }: ProfileSummary): string[] {
  const width = Math.max(0, ...times.map(({ name }) => name.length))
  const rows = times.map(
    ({ name, ms }) =>
      `${name.padEnd(width)} ${ms.toFixed(1).padStart(12)} ${((100 * ms) / all).toFixed(1).padStart(7)}`,
  )
  const title = `${'time by code of the guest'.padEnd(width)} ${'ms'.padStart(12)} ${'%'.padStart(7)}`
  return [title, ...rows, `the whole profile: ${file}`]
}
