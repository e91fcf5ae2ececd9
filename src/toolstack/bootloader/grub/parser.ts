// Parses a grub.cfg. Reserved words count where a command begins; braces hold the body of a function
// or what a command such as menuentry is given.

import { ImageError } from '../../../backends/block/storage.ts'
import { shownText } from '../shown-text.ts'
import type { Command, Word } from './script.ts'
import { type Token, tokensOf } from './tokens.ts'

/** Characters quoted of what makes no sense. */
const LONGEST_QUOTE = 40
/** Commands in commands: more is a mistake, or an attack on our stack. */
const DEEPEST = 64

/** @throws ImageError with the line that makes no sense */
export function parseGrubScript(text: string): Command[] {
  return new Parser(tokensOf(text)).run()
}

class Parser {
  readonly #tokens: readonly Token[]
  #at = 0
  #depth = 0

  constructor(tokens: readonly Token[]) {
    this.#tokens = tokens
  }

  run(): Command[] {
    const commands = this.#commands([])
    if (this.#peek()) throw this.#unexpected()
    return commands
  }

  /** Commands up to one of the reserved words, a closing brace or the end. */
  #commands(ends: readonly string[]): Command[] {
    if (++this.#depth > DEEPEST) throw this.#wrong('goes too deep')
    const commands: Command[] = []
    for (;;) {
      while (this.#peek()?.kind === 'separator') this.#at++
      const token = this.#peek()
      if (!token || token.kind === 'close' || ends.includes(reservedWord(token))) break
      commands.push(this.#command(token))
    }
    this.#depth--
    return commands
  }

  #command(token: Token): Command {
    switch (reservedWord(token)) {
      case 'if':
        return this.#if()
      case 'while':
      case 'until':
        return this.#while(reservedWord(token) === 'until')
      case 'for':
        return this.#for()
      case 'function':
        return this.#function()
      default:
        return this.#simple()
    }
  }

  #if(): Command {
    const branches: { condition: Command[]; body: Command[] }[] = []
    let otherwise: Command[] = []
    this.#take('if')
    for (;;) {
      const condition = this.#commands(['then'])
      this.#take('then')
      const body = this.#commands(['elif', 'else', 'fi'])
      branches.push({ condition, body })
      if (!this.#takes('elif')) break
    }
    if (this.#takes('else')) otherwise = this.#commands(['fi'])
    this.#take('fi')
    return { kind: 'if', branches, otherwise }
  }

  #while(isUntil: boolean): Command {
    this.#at++
    const condition = this.#commands(['do'])
    return { kind: 'while', isUntil, condition, body: this.#loopBody() }
  }

  #for(): Command {
    this.#at++
    const name = plainText(this.#peek())
    this.#at++
    this.#take('in')
    const words = this.#words()
    while (this.#peek()?.kind === 'separator') this.#at++
    return { kind: 'for', name, words, body: this.#loopBody() }
  }

  #loopBody(): Command[] {
    this.#take('do')
    const body = this.#commands(['done'])
    this.#take('done')
    return body
  }

  #function(): Command {
    this.#at++
    const name = plainText(this.#peek())
    this.#at++
    while (this.#peek()?.kind === 'separator') this.#at++
    return { kind: 'function', name, body: this.#block() }
  }

  #simple(): Command {
    const words = this.#words()
    if (words.length === 0) throw this.#unexpected()
    if (this.#peek()?.kind !== 'open') return { kind: 'simple', words }
    return { kind: 'simple', words, block: this.#block() }
  }

  #words(): Word[] {
    const words: Word[] = []
    for (let token = this.#peek(); token?.kind === 'word'; token = this.#peek()) {
      words.push(token.word)
      this.#at++
    }
    return words
  }

  #block(): Command[] {
    if (this.#peek()?.kind !== 'open') throw this.#unexpected()
    this.#at++
    const commands = this.#commands([])
    if (this.#peek()?.kind !== 'close') throw this.#unexpected()
    this.#at++
    return commands
  }

  #take(word: string): void {
    if (!this.#takes(word)) throw this.#wrong(`has no "${word}" where one belongs`)
  }

  #takes(word: string): boolean {
    const token = this.#peek()
    if (!token || reservedWord(token) !== word) return false
    this.#at++
    return true
  }

  #peek(): Token | undefined {
    return this.#tokens[this.#at]
  }

  #unexpected(): ImageError {
    const token = this.#peek()
    if (!token) return this.#wrong('is missing: a brace is not closed')
    const text = shownText(plainText(token), LONGEST_QUOTE)
    const what = { word: `"${text}"`, open: '"{"', close: '"}"', separator: 'its end' }[token.kind]
    return this.#wrong(`has ${what} where it does not belong`)
  }

  #wrong(how: string): ImageError {
    const token = this.#peek() ?? this.#tokens.at(-1)
    return new ImageError(`Line ${token?.line ?? 1} ${how}.`)
  }
}

/** What a token is if it stands as it is, neither quoted nor put together. */
function reservedWord(token: Token): string {
  if (token.kind !== 'word' || token.word.length !== 1) return ''
  const [piece] = token.word
  return piece?.kind === 'text' && !piece.isQuoted ? piece.text : ''
}

function plainText(token: Token | undefined): string {
  if (token?.kind !== 'word') return ''
  return token.word.map((piece) => (piece.kind === 'text' ? piece.text : `$${piece.name}`)).join('')
}
