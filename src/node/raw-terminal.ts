// A terminal whose keys go to a guest one by one. It is put back in order on every way out: by
// leave(), at the process's exit (an uncaught error included), and around a stop (SIGTSTP from
// outside, then SIGCONT). Left out: SIGKILL, after which nobody can.

/** The part of a terminal's input stream that is used. */
export interface TerminalInput {
  setRawMode?(raw: boolean): unknown
}

/** The part of `process` that is used. */
export interface TerminalEvents {
  on(event: 'exit' | 'SIGCONT', listener: () => void): unknown
  off(event: 'exit' | 'SIGCONT', listener: () => void): unknown
}

export class RawTerminal {
  readonly #input: TerminalInput
  readonly #events: TerminalEvents
  readonly #leave = () => this.leave()
  readonly #resume = () => this.#setAgain()
  #isRaw = false

  constructor(input: TerminalInput, events: TerminalEvents) {
    this.#input = input
    this.#events = events
  }

  enter(): void {
    if (this.#isRaw) return
    this.#isRaw = true
    this.#events.on('exit', this.#leave)
    this.#events.on('SIGCONT', this.#resume)
    this.#input.setRawMode?.(true)
  }

  /** Puts the terminal back; may be called again. */
  leave(): void {
    if (!this.#isRaw) return
    this.#isRaw = false
    this.#events.off('exit', this.#leave)
    this.#events.off('SIGCONT', this.#resume)
    this.#input.setRawMode?.(false)
  }

  /** The shell has put the terminal into its own mode meanwhile, which Node does not know. */
  #setAgain(): void {
    this.#input.setRawMode?.(false)
    this.#input.setRawMode?.(true)
  }
}
