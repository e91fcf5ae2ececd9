// The help, made from the table of verbs: examples first, then options, then exit statuses.

import { HELP_OPTION } from './arguments.ts'
import { EXIT_STATUSES } from './exit-status.ts'
import type { OptionDefinition, Verb } from './verb.ts'

const WIDTH = 80
/** Verbs with an example in the help of the whole: the first ones of the table. */
const MOST_EXAMPLES = 6

/** The help of the whole command. */
export function generalHelp(verbs: readonly Verb[]): string {
  const examples = verbs.slice(0, MOST_EXAMPLES).flatMap((verb) => verb.examples.slice(0, 1))
  const table = verbs.map(({ name, summary }): [string, string] => [name, summary])
  return [
    'xenolith VERB [OPTIONS]: runs Xen guests with no hardware and no root.',
    '',
    'Examples:',
    ...exampleLines(examples),
    '',
    'Verbs:',
    ...columns(table),
    '',
    '"xenolith help VERB" tells more about one.',
    '',
  ].join('\n')
}

/** The help of one verb. */
export function verbHelp(verb: Verb): string {
  const operands = verb.operands ? ` ${verb.operands}` : ''
  const title = `xenolith ${verb.name} [OPTIONS]${operands}: ${verb.summary}.`
  const lines = [...wrap(title, WIDTH), '']
  lines.push('Examples:', ...exampleLines(verb.examples), '')
  for (const paragraph of verb.description ?? []) lines.push(...wrap(paragraph, WIDTH), '')
  lines.push('Options:')
  lines.push(...columns([...verb.options, HELP_OPTION].map((o) => [optionUsage(o), about(o)])), '')
  if (verb.hasExitStatuses) {
    lines.push('Exit status:')
    lines.push(...columns(EXIT_STATUSES.map(([status, what]) => [String(status), what])), '')
  }
  return lines.join('\n')
}

/** An option as it is written on the command line. */
export function optionUsage({ name, short, value }: OptionDefinition): string {
  return `${short ? `-${short}, ` : ''}--${name}${value ? ` ${value}` : ''}`
}

/** What an option is for, with its choices and its default. */
export function about({ summary, choices, otherwise, required, repeated }: OptionDefinition) {
  const notes = [
    choices && `one of ${choices.join(', ')}`,
    required && 'required',
    repeated && 'may be repeated',
    otherwise && `default: ${otherwise}`,
  ].filter(Boolean)
  return notes.length > 0 ? `${summary} (${notes.join('; ')})` : summary
}

function exampleLines(examples: Verb['examples']): string[] {
  return examples.flatMap(([command, what]) => [`  # ${what}`, `  ${command}`])
}

/** Two columns, the second wrapped. */
function columns(rows: readonly (readonly [string, string])[]): string[] {
  const left = Math.max(...rows.map(([first]) => first.length)) + 4
  return rows.flatMap(([first, second]) => {
    const [head = '', ...rest] = wrap(second, WIDTH - left)
    return [`  ${first}`.padEnd(left) + head, ...rest.map((line) => ' '.repeat(left) + line)]
  })
}

function wrap(text: string, width: number): string[] {
  const lines: string[] = []
  let line = ''
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line)
      line = word
    } else line = line === '' ? word : `${line} ${word}`
  }
  return [...lines, line]
}
