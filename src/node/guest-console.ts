// A guest's console for programs: what it writes as bytes and as text, waiting for a pattern,
// typing, and running a line in its shell.

import type { ConsoleRing } from '../backends/console/ring.ts'
import { lastLines } from './console-text.ts'
import { ConsoleWindow } from './console-window.ts'
import type { DomainConsole, DomainEnd } from './host-types.ts'
import { WaitError, type WaitOptions } from './wait.ts'

/** What the console needs of its domain and host. */
export interface ConsoleWorld {
  readonly name: string
  /** How the domain has ended, if it has. */
  readonly end: DomainEnd | undefined
  wake(): void
  wait<T>(find: () => T | undefined, options: WaitOptions, expired: () => Error): Promise<T>
  timeoutMs(options: WaitOptions): number
}

/** What a line that was run in the guest's shell has printed, and its exit status. */
export interface CommandResult {
  readonly output: string
  readonly status: number
}

/** As large as what one line prints may be. */
const WINDOW = 1 << 20
const QUOTED_LINES = 12
const REMEDY =
  'Allow more with timeoutMs, or look at all of its console: console.text() has it since boot.'

export class GuestConsole implements DomainConsole {
  readonly #ring: ConsoleRing
  readonly #world: ConsoleWorld
  readonly #window = new ConsoleWindow(WINDOW)
  #hasNews = false
  #lines = 0

  constructor(ring: ConsoleRing, world: ConsoleWorld) {
    this.#ring = ring
    this.#world = world
    ring.listen((bytes) => {
      this.#hasNews = this.#window.add(bytes) || this.#hasNews
    })
  }

  onOutput(listener: (bytes: Uint8Array) => void): () => void {
    return this.#ring.listen(listener)
  }

  send(bytes: Uint8Array): void {
    this.#ring.write(bytes)
    this.#world.wake()
  }

  text(): string {
    return this.#ring.scrollback.text()
  }

  /** The last lines that are not blank, without escape sequences. */
  lastLines(count: number): string[] {
    return lastLines(this.text(), count)
  }

  /** Types text; the end of a line is the Enter key. */
  type(text: string): void {
    this.send(new TextEncoder().encode(text.replace(/\r?\n/g, '\r')))
  }

  /**
   * Waits until the console shows a text, or something that a pattern matches, behind the last
   * match of this method; what has come already counts. Gives the match with its groups.
   * @throws WaitError with the console's last lines when it does not come in time, or the domain
   * has ended
   */
  async expect(pattern: string | RegExp, options: WaitOptions = {}): Promise<RegExpExecArray> {
    const wanted = typeof pattern === 'string' ? new RegExp(literal(pattern)) : pattern
    const said = typeof pattern === 'string' ? JSON.stringify(pattern) : String(pattern)
    return this.#await(wanted, said, options)
  }

  /**
   * Runs a line in the guest's shell, which must be waiting at its prompt: a Bourne shell, as
   * busybox and Debian have it. What the kernel says on the console meanwhile is in the output, too.
   * @throws WaitError when it does not end in time
   */
  async run(line: string, options: WaitOptions = {}): Promise<CommandResult> {
    const mark = `x${++this.#lines}n`
    // The quotes within the marks go when the shell reads them: the echo of the line has no mark.
    const quoted = `'${line.replaceAll("'", String.raw`'\''`)}'`
    this.type(`echo ${mark}''b; eval ${quoted}; echo ${mark}''e$?\n`)
    const started = performance.now()
    const said = `the end of ${JSON.stringify(line)}`
    await this.#await(new RegExp(`(?:^|\\n)${mark}b\\n`), said, options)
    const spent = performance.now() - started
    const left = { ...options, timeoutMs: this.#world.timeoutMs(options) - spent }
    const match = await this.#await(new RegExp(`^([^]*?)${mark}e(\\d+)\\n`), said, left)
    return { output: match[1] ?? '', status: Number(match[2]) }
  }

  async #await(wanted: RegExp, said: string, options: WaitOptions): Promise<RegExpExecArray> {
    this.#hasNews = true
    const find = () => {
      const { end } = this.#world
      if (!this.#hasNews && !end) return undefined
      this.#hasNews = false
      const match = this.#window.take(wanted)
      if (!match && end) throw this.#error('ended', said, `The domain has ended: ${endText(end)}.`)
      return match
    }
    const limit = this.#world.timeoutMs(options) / 1000
    return this.#world.wait(find, options, () =>
      this.#error('timeout', said, `It was waited for for ${limit.toFixed(limit < 1 ? 2 : 0)} s.`),
    )
  }

  #error(reason: WaitError['reason'], said: string, why: string): WaitError {
    const lines = this.lastLines(QUOTED_LINES)
    const quoted =
      lines.length === 0
        ? 'The console has shown nothing.'
        : ['The last lines of the console:', ...lines.map((line) => `  | ${line}`)].join('\n')
    const what = `${said} did not come on the console of "${this.#world.name}".`
    return new WaitError(reason, what, `${why} ${quoted}`, REMEDY)
  }
}

function endText({ reason, cause }: DomainEnd): string {
  return cause === undefined ? reason : `${reason}, ${cause}`
}

function literal(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&')
}
