// What one run of the suite took, put together from its marks and the times at which they came.

import type { Mark } from './marks.ts'

/** When something was seen. */
export interface Moment {
  /** By the clock. */
  readonly ms: number
  /** Processor time that the process has used, with all its threads; NaN where it is not known. */
  readonly cpuMs: number
}

export interface Took extends Moment {
  /** Instructions of the guest; undefined where nobody counts them. */
  readonly instructions: number | undefined
}

export interface ProgramRun extends Took {
  readonly checksum: string
}

/** One boot with all programs. */
export interface SuiteRun {
  /** From the start of the process to the kernel's first instruction. */
  readonly startMs: number
  /** From there to the first line of init; undefined where there is no kernel. */
  readonly boot: Took | undefined
  /** What the guest's kernel does about each flaw of processors that it knows, in its words. */
  readonly mitigations: ReadonlyMap<string, string>
  readonly programs: ReadonlyMap<string, ProgramRun>
}

interface Counted {
  readonly moment: Moment
  count: number | undefined
}

export class Timeline {
  /** Whether the last program has ended. */
  isDone = false
  readonly #started: number
  readonly #programs = new Map<string, { begin: Counted; end?: Counted; checksum?: string }>()
  readonly #mitigations = new Map<string, string>()
  #entry: Counted | undefined
  #init: Counted | undefined
  #latest: Counted | undefined

  /** @param started when the process was started */
  constructor(started: number) {
    this.#started = started
  }

  /**
   * Takes the next mark.
   * @throws Error when it does not fit what came before, or a program has failed
   */
  add({ kind, words }: Mark, moment: Moment): void {
    const [name = '', value = ''] = words
    const now: Counted = { moment, count: undefined }
    if (kind !== 'sum' && kind !== 'count') this.#latest = now
    switch (kind) {
      case 'entry':
        this.#entry ??= now
        break
      case 'init':
        this.#init ??= now
        break
      case 'mitigation':
        this.#mitigations.set(name, words.slice(1).join(' '))
        break
      case 'begin':
        this.#programs.set(name, { begin: now })
        break
      case 'end':
        this.#find(name).end = now
        break
      case 'sum':
        this.#find(name).checksum = value
        break
      case 'count':
        if (this.#latest) this.#latest.count = Number(name)
        break
      case 'fail':
        throw new Error(`${name} failed with status ${value}`)
      case 'done':
        this.isDone = true
    }
  }

  /**
   * The whole run.
   * @throws Error when it is not complete
   */
  result(): SuiteRun {
    if (this.running !== undefined) throw new Error(`${this.running} did not end`)
    return this.soFar()
  }

  /** The program that has begun and not given its checksum yet. */
  get running(): string | undefined {
    for (const [name, { end, checksum }] of this.#programs) {
      if (!end || checksum === undefined) return name
    }
    return undefined
  }

  /** The run without a program that has not ended. */
  soFar(): SuiteRun {
    const programs = new Map<string, ProgramRun>()
    for (const [name, { begin, end, checksum }] of this.#programs) {
      if (end && checksum !== undefined) programs.set(name, { ...between(begin, end), checksum })
    }
    const entry = this.#entry
    return {
      startMs: entry ? entry.moment.ms - this.#started : Number.NaN,
      boot: entry && this.#init && between(entry, this.#init),
      mitigations: this.#mitigations,
      programs,
    }
  }

  #find(name: string) {
    const program = this.#programs.get(name)
    if (!program) throw new Error(`${name} ended before it began`)
    return program
  }
}

function between(from: Counted, to: Counted): Took {
  const isCounted = from.count !== undefined && to.count !== undefined
  return {
    ms: to.moment.ms - from.moment.ms,
    cpuMs: to.moment.cpuMs - from.moment.cpuMs,
    instructions: isCounted ? Number(to.count) - Number(from.count) : undefined,
  }
}
