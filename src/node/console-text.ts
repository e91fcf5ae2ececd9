// A guest's console as text that can be searched: UTF-8 decoded across pieces, terminal escape
// sequences and carriage returns taken out (ECMA-48: CSI, OSC and two-byte sequences).

const ESCAPES =
  /\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[ -/]+[0-~]|[0-Z\\^-~])|\r/g
const UNFINISHED_ESCAPE = /\x1b(?:\[[0-?]*[ -/]*|\][^\x07\x1b]*\x1b?|[ -/]*)?$/
/** A sequence that is longer than this without an end is none. */
const LONGEST_ESCAPE = 256

/** Takes escape sequences and carriage returns out of a whole text. */
export function plainText(text: string): string {
  return text.replace(ESCAPES, '')
}

/** The last `count` lines that are not blank. */
export function lastLines(text: string, count: number): string[] {
  const lines = plainText(text).split('\n')
  return lines.filter((line) => line.trim() !== '').slice(-count)
}

/** Makes plain text of a console's bytes, piece by piece. */
export class ConsoleText {
  readonly #decoder = new TextDecoder()
  #rest = ''

  /** The text that `bytes` complete; an unfinished character or sequence waits for the next. */
  add(bytes: Uint8Array): string {
    const text = this.#rest + this.#decoder.decode(bytes, { stream: true })
    const cut = text.search(UNFINISHED_ESCAPE)
    const isOpen = cut >= 0 && text.length - cut < LONGEST_ESCAPE
    this.#rest = isOpen ? text.slice(cut) : ''
    return plainText(isOpen ? text.slice(0, cut) : text)
  }
}
