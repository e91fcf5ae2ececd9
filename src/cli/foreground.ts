// Runs one domain in the foreground: boot phases, its console, a script, a time limit; and says
// with which status the command ends. Whatever ends the run, the terminal is put back first.

import { closeSync, openSync, writeSync } from 'node:fs'
import { constants } from 'node:os'
import { UserError } from '../base/errors.ts'
import type { Domain, DomainConfig, DomainEnd, TimeMode, Translation } from '../node/host-types.ts'
import { connectInput } from './console-input.ts'
import { ConsoleScript, type ScriptStep } from './console-script.ts'
import { lastLines } from '../node/console-text.ts'
import { RunProfile } from './run-profile.ts'
import { EXIT_DETACHED, EXIT_OK, EXIT_SIGNAL, EXIT_TIME_LIMIT, statusOfEnd } from './exit-status.ts'
import { Silence } from './silence.ts'
import { type Ending, makeTalk, seconds, type Talk } from './talk.ts'
import type { Context } from './verb.ts'

export interface ForegroundRun {
  readonly domain: DomainConfig
  readonly time: TimeMode
  readonly translation?: Translation | undefined
  readonly script: readonly ScriptStep[]
  readonly timeoutSeconds?: number | undefined
  readonly consoleLog?: string | undefined
  /** Where a profile of the run goes. */
  readonly profile?: string | undefined
  readonly stats: boolean
  readonly json: boolean
}

type Outcome =
  | { readonly kind: 'ended'; readonly end: DomainEnd }
  | { readonly kind: 'satisfied' | 'time-limit' | 'detached' | 'closed' }
  | { readonly kind: 'signal'; readonly signal: NodeJS.Signals }

const SIGNALS: readonly NodeJS.Signals[] = ['SIGINT', 'SIGTERM', 'SIGHUP']
const SILENCE_CHECK_MS = 1_000
const QUOTED_LINES = 10

/**
 * Boots the domain and stays until it ends or the user has had enough.
 * @returns the exit status
 */
export async function runInForeground(run: ForegroundRun, context: Context): Promise<number> {
  const log = run.consoleLog === undefined ? undefined : openLog(run.consoleLog)
  const profile = run.profile === undefined ? undefined : await RunProfile.start(run.profile)
  try {
    const host = await context.createHost({
      time: run.time,
      ...(run.translation && { translation: run.translation }),
      ...(run.stats && { countsExits: true, measuresTranslation: true }),
      ...(profile && { namesCode: true }),
    })
    // From here on, so that the talk's times and those of the phases have one origin.
    const talk = makeTalk(run.domain.name, context, run.json)
    const start = performance.now()
    const domain = await host.createDomain(run.domain)
    try {
      const session = new Session(run, context, domain, talk, log)
      host.start()
      const outcome = await session.outcome
      const ending = describe(outcome, run, domain, session.script.awaited, start)
      talk.end({
        ...ending,
        ...(profile && { profile: await profile.finish() }),
        ...(run.stats && { stats: domain.stats() }),
      })
      return ending.status
    } finally {
      host.stop()
      domain.destroy()
    }
  } finally {
    profile?.close()
    if (log !== undefined) closeSync(log)
  }
}

/** Everything that is connected to a running domain; disconnected when the outcome is known. */
class Session {
  readonly outcome: Promise<Outcome>
  readonly script: ConsoleScript
  readonly #disconnect: (() => void)[] = []
  #hasSpoken = false

  constructor(
    run: ForegroundRun,
    context: Context,
    domain: Domain,
    talk: Talk,
    log: number | undefined,
  ) {
    const { promise, resolve, reject } = Promise.withResolvers<Outcome>()
    this.outcome = promise.finally(() => {
      for (const step of this.#disconnect.splice(0)) step()
    })
    this.script = new ConsoleScript(run.script, {
      send: (text) => domain.console.send(new TextEncoder().encode(text)),
      satisfied: () => resolve({ kind: 'satisfied' }),
    })
    const silence = new Silence(performance.now())
    domain.onPhase((phase, ms, detail) => {
      silence.broken(performance.now())
      talk.phase(phase, ms, detail)
    })
    domain.onNotice((text) => talk.note(text))
    const stopListening = domain.console.onOutput((bytes) => {
      this.#hasSpoken = true
      silence.broken(performance.now())
      talk.console(bytes)
      if (log !== undefined) writeSync(log, bytes)
      this.script.feed(bytes)
    })
    this.#disconnect.push(stopListening)
    this.#attach(run, context, domain, talk, () => resolve({ kind: 'detached' }))
    this.#watch(run, context, resolve)
    this.#breakSilence(silence, domain, talk)
    domain.ended.then((end) => resolve({ kind: 'ended', end }), reject)
    this.script.begin()
  }

  #attach(
    run: ForegroundRun,
    context: Context,
    domain: Domain,
    talk: Talk,
    onDetach: () => void,
  ): void {
    const isTerminal = context.stdin.isTTY === true
    // Events for a program and keys of a person do not go together.
    if (isTerminal && run.json) return
    if (isTerminal) talk.note('attached to the console; leave with Ctrl-]')
    this.#disconnect.push(connectInput(context, domain.console, onDetach))
  }

