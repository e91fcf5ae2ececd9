// The expressions of GRUB's command `test` and its other name `[` (GNU GRUB manual 2.06, section
// 16.3.77, "test"). What belongs together binds: not, then and, then or.

import type { FoundFile } from '../file-system.ts'

export type Find = (path: string) => FoundFile | undefined

const NUMBERS: Readonly<Record<string, (a: number, b: number) => boolean>> = {
  '-eq': (a, b) => a === b,
  '-ge': (a, b) => a >= b,
  '-gt': (a, b) => a > b,
  '-le': (a, b) => a <= b,
  '-lt': (a, b) => a < b,
  '-ne': (a, b) => a !== b,
}

const STRINGS: Readonly<Record<string, (a: string, b: string) => boolean>> = {
  '=': (a, b) => a === b,
  '==': (a, b) => a === b,
  '!=': (a, b) => a !== b,
  '<': (a, b) => a < b,
  '>': (a, b) => a > b,
  '<=': (a, b) => a <= b,
  '>=': (a, b) => a >= b,
}

const FILES: Readonly<Record<string, (file: FoundFile | undefined) => boolean>> = {
  '-d': (file) => file?.type === 'directory',
  '-e': (file) => file !== undefined,
  '-f': (file) => file !== undefined && file.type !== 'directory',
  '-s': (file) => file !== undefined && file.type === 'file' && file.size > 0,
}

/** Does the expression hold. One that makes no sense does not. */
export function evaluateTest(words: readonly string[], find: Find): boolean {
  return words.length > 0 && new Expression(words, find).or()
}

class Expression {
  readonly #words: readonly string[]
  readonly #find: Find
  #at = 0

  constructor(words: readonly string[], find: Find) {
    this.#words = words
    this.#find = find
  }

  or(): boolean {
    let holds = this.#and()
    while (this.#takes('-o')) holds = this.#and() || holds
    return holds
  }

  #and(): boolean {
    let holds = this.#term()
    // Two terms side by side are both meant.
    while (this.#takes('-a')) holds = this.#term() && holds
    return holds
  }

  #term(): boolean {
    let isNegated = false
    while (this.#takes('!')) isNegated = !isNegated
    return this.#primary() !== isNegated
  }

  #primary(): boolean {
    const [first = '', operator = '', second] = this.#words.slice(this.#at, this.#at + 3)
    if (second !== undefined) {
      const strings = Object.hasOwn(STRINGS, operator) ? STRINGS[operator] : undefined
      const numbers = Object.hasOwn(NUMBERS, operator) ? NUMBERS[operator] : undefined
      if (strings || numbers) this.#at += 3
      if (strings) return strings(first, second)
      if (numbers) return numbers(Number.parseInt(first, 10), Number.parseInt(second, 10))
    }
    if (this.#at + 1 < this.#words.length) {
      const file = Object.hasOwn(FILES, first) ? FILES[first] : undefined
      if (file || first === '-n' || first === '-z') this.#at += 2
      if (file) return file(this.#find(operator))
      if (first === '-n') return operator !== ''
      if (first === '-z') return operator === ''
    }
    if (this.#takes('(')) {
      const holds = this.or()
      this.#takes(')')
      return holds
    }
    this.#at++
    return first !== ''
  }

  #takes(word: string): boolean {
    if (this.#words[this.#at] !== word) return false
    this.#at++
    return true
  }
}
