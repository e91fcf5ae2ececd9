// Parses a guest file into its settings, by the grammar of xl.cfg(5): KEY = VALUE, ended by a line
// or a semicolon; a value is a string, a number or a list of values, which may go over lines and
// end with a comma. `+=` adds to what an earlier setting of the key said.

import { GuestFileError } from './diagnostic.ts'
import { type Token, type TokenKind, tokensOf } from './lexer.ts'
import type { Place, Source } from './source.ts'

export type Value =
  /** A string or a number: xl reads a key's number from either. */
  | {
      readonly kind: 'atom'
      readonly text: string
      readonly isQuoted: boolean
      readonly place: Place
    }
  | { readonly kind: 'list'; readonly items: readonly Value[]; readonly place: Place }

export interface Setting {
  readonly key: string
  readonly value: Value
  /** Where the key stands. */
  readonly place: Place
}

/** Lists in lists in lists: more is a mistake, or an attack on our stack. */
const DEEPEST_LIST = 16

/**
 * The settings of several sources, one after the other: where a key is set again the last one
 * holds, which is left to the reader.
 * @throws GuestFileError at the first thing that does not belong there
 */
export function parseSettings(sources: readonly Source[]): Setting[] {
  const settings: Setting[] = []
  for (const source of sources) new Parser(source, settings).run()
  return settings
}

class Parser {
  readonly #tokens: readonly Token[]
  readonly #settings: Setting[]
  #next = 0

  constructor(source: Source, settings: Setting[]) {
    this.#tokens = tokensOf(source)
    this.#settings = settings
  }

  run(): void {
    while (this.#peek().kind !== 'end') {
      if (this.#takes('newline') || this.#takes(';')) continue
      this.#setting()
      if (this.#peek().kind === 'end' || this.#takes('newline') || this.#takes(';')) continue
      throw this.#unexpected('a new line or ";" ends a setting')
    }
  }

  #setting(): void {
    const key = this.#peek()
    if (key.kind !== 'word') throw this.#unexpected('a setting is KEY = VALUE')
    this.#next++
    const operator = this.#peek()
    if (operator.kind !== '=' && operator.kind !== '+=') {
      throw this.#unexpected(`"=" stands after a key`)
    }
    this.#next++
    const value = this.#value(0)
    const earlier = this.#settings.findLast((setting) => setting.key === key.text)?.value
    const whole = operator.kind === '+=' && earlier ? joined(earlier, value) : value
    this.#settings.push({ key: key.text, value: whole, place: key.place })
  }

  #value(depth: number): Value {
    const token = this.#peek()
    const { kind, text, place } = token
    if (kind === 'string' || kind === 'number') {
      this.#next++
      return { kind: 'atom', text, isQuoted: kind === 'string', place }
    }
    if (kind === '[') return this.#list(depth)
    const isEmpty = kind === 'newline' || kind === 'end' || kind === ';'
    if (kind === 'word') throw this.#unexpected(`a string stands in quotes: "${text}"`)
    throw this.#unexpected(isEmpty ? 'the value is missing' : 'a value is a string, number or list')
  }

  #list(depth: number): Value {
    const open = this.#tokens[this.#next++] as Token
    if (depth >= DEEPEST_LIST) {
      throw new GuestFileError({ place: open.place, message: 'Lists are nested too deep here' })
    }
    const items: Value[] = []
    for (;;) {
      this.#skipLines()
      if (this.#peek().kind === ']') break
      if (items.length > 0 && !this.#takes(',')) {
        if (this.#peek().kind === 'end') throw this.#unclosed(open)
        throw this.#unexpected('"," stands between the values of a list, "]" ends it')
      }
      this.#skipLines()
      if (this.#peek().kind === ']') break
      if (this.#peek().kind === 'end') throw this.#unclosed(open)
      items.push(this.#value(depth + 1))
    }
    const { place } = this.#tokens[this.#next++] as Token
    return { kind: 'list', items, place: { ...open.place, end: place.end } }
  }

  #unclosed({ place }: Token): GuestFileError {
    return new GuestFileError({ place, message: 'The list does not end', hint: '"]" is missing' })
  }

  #skipLines(): void {
    while (this.#takes('newline'));
  }

  #takes(kind: TokenKind): boolean {
    if (this.#peek().kind !== kind) return false
    this.#next++
    return true
  }

  #peek(): Token {
    // The last token is `end`, and nobody takes it.
    return this.#tokens[this.#next] as Token
  }

  #unexpected(hint: string): GuestFileError {
    const { kind, text, place } = this.#peek()
    const what = { newline: 'The line ends too early', end: 'The file ends too early' }
    const message =
      kind === 'newline' || kind === 'end'
        ? what[kind]
        : `${kind === 'string' ? 'The string' : `"${text}"`} has no place here`
    return new GuestFileError({ place, message, hint })
  }
}

/** The values of both lists; of two single values the texts, one after the other. */
function joined(earlier: Value, added: Value): Value {
  const { place } = added
  if (earlier.kind === 'atom' && added.kind === 'atom') {
    return { kind: 'atom', text: earlier.text + added.text, isQuoted: true, place }
  }
  if (earlier.kind === 'list' && added.kind === 'list') {
    return { kind: 'list', items: [...earlier.items, ...added.items], place }
  }
  const what = (value: Value) => (value.kind === 'list' ? 'a list' : 'a single value')
  throw new GuestFileError({
    place,
    message: `${capital(what(added))} cannot be added to ${what(earlier)}`,
  })
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1)
}
