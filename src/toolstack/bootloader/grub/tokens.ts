// Splits a grub.cfg into words and separators (GNU GRUB manual 2.06, section 6.1, "Basic syntax").

import type { Piece, Word } from './script.ts'

export type Token =
  | { readonly kind: 'word'; readonly word: Word; readonly line: number }
  /** A line's end or a semicolon; the end of the file is one as well. */
  | { readonly kind: 'separator' | 'open' | 'close'; readonly line: number }

const BLANK = /[ \t\r]/
/** Characters that end a word which is not quoted. */
const ENDS_WORD = /[ \t\r\n;{}|&<>]/
const VARIABLE = /\$(?:\{([A-Za-z0-9_.?#@*]+)\}|([A-Za-z_][A-Za-z0-9_]*|[0-9]+|[?#@*]))/y
/** In double quotes a backslash only quotes these. */
const ESCAPED_IN_QUOTES = /[$"\\\n]/

export function tokensOf(text: string): Token[] {
  return new Lexer(text).run()
}

class Lexer {
  readonly #text: string
  #at = 0
  #line = 1
  readonly #tokens: Token[] = []

  constructor(text: string) {
    this.#text = text
  }

  run(): Token[] {
    while (this.#at < this.#text.length) {
      const char = this.#text[this.#at] as string
      if (char === '\n' || char === ';') this.#punctuation('separator')
      else if (char === '{') this.#punctuation('open')
      else if (char === '}') this.#punctuation('close')
      else if (BLANK.test(char)) this.#at++
      else if (char === '#') this.#comment()
      // Pipes and redirections, which GRUB does not have either.
      else if (/[|&<>]/.test(char)) this.#operator()
      else this.#word()
    }
    this.#tokens.push({ kind: 'separator', line: this.#line })
    return this.#tokens
  }

  #punctuation(kind: 'separator' | 'open' | 'close'): void {
    this.#tokens.push({ kind, line: this.#line })
    if (this.#text[this.#at] === '\n') this.#line++
    this.#at++
  }

  #comment(): void {
    const end = this.#text.indexOf('\n', this.#at)
    this.#at = end < 0 ? this.#text.length : end
  }

  #operator(): void {
    const text = this.#text[this.#at++] as string
    const word: Word = [{ kind: 'text', text, isQuoted: false }]
    this.#tokens.push({ kind: 'word', word, line: this.#line })
  }

  #word(): void {
    const line = this.#line
    const word: Piece[] = []
    while (this.#at < this.#text.length) {
      const char = this.#text[this.#at] as string
      if (ENDS_WORD.test(char)) break
      if (char === "'") word.push(this.#literal())
      else if (char === '"') this.#quoted(word)
      else if (char === '\\') this.#escape(word, false)
      else if (char === '$') word.push(this.#variable(false))
      else word.push({ kind: 'text', text: this.#run(/[^ \t\r\n;{}|&<>'"\\$]+/y), isQuoted: false })
    }
    this.#tokens.push({ kind: 'word', word, line })
  }

  /** What stands in single quotes is meant as it is. A quote that does not end goes to the end. */
  #literal(): Piece {
    const end = this.#text.indexOf("'", this.#at + 1)
    const text = this.#text.slice(this.#at + 1, end < 0 ? undefined : end)
    this.#line += text.split('\n').length - 1
    this.#at = end < 0 ? this.#text.length : end + 1
    return { kind: 'text', text, isQuoted: true }
  }

  #quoted(word: Piece[]): void {
    this.#at++
    word.push({ kind: 'text', text: '', isQuoted: true })
    while (this.#at < this.#text.length) {
      const char = this.#text[this.#at] as string
      if (char === '"') {
        this.#at++
        return
      }
      if (char === '\\') this.#escape(word, true)
      else if (char === '$') word.push(this.#variable(true))
      else {
        const text = this.#run(/[^"\\$]+/y)
        this.#line += text.split('\n').length - 1
        word.push({ kind: 'text', text, isQuoted: true })
      }
    }
  }

  /** A backslash takes the meaning of the character behind it; a line's end goes with it. */
  #escape(word: Piece[], isInQuotes: boolean): void {
    const next = this.#text[this.#at + 1] ?? ''
    const isKept = isInQuotes && !ESCAPED_IN_QUOTES.test(next)
    if (next === '\n') this.#line++
    else word.push({ kind: 'text', text: isKept ? `\\${next}` : next, isQuoted: true })
    this.#at += 2
  }

  #variable(isQuoted: boolean): Piece {
    VARIABLE.lastIndex = this.#at
    const found = VARIABLE.exec(this.#text)
    this.#at += found ? found[0].length : 1
    const name = found?.[1] ?? found?.[2]
    return name === undefined
      ? { kind: 'text', text: '$', isQuoted }
      : { kind: 'variable', name, isQuoted }
  }

  #run(pattern: RegExp): string {
    pattern.lastIndex = this.#at
    const text = pattern.exec(this.#text)?.[0] ?? ''
    this.#at += text.length
    return text
  }
}
