// The demo guest's shell, driven from outside: types a line, waits for the next prompt, and gives
// what was shown. Waiting costs nothing, so that another side can be measured meanwhile.

import { ConsoleText } from '../../src/node/console-text.ts'
import { DEMO_PROMPT } from '../../src/toolstack/image/demo-ramdisk.ts'

/** A guest that shows no prompt for so long hangs. */
const SILENCE_MS = 5 * 60_000

export class Shell {
  readonly #send: (bytes: Uint8Array) => void
  readonly #text = new ConsoleText()
  #shown = ''
  #look: () => void = () => {}

  /** `send` types into the guest's console. */
  constructor(send: (bytes: Uint8Array) => void) {
    this.#send = send
  }

  /** The guest has printed this. */
  add(bytes: Uint8Array): void {
    this.#shown += this.#text.add(bytes)
    this.#look()
  }

  /** Waits until the guest has come up. */
  async ready(): Promise<void> {
    await this.#until(() => this.#shown.endsWith(DEMO_PROMPT))
  }

  /**
   * Runs a line in the guest; what it printed.
   * @throws Error if the guest hangs
   */
  async run(line: string): Promise<string> {
    this.#shown = ''
    this.#send(new TextEncoder().encode(`${line}\r`))
    // The echo of the line first: it may hold anything.
    await this.#until(() => this.#shown.includes('\n') && this.#shown.endsWith(DEMO_PROMPT))
    return this.#shown.slice(this.#shown.indexOf('\n') + 1, -DEMO_PROMPT.length)
  }

  async #until(isThere: () => boolean): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const hangs = () => reject(new Error(`The guest hangs:\n${this.#shown.slice(-2000)}`))
    const timer = setTimeout(hangs, SILENCE_MS)
    this.#look = () => {
      if (isThere()) resolve()
    }
    this.#look()
    try {
      await promise
    } finally {
      clearTimeout(timer)
      this.#look = () => {}
    }
  }
}
