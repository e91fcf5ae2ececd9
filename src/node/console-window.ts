// The part of a console's text in which a pattern is looked for: what has come since the last match,
// bounded, so that a guest that talks for hours costs no more and more.

import { ConsoleText } from './console-text.ts'

/** They are joined when there are so many: a text of single characters takes thirty times its size. */
const MOST_PIECES = 1024

export class ConsoleWindow {
  readonly #console = new ConsoleText()
  readonly #size: number
  #pieces: string[] = []

  /** `size`: so many characters may lie between the start and the end of a match. */
  constructor(size: number) {
    this.#size = size
  }

  /** Takes what the console has written; whether that is any text. */
  add(bytes: Uint8Array): boolean {
    const more = this.#console.add(bytes)
    if (more === '') return false
    this.#pieces.push(more)
    if (this.#pieces.length >= MOST_PIECES) this.#pieces = [this.#text()]
    return true
  }

  /** The first match; it and all before it are then behind us. */
  take(pattern: RegExp): RegExpExecArray | undefined {
    const text = this.#text()
    // A global or sticky one would begin where it ended in an earlier text.
    pattern.lastIndex = 0
    const match = pattern.exec(text)
    this.#pieces = [match ? text.slice(match.index + match[0].length) : text]
    return match ?? undefined
  }

  #text(): string {
    return this.#pieces.join('').slice(-this.#size)
  }
}
