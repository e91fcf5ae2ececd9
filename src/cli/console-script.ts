// A conversation with a guest's console: texts to wait for and texts to type, in the order given.
// The script is through when its last step is done; a script that ends with something typed has
// no verdict of its own, the guest's end gives it.

import { ConsoleWindow } from '../node/console-window.ts'

export type ScriptStep =
  | { readonly kind: 'expect'; readonly pattern: RegExp }
  | { readonly kind: 'send'; readonly text: string }

/**
 * How much of the text since the last match is searched, in characters: so much may lie between
 * the start and the end of a match. It bounds the work for a guest that talks for hours.
 */
const WINDOW = 64 * 1024

interface ScriptEvents {
  readonly send: (text: string) => void
  /** Called once, when a script that ends with an expected text has seen it. */
  readonly satisfied: () => void
}

export class ConsoleScript {
  readonly #steps: readonly ScriptStep[]
  readonly #events: ScriptEvents
  readonly #window = new ConsoleWindow(WINDOW)
  #next = 0

  constructor(steps: readonly ScriptStep[], events: ScriptEvents) {
    this.#steps = steps
    this.#events = events
  }

  /** Types what stands before the first expected text. */
  begin(): void {
    this.#advance()
  }

  /** What is waited for now. */
  get awaited(): RegExp | undefined {
    const step = this.#steps[this.#next]
    return step?.kind === 'expect' ? step.pattern : undefined
  }

  /** Goes on with what the console has written. */
  feed(bytes: Uint8Array): void {
    this.#window.add(bytes)
    if (this.awaited) this.#advance()
  }

  #advance(): void {
    for (let step = this.#steps[this.#next]; step; step = this.#steps[this.#next]) {
      if (step.kind === 'send') this.#events.send(step.text)
      else {
        if (!this.#window.take(step.pattern)) return
        if (this.#next === this.#steps.length - 1) this.#events.satisfied()
      }
      this.#next++
    }
  }
}
