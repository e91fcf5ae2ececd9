// The arguments of pygrub that a guest file may give (`pygrub --help` of Xen 4.17), by one table: what
// each does here, or why it is ignored or refused. As with getopt, a long option may be shortened, and
// its value may be an argument of its own.

import { didYouMean } from '../../base/did-you-mean.ts'

/** What the user says of what is to be booted; paths are those in the guest's disk. */
export interface BootloaderOptions {
  /** Title, other name or number of an entry of the boot menu. */
  readonly entry?: string
  /** In place of what the boot menu says. */
  readonly kernel?: string
  readonly ramdisk?: string
  /** Put behind the arguments that the boot menu has. */
  readonly args?: string
  /** Where the file system begins in the disk, in bytes. */
  readonly offset?: number
}

type Options = { -readonly [K in keyof BootloaderOptions]: BootloaderOptions[K] }

/** `supported`: sets something; otherwise why it is ignored or refused. */
interface Argument {
  readonly names: readonly string[]
  readonly hasValue: boolean
  readonly status: 'supported' | 'ignored' | 'refused'
  /** For `supported` what it does, otherwise why. */
  readonly note: string
  readonly set?: (options: Options, value: string) => void
}

const MENU = 'no menu is shown: the default entry, or that of --entry, boots at once'
const OUTPUT = 'what is found is booted, not printed'

export const PYGRUB_ARGUMENTS: readonly Argument[] = [
  {
    names: ['--entry'],
    hasValue: true,
    status: 'supported',
    note: "an entry of the boot menu, by its title, its id, or its number, counted from 0, submenus' entries where the submenu stands",
    set: (options, value) => {
      options.entry = value
    },
  },
  {
    names: ['--kernel'],
    hasValue: true,
    status: 'supported',
    note: "a file of the guest's disk, in place of the boot menu",
    set: (options, value) => {
      options.kernel = value
    },
  },
  {
    names: ['--ramdisk'],
    hasValue: true,
    status: 'supported',
    note: "a file of the guest's disk, with --kernel",
    set: (options, value) => {
      options.ramdisk = value
    },
  },
  {
    names: ['--args'],
    hasValue: true,
    status: 'supported',
    note: 'put behind the arguments of the entry; takes the place of extra, root and cmdline',
    set: (options, value) => {
      options.args = value
    },
  },
  {
    names: ['--offset'],
    hasValue: true,
    status: 'supported',
    note: 'where the file system begins in the disk, in bytes',
    set: (options, value) => {
      if (!/^\d{1,15}$/.test(value)) throw new ArgumentError('--offset is a number of bytes')
      options.offset = Number(value)
    },
  },
  { names: ['-q', '--quiet'], hasValue: false, status: 'supported', note: MENU },
  { names: ['-i', '--interactive'], hasValue: false, status: 'ignored', note: MENU },
  { names: ['--debug'], hasValue: false, status: 'ignored', note: 'errors say all there is' },
  { names: ['--runas'], hasValue: true, status: 'ignored', note: 'nothing runs as another user' },
  { names: ['--output'], hasValue: true, status: 'ignored', note: OUTPUT },
  { names: ['--output-format'], hasValue: true, status: 'ignored', note: OUTPUT },
  { names: ['--output-directory'], hasValue: true, status: 'ignored', note: OUTPUT },
  { names: ['-l', '--list-entries'], hasValue: false, status: 'refused', note: OUTPUT },
  { names: ['-n', '--not-really'], hasValue: false, status: 'refused', note: OUTPUT },
  { names: ['--isconfig'], hasValue: false, status: 'refused', note: OUTPUT },
  { names: ['-h', '--help'], hasValue: false, status: 'refused', note: OUTPUT },
]

/** An argument is wrong; the message is half a sentence. */
export class ArgumentError extends Error {
  override readonly name = 'ArgumentError'
}

export interface PygrubReading {
  readonly options: BootloaderOptions
  /** What is ignored, and why. */
  readonly remarks: readonly { readonly argument: string; readonly why: string }[]
}

/** @throws ArgumentError */
export function readPygrubArguments(words: readonly string[]): PygrubReading {
  const options: Options = {}
  const remarks: { argument: string; why: string }[] = []
  for (let i = 0; i < words.length; i++) {
    const [name = '', inline] = (words[i] ?? '').split(/=(.*)/s)
    const argument = argumentNamed(name)
    const value = argument.hasValue ? (inline ?? words[++i]) : inline
    if (argument.hasValue && value === undefined) throw new ArgumentError(`${name} needs a value`)
    if (!argument.hasValue && inline !== undefined) {
      throw new ArgumentError(`${name} takes no value`)
    }
    if (argument.status === 'refused') {
      throw new ArgumentError(`${name} is not supported: ${argument.note}`)
    }
    if (argument.status === 'ignored') remarks.push({ argument: name, why: argument.note })
    argument.set?.(options, value ?? '')
  }
  return { options, remarks }
}

function argumentNamed(name: string): Argument {
  const all = PYGRUB_ARGUMENTS.flatMap(({ names }) => names)
  const exact = PYGRUB_ARGUMENTS.find(({ names }) => names.includes(name))
  if (exact) return exact
  const starting = PYGRUB_ARGUMENTS.filter(
    ({ names }) => name.length > 2 && names.some((one) => one.startsWith(name)),
  )
  if (starting.length === 1 && starting[0]) return starting[0]
  const near = didYouMean(name, all)
  throw new ArgumentError(
    `pygrub has no argument "${name}"${near ? `: did you mean "${near}"?` : ''}`,
  )
}
