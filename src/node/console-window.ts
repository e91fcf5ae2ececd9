// The part of a console's text in which a pattern is looked for: what has come since the last match,
// bounded, so that a guest that talks for hours costs no more and more.

import { ConsoleText } from './console-text.ts'

export class ConsoleWindow {
  readonly #console = new ConsoleText()
  readonly #size: number
  #text = ''

  /** `size`: so many characters may lie between the start and the end of a match. */
  constructor(size: number) {
    this.#size = size
  }

  /** Takes what the console has written; whether that is any text. */
  add(bytes: Uint8Array): boolean {
    const more = this.#console.add(bytes)
    this.#text = (this.#text + more).slice(-this.#size)
    return more !== ''
  }

  /** The first match; it and all before it are then behind us. */
  take(pattern: RegExp): RegExpExecArray | undefined {
    // A global or sticky one would begin where it ended in an earlier text.
    pattern.lastIndex = 0
    const match = pattern.exec(this.#text)
    if (!match) return undefined
    this.#text = this.#text.slice(match.index + match[0].length)
    return match
  }
}
