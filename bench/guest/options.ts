// The options of tools/bench guest.

import { parseArgs } from 'node:util'
import { UserError } from '../../src/base/errors.ts'
import { DEFAULT_SCALES, RIVAL_NAMES, type RivalChoice, type RivalName } from './rivals/rival.ts'
import { type GuestProgram, scaled, SUITE } from './suite.ts'

export interface Options {
  readonly rounds: number
  /** With their sizes scaled. */
  readonly programs: readonly GuestProgram[]
  readonly scale: number
  readonly oursOnly: boolean
  /** Where the raw figures go. */
  readonly json: string | undefined
  readonly rivals: readonly RivalChoice[]
  /** How long a rival may show nothing. */
  readonly patienceMs: number
}

const REMEDY =
  'tools/bench guest [--rounds N] [--programs NAME,…] [--scale X] [--ours-only] [--json FILE] ' +
  '[--with NAME[:SCALE],…] [--patience SECONDS]'

/**
 * @param args the command line's, after the benchmark's name
 * @throws UserError when an option is unknown, or its value is not one it can have
 */
export function parseOptions(args: readonly string[]): Options {
  const values = parse(args)
  const rounds = numberOf('rounds', values.rounds)
  if (!Number.isInteger(rounds)) reject('rounds', values.rounds, 'It is a whole number.')
  const scale = numberOf('scale', values.scale)
  const names = values.programs?.split(',') ?? SUITE.map(({ name }) => name)
  for (const name of names) {
    if (SUITE.some((program) => program.name === name)) continue
    reject('programs', name, `There are ${SUITE.map((program) => program.name).join(', ')}.`)
  }
  const picked = SUITE.filter(({ name }) => names.includes(name))
  return {
    rounds,
    scale,
    programs: scaled(picked, scale),
    oursOnly: values['ours-only'],
    json: values.json,
    rivals: values.with?.split(',').map(rivalOf) ?? [],
    patienceMs: numberOf('patience', values.patience) * 1000,
  }
}

function rivalOf(text: string, index: number, all: readonly string[]): RivalChoice {
  const [name = '', scale, ...rest] = text.split(':')
  if (!isRivalName(name) || rest.length > 0) {
    reject('with', text, `There are ${RIVAL_NAMES.join(', ')}, each with :SCALE or without.`)
  }
  if (all.slice(0, index).some((other) => other.split(':')[0] === name)) {
    reject('with', text, 'It is there twice.')
  }
  return { name, scale: scale === undefined ? DEFAULT_SCALES[name] : numberOf('with', scale) }
}

const isRivalName = (name: string): name is RivalName =>
  (RIVAL_NAMES as readonly string[]).includes(name)

function parse(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      options: {
        rounds: { type: 'string', default: '3' },
        programs: { type: 'string' },
        scale: { type: 'string', default: '1' },
        'ours-only': { type: 'boolean', default: false },
        json: { type: 'string' },
        with: { type: 'string' },
        patience: { type: 'string', default: '180' },
      },
    }).values
  } catch (error) {
    throw new UserError('Cannot run the benchmark.', (error as Error).message, REMEDY)
  }
}

function numberOf(option: string, text: string): number {
  const value = Number(text)
  if (!(value > 0 && value < Infinity)) reject(option, text, 'It is a number above zero.')
  return value
}

function reject(option: string, value: string, why: string): never {
  throw new UserError(`Cannot use --${option} ${value}.`, why, REMEDY)
}
