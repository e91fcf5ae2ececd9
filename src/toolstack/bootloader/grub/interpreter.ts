// Executes a grub.cfg as GRUB does (GNU GRUB manual 2.06, chapters 6, 15 and 16): variables, functions,
// conditions and loops. The commands are those that have to do with finding a kernel; those that load
// modules or change the screen succeed and do nothing, others fail, as an unknown command does.

import { ImageError } from '../../../backends/block/storage.ts'
import type { FilePlace, VolumeSet } from '../volumes.ts'
import type { Command, Word } from './script.ts'

/** Commands that one configuration may execute: more than any needs. Long texts count as several. */
const MOST_STEPS = 200_000
const CHARACTERS_PER_STEP = 100
/** Functions, sourced files and words may grow each other. */
const MOST_DEPTH = 50
const MOST_TEXT = 2 ** 20

/** A command: its arguments, the braces behind it, and whether it succeeds. */
export type Builtin = (
  machine: Interpreter,
  args: readonly string[],
  block: readonly Command[] | undefined,
) => boolean

/** What the entry that is executed has asked to load. */
export interface Loaded {
  kernel?: { readonly place: FilePlace; readonly args: readonly string[] }
  ramdisks: readonly FilePlace[]
  /** A command that starts something else, such as `chainloader`. */
  other?: string
}

export interface MenuItem {
  readonly title: string
  readonly id: string | undefined
  /** Those of a submenu, once it has been looked into. */
  readonly items?: MenuItem[]
  readonly body: readonly Command[]
  readonly args: readonly string[]
}

export class Interpreter {
  readonly volumes: VolumeSet
  readonly variables: Map<string, string>
  readonly builtins: Readonly<Record<string, Builtin>>
  /** Where menu entries go. */
  items: MenuItem[] = []
  loaded: Loaded = { ramdisks: [] }
  readonly #functions = new Map<string, readonly Command[]>()
  #arguments: readonly string[] = []
  #status = true
  #steps = 0
  #depth = 0

  constructor(
    volumes: VolumeSet,
    variables: ReadonlyMap<string, string>,
    builtins: Readonly<Record<string, Builtin>>,
  ) {
    this.volumes = volumes
    this.variables = new Map(variables)
    this.builtins = builtins
  }

  get(name: string): string {
    return this.variables.get(name) ?? ''
  }

  /** The file that a path means now. */
  place(path: string): FilePlace {
    return this.volumes.place(path, this.get('root'))
  }

  /**
   * Executes commands.
   * @throws ImageError if it takes more than it may
   */
  run(commands: readonly Command[]): boolean {
    if (++this.#depth > MOST_DEPTH) throw new ImageError('Its boot configuration goes too deep.')
    for (const command of commands) this.#status = this.#command(command)
    this.#depth--
    return this.#status
  }

  /** Executes the body of a function or menu entry with its arguments. */
  call(body: readonly Command[], args: readonly string[]): boolean {
    const outer = this.#arguments
    this.#arguments = args
    const status = this.run(body)
    this.#arguments = outer
    return status
  }

  /**
   * Notes that a text of so many characters is worked on.
   * @throws ImageError if all took more than it may
   */
  spend(characters: number): void {
    this.#steps += 1 + characters / CHARACTERS_PER_STEP
    if (this.#steps <= MOST_STEPS) return
    throw new ImageError('Its boot configuration never comes to an end.')
  }

  #command(command: Command): boolean {
    this.spend(0)
    switch (command.kind) {
      case 'simple':
        return this.#simple(command.words, command.block)
      case 'if': {
        const branch = command.branches.find(({ condition }) => this.run(condition))
        return this.run(branch?.body ?? command.otherwise)
      }
      case 'while':
        while (this.run(command.condition) !== command.isUntil) {
          this.spend(0)
          this.run(command.body)
        }
        return true
      case 'for':
        for (const value of this.#expand(command.words)) {
          this.spend(0)
          this.variables.set(command.name, value)
          this.run(command.body)
        }
        return true
      case 'function':
        this.#functions.set(command.name, command.body)
        return true
    }
  }

  #simple(words: readonly Word[], block: readonly Command[] | undefined): boolean {
    const [name, ...args] = this.#expand(words)
    if (name === undefined) return true
    if (name === '!') return !this.#named(args[0] ?? '', args.slice(1), block)
    return this.#named(name, args, block)
  }

  #named(name: string, args: readonly string[], block: readonly Command[] | undefined): boolean {
    const body = this.#functions.get(name)
    if (body) return this.call(body, args)
    const builtin = Object.hasOwn(this.builtins, name) ? this.builtins[name] : undefined
    if (builtin) return builtin(this, args, block)
    const [, variable, value] = /^([A-Za-z_][A-Za-z0-9_]*)=(.*)$/s.exec(name) ?? []
    if (variable === undefined || value === undefined) return false
    this.variables.set(variable, value)
    return true
  }

  /** What words come to: variables that are not quoted are split at blanks, and may vanish. */
  #expand(words: readonly Word[]): string[] {
    const result: string[] = []
    let length = 0
    for (const word of words) {
      const parts: string[] = []
      let isOpen = false
      const add = (text: string) => {
        if (isOpen) parts.push(`${parts.pop() ?? ''}${text}`)
        else parts.push(text)
        isOpen = true
        length += text.length
      }
      for (const piece of word) {
        if (piece.kind === 'text') add(piece.text)
        else if (piece.isQuoted) add(this.#variable(piece.name))
        else {
          for (const part of this.#variable(piece.name).split(/(\s+)/)) {
            if (/^\s/.test(part)) isOpen = false
            else if (part !== '') add(part)
          }
        }
      }
      if (length > MOST_TEXT) throw new ImageError('Its boot configuration makes words too long.')
      result.push(...parts)
    }
    this.spend(length)
    return result
  }

  #variable(name: string): string {
    if (name === '?') return this.#status ? '0' : '1'
    if (name === '#') return String(this.#arguments.length)
    if (name === '@' || name === '*') return this.#arguments.join(' ')
    if (/^\d+$/.test(name)) return this.#arguments[Number(name) - 1] ?? ''
    return this.get(name)
  }
}
