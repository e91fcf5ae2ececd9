// Splits a guest file into tokens, as libxlu's scanner does: words, numbers, strings in either
// quote, brackets, separators, comments (xl.cfg(5), SYNTAX). A line ends where it ends: strings do
// not go over lines; lists do, which is the parser's doing.

import { GuestFileError } from './diagnostic.ts'
import type { Place, Source } from './source.ts'

export type TokenKind =
  | 'word'
  | 'number'
  | 'string'
  | '='
  | '+='
  | '['
  | ']'
  | ','
  | ';'
  | 'newline'
  | 'end'

export interface Token {
  readonly kind: TokenKind
  readonly place: Place
  /** What a string says; for the others the text as it stands. */
  readonly text: string
}

const PUNCTUATION = new Set(['=', '[', ']', ',', ';'])
const ESCAPES: Readonly<Record<string, string>> = {
  '"': '"',
  "'": "'",
  '\\': '\\',
  a: '\x07',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
  v: '\v',
}

/**
 * The tokens of a source, the last one of kind `end`.
 * @throws GuestFileError where no token can begin
 */
export function tokensOf(source: Source): Token[] {
  const { text } = source
  const tokens: Token[] = []
  const push = (kind: TokenKind, start: number, end: number, value = text.slice(start, end)) => {
    tokens.push({ kind, text: value, place: { source, start, end } })
    return end
  }
  let at = 0
  while (at < text.length) {
    const char = text.charAt(at)
    if (char === ' ' || char === '\t' || char === '\r') at++
    else if (char === '\n') at = push('newline', at, at + 1)
    else if (char === '#') at = endOfLine(text, at)
    else if (char === '"' || char === "'") at = pushString(source, at, push)
    else if (text.startsWith('+=', at)) at = push('+=', at, at + 2)
    else if (PUNCTUATION.has(char)) at = push(char as TokenKind, at, at + 1)
    else at = pushWord(source, at, push)
  }
  push('end', at, at)
  return tokens
}

type Push = (kind: TokenKind, start: number, end: number, value?: string) => number

function pushWord(source: Source, start: number, push: Push): number {
  const rest = source.text.slice(start)
  const number = /^[0-9][0-9a-fx]*/.exec(rest)?.[0]
  if (number !== undefined) return push('number', start, start + number.length)
  const word = /^[a-z][_0-9a-z]*/.exec(rest)?.[0]
  if (word !== undefined) return push('word', start, start + word.length)
  const strange = /^[^\s=,;[\]#'"]+/.exec(rest)?.[0] ?? rest.charAt(0)
  const place = { source, start, end: start + strange.length }
  const lower = strange.toLowerCase()
  const hint = /\d/.test(source.text.charAt(start - 1))
    ? 'a number has no unit here'
    : /^[a-z][_0-9a-z]*$/.test(lower)
      ? `keys are written in lower case: ${lower}`
      : 'a string stands in quotes'
  throw new GuestFileError({ place, message: `"${strange}" has no place here`, hint })
}

function pushString(source: Source, start: number, push: Push): number {
  const { text } = source
  const quote = text.charAt(start)
  const stop = endOfLine(text, start)
  let value = ''
  for (let at = start + 1; at < stop; ) {
    const char = text.charAt(at)
    if (char === quote) return push('string', start, at + 1, value)
    if (char === '\\' && at + 1 === stop) break
    const [piece, length] = char === '\\' ? escape(source, at) : [char, 1]
    value += piece
    at += length
  }
  const hint = `the closing ${quote} is missing; a string cannot go over the end of its line`
  throw new GuestFileError({
    place: { source, start, end: stop },
    message: 'The string does not end',
    hint,
  })
}

/** What the backslash at `at` stands for, and how many characters it takes. */
function escape(source: Source, at: number): readonly [string, number] {
  const rest = source.text.slice(at + 1, at + 4)
  const named = ESCAPES[rest.charAt(0)]
  if (named !== undefined) return [named, 2]
  const hex = /^x([0-9a-fA-F]{2})/.exec(rest)?.[1]
  if (hex !== undefined) return [String.fromCharCode(Number.parseInt(hex, 16)), 4]
  const octal = /^[0-7]{1,3}/.exec(rest)?.[0]
  if (octal !== undefined) {
    return [String.fromCharCode(Number.parseInt(octal, 8) & 0xff), 1 + octal.length]
  }
  throw new GuestFileError({
    place: { source, start: at, end: at + 2 },
    message: `"\\${rest.charAt(0)}" is no escape`,
    hint: 'write \\\\ for a backslash',
  })
}

function endOfLine(text: string, from: number): number {
  const end = text.indexOf('\n', from)
  return end < 0 ? text.length : end
}