  /** The ends that come from outside: a signal, a closed pipe, the time limit. */
  #watch(run: ForegroundRun, context: Context, resolve: (outcome: Outcome) => void): void {
    const onSignal = (signal: NodeJS.Signals) => resolve({ kind: 'signal', signal })
    for (const signal of SIGNALS) context.process.on(signal, onSignal)
    const onClosed = () => resolve({ kind: 'closed' })
    context.stdout.on('error', onClosed)
    this.#disconnect.push(() => {
      for (const signal of SIGNALS) context.process.off(signal, onSignal)
    })
    if (run.timeoutSeconds === undefined) return
    const timer = setTimeout(() => resolve({ kind: 'time-limit' }), run.timeoutSeconds * 1000)
    this.#disconnect.push(() => clearTimeout(timer))
  }

  /** Only while something is awaited: a guest that waits at its prompt may be silent. */
  #breakSilence(silence: Silence, domain: Domain, talk: Talk): void {
    const timer = setInterval(() => {
      const { awaited } = this.script
      if (!awaited && this.#hasSpoken) return
      const silent = silence.notice(performance.now())
      if (silent === undefined) return
      const [last] = lastLines(domain.console.text(), 1)
      const what = awaited ? `waiting for ${awaited}` : 'waiting for the first console output'
      talk.note(`${what}: ${silent} s without news${last ? `; last line: ${last}` : ''}`)
    }, SILENCE_CHECK_MS)
    this.#disconnect.push(() => clearInterval(timer))
  }
}

function describe(
  outcome: Outcome,
  run: ForegroundRun,
  domain: Domain,
  awaited: RegExp | undefined,
  start: number,
): Ending {
  const after = `after ${seconds(performance.now() - start)}`
  switch (outcome.kind) {
    case 'ended':
      return describeEnd(outcome.end, awaited, after)
    case 'satisfied':
      return { status: EXIT_OK, reason: 'expected', lines: [`all that was expected came ${after}`] }
    case 'detached':
      return { status: EXIT_DETACHED, reason: 'detached', lines: [`ended with Ctrl-] ${after}`] }
    case 'closed':
      return { status: EXIT_SIGNAL + constants.signals.SIGPIPE, reason: 'closed', lines: [] }
    case 'signal': {
      const status = EXIT_SIGNAL + constants.signals[outcome.signal]
      return { status, reason: 'signal', lines: [`ended by ${outcome.signal} ${after}`] }
    }
    case 'time-limit':
      return {
        status: EXIT_TIME_LIMIT,
        reason: 'time-limit',
        lines: timeLimit(run, domain, awaited),
      }
  }
}

function describeEnd(
  { reason, cause }: DomainEnd,
  awaited: RegExp | undefined,
  after: string,
): Ending {
  const status = statusOfEnd(reason, awaited !== undefined)
  const what = {
    poweroff: 'powered off',
    suspend: 'suspended itself',
    reboot: 'asked for a reboot',
    crash: 'crashed',
    watchdog: 'was stopped by its watchdog',
  }[reason]
  const lines = [`${what} ${after}${cause ? `: ${cause}` : ''}`]
  if (awaited) lines.push(`${awaited} had not come by then`)
  return { status, reason, cause, lines }
}

function timeLimit(
  { timeoutSeconds }: ForegroundRun,
  domain: Domain,
  awaited: RegExp | undefined,
): string[] {
  const waiting = awaited ? `, waiting for ${awaited}` : ''
  const quoted = lastLines(domain.console.text(), QUOTED_LINES)
  return [
    `the time limit of ${timeoutSeconds} s was reached${waiting}`,
    quoted.length > 0 ? 'the last lines of its console:' : 'its console showed nothing',
    ...quoted.map((line) => `  | ${line}`),
    'allow more with --timeout SECONDS, or keep all of the console with --console-log FILE',
  ]
}

function openLog(path: string): number {
  try {
    return openSync(path, 'w')
  } catch (cause) {
    throw new UserError(
      `The console log ${path} cannot be written.`,
      `${cause instanceof Error ? cause.message : String(cause)}.`,
      'Give --console-log a file in a folder that exists and is writable.',
    )
  }
}
