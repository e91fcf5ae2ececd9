// What a run of a domain tells its user: the guest's console is data and goes to stdout, the talk
// goes to stderr; with --json both become events on stdout, one JSON object a line.

import { profileLines, type ProfileSummary } from './run-profile.ts'
import { statisticsLines } from './statistics-lines.ts'
import type { Context, Output } from './verb.ts'

/** How a run ended, for the last line. */
export interface Ending {
  readonly status: number
  /** A word for programs, such as `poweroff` or `time-limit`. */
  readonly reason: string
  /** The lines for people. */
  readonly lines: readonly string[]
  readonly cause?: string | undefined
  /** What took the time, of the guest's functions, the most first; and where the profile is. */
  readonly profile?: ProfileSummary | undefined
  readonly stats?: Readonly<Record<string, number>> | undefined
}

export interface Talk {
  phase(phase: string, ms: number, detail: string): void
  note(text: string): void
  console(bytes: Uint8Array): void
  end(ending: Ending): void
}

export function makeTalk(name: string, context: Context, json: boolean): Talk {
  return json ? new JsonTalk(name, context.stdout) : new TextTalk(name, context)
}

const LINE_FEED = 10

class TextTalk implements Talk {
  readonly #name: string
  readonly #stdout: Output
  readonly #stderr: Output
  readonly #isTerminal: boolean
  readonly #hasColour: boolean
  readonly #start = performance.now()
  /** On a terminal that shows both, the guest may stand in the middle of a line. */
  #lineIsOpen = false

  constructor(name: string, { stdout, stderr, env }: Context) {
    this.#name = name
    this.#stdout = stdout
    this.#stderr = stderr
    this.#isTerminal = stderr.isTTY === true
    this.#hasColour = this.#isTerminal && !env['NO_COLOR'] && env['TERM'] !== 'dumb'
  }

  phase(phase: string, ms: number, detail: string): void {
    const what = detail === '' ? phase : `${phase} ${detail}`
    this.#line(this.#isTerminal ? `${what.padEnd(32)} ${seconds(ms)}` : what, ms)
  }

  note(text: string): void {
    this.#line(text, performance.now() - this.#start)
  }

  console(bytes: Uint8Array): void {
    if (bytes.length === 0) return
    this.#stdout.write(bytes)
    this.#lineIsOpen = bytes.at(-1) !== LINE_FEED
  }

  end({ lines, profile, stats }: Ending): void {
    // The guest may have left colours on or the cursor hidden.
    if (this.#stdout.isTTY && this.#hasColour) this.#stdout.write('\x1b[0m\x1b[?25h')
    for (const line of lines) this.note(line)
    for (const line of profile ? profileLines(profile) : []) this.#stderr.write(`${line}\n`)
    for (const line of statisticsLines(stats ?? {})) this.#stderr.write(`${line}\n`)
  }

  #line(text: string, ms: number): void {
    const fresh = this.#lineIsOpen && this.#isTerminal && this.#stdout.isTTY ? '\n' : ''
    this.#lineIsOpen = false
    const stamp = this.#isTerminal ? '' : `[${(ms / 1000).toFixed(3).padStart(8)}] `
    const line = `${stamp}${this.#name}: ${text}`
    this.#stderr.write(this.#hasColour ? `${fresh}\x1b[2m${line}\x1b[0m\n` : `${fresh}${line}\n`)
  }
}

class JsonTalk implements Talk {
  readonly #name: string
  readonly #stdout: Output
  readonly #decoder = new TextDecoder()
  readonly #start = performance.now()

  constructor(name: string, stdout: Output) {
    this.#name = name
    this.#stdout = stdout
  }

  phase(phase: string, ms: number, detail: string): void {
    this.#event('phase', { phase, ms: Math.round(ms), detail })
  }

  note(text: string): void {
    this.#event('note', { text })
  }

  console(bytes: Uint8Array): void {
    const text = this.#decoder.decode(bytes, { stream: true })
    if (text !== '') this.#event('console', { text })
  }

  end({ status, reason, cause, lines, profile, stats }: Ending): void {
    const ms = Math.round(performance.now() - this.#start)
    this.#event('end', { reason, status, cause, ms, text: lines.join('\n'), profile, stats })
  }

  #event(event: string, fields: Record<string, unknown>): void {
    this.#stdout.write(`${JSON.stringify({ event, domain: this.#name, ...fields })}\n`)
  }
}

/** Milliseconds as seconds with two significant places: 0.21 s, 1.4 s. */
export function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(ms < 1000 ? 2 : 1)} s`
}
