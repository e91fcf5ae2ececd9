// Parses the arguments of a verb by its table of options. Node's util.parseArgs splits them; the
// checks are ours, since its messages know neither our remedies nor our spelling help.

import { parseArgs } from 'node:util'
import { Bug, UserError } from '../base/errors.ts'
import { didYouMean } from '../base/did-you-mean.ts'
import type { OptionDefinition, Verb } from './verb.ts'
import { ABSENT_FLAGS } from './xl-absent.ts'

/** The command was called wrongly; ends with status 2. */
export class UsageError extends UserError {}

/** Every verb has it. */
export const HELP_OPTION: OptionDefinition = {
  name: 'help',
  short: 'h',
  summary: 'show this help',
}

interface Given {
  readonly name: string
  readonly value: string
}

/** What was given on the command line, checked against the verb's table. */
export class Arguments {
  readonly operands: readonly string[]
  /** The options in the order given. */
  readonly inOrder: readonly Given[]
  readonly #verb: Verb

  constructor(verb: Verb, operands: readonly string[], inOrder: readonly Given[]) {
    this.#verb = verb
    this.operands = operands
    this.inOrder = inOrder
  }

  /** The value of an option; the last one if it was given several times. */
  text(name: string): string | undefined {
    if (!allOptions(this.#verb).some((option) => option.name === name)) {
      throw new Bug(`${this.#verb.name} has no option ${name}`)
    }
    return this.inOrder.findLast((given) => given.name === name)?.value
  }

  /** All values of an option that may be given several times, in their order. */
  texts(name: string): string[] {
    return this.inOrder.filter((given) => given.name === name).map(({ value }) => value)
  }

  flag(name: string): boolean {
    return this.text(name) !== undefined
  }

  /** How often an option was given. */
  count(name: string): number {
    return this.inOrder.filter((given) => given.name === name).length
  }

  number(name: string): number | undefined {
    const text = this.text(name)
    return text === undefined ? undefined : Number(text)
  }
}

function allOptions(verb: Verb): readonly OptionDefinition[] {
  return [...verb.options, HELP_OPTION]
}

/**
 * Parses what follows the verb.
 * @throws UsageError
 */
export function parseArguments(verb: Verb, args: readonly string[]): Arguments {
  const options = allOptions(verb)
  const { tokens } = parseArgs({
    args: [...args],
    strict: false,
    tokens: true,
    allowPositionals: true,
    options: Object.fromEntries(
      options.map(({ name, short, value }) => [
        name,
        { type: value ? ('string' as const) : ('boolean' as const), ...(short && { short }) },
      ]),
    ),
  })
  const operands: string[] = []
  const inOrder: Given[] = []
  for (const token of tokens) {
    if (token.kind === 'positional') operands.push(token.value)
    if (token.kind !== 'option') continue
    const option = options.find(({ name }) => name === token.name)
    if (!option) throw unknownOption(verb, token.rawName, options)
    inOrder.push({ name: option.name, value: checkedValue(verb, option, token, options) })
  }
  const parsed = new Arguments(verb, operands, inOrder)
  if (!parsed.flag('help')) checkComplete(verb, parsed)
  return parsed
}

function checkComplete(verb: Verb, parsed: Arguments): void {
  const missing = verb.options.find(({ name, required }) => required && !parsed.flag(name))
  if (missing) {
    throw usage(
      verb,
      `"${verb.name}" needs --${missing.name}.`,
      `--${missing.name} ${missing.value} is ${missing.summary}.`,
    )
  }
  if (parsed.operands.length < (verb.leastOperands ?? 0)) {
    throw usage(
      verb,
      `"${verb.name}" needs more: ${verb.operands ?? 'an operand'}.`,
      parsed.operands.length === 0 ? 'Nothing was given.' : `Given: ${parsed.operands.join(' ')}.`,
    )
  }
  const surplus = parsed.operands[verb.mostOperands ?? 0]
  if (surplus !== undefined) {
    const takes = verb.operands ? `takes ${verb.operands}` : 'takes options only'
    throw usage(verb, `"${surplus}" is too much.`, `"${verb.name}" ${takes}.`)
  }
}

interface OptionToken {
  readonly rawName: string
  readonly value?: string | undefined
  readonly inlineValue?: boolean | undefined
}

function checkedValue(
  verb: Verb,
  option: OptionDefinition,
  token: OptionToken,
  options: readonly OptionDefinition[],
): string {
  const name = `--${option.name}`
  if (!option.value) {
    if (token.value === undefined) return ''
    throw usage(verb, `${name} takes no value.`, `It was given "${token.value}".`)
  }
  // As xl's manual writes it: -f=FILE.
  const isShort = !token.rawName.startsWith('--')
  const value = isShort && token.inlineValue ? token.value?.replace(/^=/, '') : token.value
  // The next option in place of the value: somebody forgot the value.
  const isOption = !token.inlineValue && options.some((other) => value === `--${other.name}`)
  if (value === undefined || isOption) {
    const instead = isOption ? `"${value}" follows it` : 'Nothing follows it'
    throw usage(verb, `${name} needs a value.`, `${instead}; it takes ${name} ${option.value}.`)
  }
  if (option.choices && !option.choices.includes(value)) {
    const near = didYouMean(value, option.choices)
    const hint = near ? `; did you mean "${near}"?` : '.'
    const why = `It is one of ${option.choices.join(', ')}${hint}`
    throw usage(verb, `${name} cannot be "${value}".`, why)
  }
  if (option.kind === 'integer' || option.kind === 'number') checkNumber(verb, option, value)
  return value
}

function checkNumber(verb: Verb, option: OptionDefinition, text: string): void {
  const { least = 0, most = Number.MAX_SAFE_INTEGER, kind } = option
  const value = /^\d+(\.\d+)?$/.test(text) ? Number(text) : Number.NaN
  if (value >= least && value <= most && (kind === 'number' || Number.isInteger(value))) return
  const bounds = option.most === undefined ? `from ${least} on` : `from ${least} to ${most}`
  throw usage(
    verb,
    `--${option.name} cannot be "${text}".`,
    `It is ${kind === 'integer' ? 'a whole number' : 'a number'} ${bounds}.`,
  )
}

function unknownOption(verb: Verb, raw: string, options: readonly OptionDefinition[]): UsageError {
  const reason = ABSENT_FLAGS[verb.name]?.[raw]
  if (reason !== undefined) {
    return usage(verb, `"${verb.name}" has no ${raw} here, as xl has it.`, `The reason: ${reason}.`)
  }
  const near = didYouMean(
    raw.replace(/^-+/, ''),
    options.map(({ name }) => name),
  )
  const why = near ? `Did you mean "--${near}"?` : `"${verb.name}" has no such option.`
  return usage(verb, `Unknown option "${raw}".`, why)
}

function usage(verb: Verb, what: string, why: string): UsageError {
  return new UsageError(what, why, `"xenolith help ${verb.name}" lists the options.`)
}
