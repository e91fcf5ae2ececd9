// Reads the settings of a guest file by key and type. A value of the wrong type, or one that a key
// cannot have, is an error at its place. As with xl, a number may stand in quotes.

import { didYouMean } from '../../base/did-you-mean.ts'
import { GuestFileError } from './diagnostic.ts'
import type { Setting, Value } from './parser.ts'

export type Atom = Extract<Value, { kind: 'atom' }>

const NUMBER = /^[ \t]*[+-]?(0x[0-9a-f]+|0[0-7]*|[1-9][0-9]*)$/i

/** The settings of a guest file; of several of one key the last one holds. */
export class Settings {
  readonly #byKey = new Map<string, Setting>()

  constructor(settings: readonly Setting[]) {
    for (const setting of settings) this.#byKey.set(setting.key, setting)
  }

  /** The settings that hold, in the order in which their keys came first. */
  all(): Iterable<Setting> {
    return this.#byKey.values()
  }

  get(key: string): Setting | undefined {
    return this.#byKey.get(key)
  }

  string(key: string): string | undefined {
    return this.#atom(key)?.text
  }

  /** A whole number within bounds, both allowed. */
  number(key: string, least: number, most: number): number | undefined {
    const atom = this.#atom(key)
    if (!atom) return undefined
    const value = numberOf(atom)
    if (value >= least && value <= most) return value
    throw new GuestFileError({
      place: atom.place,
      message: `${key} cannot be ${atom.text}`,
      hint: `it is ${least} to ${most}`,
    })
  }

  choice<T extends string>(key: string, choices: readonly T[]): T | undefined {
    const atom = this.#atom(key)
    return atom && this.#choose(key, atom, choices)
  }

  /** A list of such strings; undefined if it is not there or empty. */
  choices<T extends string>(key: string, choices: readonly T[]): readonly T[] | undefined {
    const atoms = this.strings(key)
    return atoms.length > 0 ? atoms.map((atom) => this.#choose(key, atom, choices)) : undefined
  }

  #choose<T extends string>(key: string, atom: Atom, choices: readonly T[]): T {
    const found = choices.find((choice) => choice === atom.text)
    if (found !== undefined) return found
    const near = didYouMean(atom.text, choices)
    throw new GuestFileError({
      place: atom.place,
      message: `${key} cannot be "${atom.text}"`,
      hint: near ? `did you mean "${near}"?` : `it is one of ${choices.join(', ')}`,
    })
  }

  /** The strings of a list. */
  strings(key: string): readonly Atom[] {
    const setting = this.#byKey.get(key)
    if (!setting) return []
    const { value } = setting
    if (value.kind !== 'list') {
      throw new GuestFileError({
        place: value.place,
        message: `${key} is a list`,
        hint: 'put it in brackets: [ … ]',
      })
    }
    return value.items.map((item) => {
      if (item.kind === 'atom') return item
      const message = `${key} is a list of strings, not of lists`
      throw new GuestFileError({ place: item.place, message })
    })
  }

  #atom(key: string): Atom | undefined {
    const value = this.#byKey.get(key)?.value
    if (value === undefined || value.kind === 'atom') return value
    const message = `${key} is a single value, not a list`
    throw new GuestFileError({ place: value.place, message, hint: 'leave out the brackets' })
  }
}

/**
 * A decimal, octal (0…) or hexadecimal (0x…) number, as strtol reads it.
 * @throws GuestFileError if it is none
 */
function numberOf({ text, place }: Atom): number {
  if (!NUMBER.test(text)) {
    const hint = /^[0-9]+[a-z]+$/i.test(text) ? 'without a unit' : undefined
    throw new GuestFileError({ place, message: `"${text}" is no number`, hint })
  }
  const digits = text.trim().replace(/^[+-]/, '')
  const isOctal = /^0[0-7]+$/.test(digits)
  const value = isOctal ? Number.parseInt(digits, 8) : Number(digits)
  return text.trim().startsWith('-') ? -value : value
}

/** Does a value ask for nothing: 0, an empty string, an empty list. */
export function asksForNothing(value: Value): boolean {
  if (value.kind === 'list') return value.items.length === 0
  return value.text === '' || /^[ \t]*(0x)?0+$/i.test(value.text)
}
