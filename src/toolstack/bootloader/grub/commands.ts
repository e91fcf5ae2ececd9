// The commands of GRUB that its interpreter knows (GNU GRUB manual 2.06, chapter 16).

import { ImageError } from '../../../backends/block/storage.ts'
import { MOST_ENTRIES } from '../boot-menu.ts'
import type { Volume } from '../volumes.ts'
import { MOST_ENVIRONMENT_BYTES, readEnvironmentBlock } from './environment-block.ts'
import type { Builtin, Interpreter, MenuItem } from './interpreter.ts'
import { parseGrubScript } from './parser.ts'
import { evaluateTest } from './test-command.ts'

/** As much as pygrub reads of a configuration. */
export const MOST_CONFIG_BYTES = 2 ** 20

/** They succeed: what they do is not needed here. */
const WITHOUT_EFFECT = [
  'background_color',
  'clear',
  'echo',
  'export',
  'gfxmode',
  'insmod',
  'normal',
  'password',
  'password_pbkdf2',
  'play',
  'rmmod',
  'save_env',
  'serial',
  'sleep',
  'terminal_input',
  'terminal_output',
  'true',
]

/** They start something that is no kernel of Linux. */
const STARTS_OTHER = [
  'appleloader',
  'chainloader',
  'halt',
  'kfreebsd',
  'multiboot',
  'multiboot2',
  'ntldr',
  'reboot',
  'xen_hypervisor',
]

const testCommand: Builtin = (machine, args) =>
  evaluateTest(args, (path) => machine.volumes.find(machine.place(path)))

const menuEntry: Builtin = (machine, args, body) => addItem(machine, args, body, false)
const submenu: Builtin = (machine, args, body) => addItem(machine, args, body, true)

const linux: Builtin = (machine, [path, ...args]) => {
  if (path === undefined) return false
  machine.loaded = { kernel: { place: machine.place(path), args }, ramdisks: [] }
  return true
}

const initrd: Builtin = (machine, args) => {
  const paths = args.filter((arg) => !arg.startsWith('-'))
  machine.loaded = { ...machine.loaded, ramdisks: paths.map((path) => machine.place(path)) }
  return true
}

const startsOther =
  (name: string): Builtin =>
  (machine) => {
    machine.loaded = { ramdisks: [], other: name }
    return true
  }

/** Searches that are commands of their own: `search.fs_uuid UUID VARIABLE …`. */
const searchBy =
  (by: SearchKey): Builtin =>
  (machine, [what = '', variable = 'root']) =>
    setFound(machine, by, what, variable)

export const GRUB_COMMANDS: Readonly<Record<string, Builtin>> = {
  ...Object.fromEntries(WITHOUT_EFFECT.map((name) => [name, () => true])),
  ...Object.fromEntries(STARTS_OTHER.map((name) => [name, startsOther(name)])),
  '[': (machine, args, block) =>
    testCommand(machine, args.at(-1) === ']' ? args.slice(0, -1) : args, block),
  test: testCommand,
  set: (machine, args) => {
    const [, name, value] = /^([^=]+)=(.*)$/s.exec(args[0] ?? '') ?? []
    if (name !== undefined && value !== undefined) machine.variables.set(name, value)
    return true
  },
  unset: (machine, [name = '']) => {
    machine.variables.delete(name)
    return true
  },
  menuentry: menuEntry,
  submenu,
  linux,
  linux16: linux,
  linuxefi: linux,
  initrd,
  initrd16: initrd,
  initrdefi: initrd,
  search,
  'search.file': searchBy('file'),
  'search.fs_label': searchBy('label'),
  'search.fs_uuid': searchBy('fs-uuid'),
  load_env: loadEnvironment,
  source: sourceFile,
  '.': sourceFile,
  configfile: (machine, args) => {
    machine.items.length = 0
    return sourceFile(machine, args)
  },
}

/** Options of `menuentry` and `submenu` that take a value. */
const ENTRY_OPTIONS = ['--class', '--users', '--hotkey', '--id', '--source']

function addItem(
  machine: Interpreter,
  args: readonly string[],
  body: Parameters<Builtin>[2],
  isSubmenu: boolean,
): boolean {
  let id: string | undefined
  const rest: string[] = []
  for (let i = 0; i < args.length; i++) {
    const [name = '', value] = (args[i] ?? '').split(/=(.*)/s)
    if (ENTRY_OPTIONS.includes(name)) {
      const given = value ?? args[++i]
      if (name === '--id') id = given
    } else if (name !== '--unrestricted') rest.push(args[i] ?? '')
  }
  const [title] = rest
  if (title === undefined || !body) return false
  if (machine.items.length >= MOST_ENTRIES)
    throw new ImageError('Its boot menu has too many entries.')
  const item: MenuItem = { title, id, body, args: rest, ...(isSubmenu && { items: [] }) }
  machine.items.push(item)
  return true
}

type SearchKey = 'file' | 'label' | 'fs-uuid'

const SEARCH_KEYS: Readonly<Record<string, SearchKey>> = {
  '-f': 'file',
  '--file': 'file',
  '-l': 'label',
  '--label': 'label',
  '--fs-label': 'label',
  '-u': 'fs-uuid',
  '--fs-uuid': 'fs-uuid',
}

/** `search [--file|--label|--fs-uuid] [--set[=VARIABLE]] [--no-floppy] [--hint…] WHAT` */
function search(machine: Interpreter, args: readonly string[]): boolean {
  let by: SearchKey = 'file'
  let variable = 'root'
  const rest: string[] = []
  for (const arg of args) {
    const key = Object.hasOwn(SEARCH_KEYS, arg) ? SEARCH_KEYS[arg] : undefined
    if (key) by = key
    else if (arg.startsWith('--set=')) variable = arg.slice('--set='.length)
    else if (!arg.startsWith('-')) rest.push(arg)
  }
  // A hint may stand apart from its option; what is searched for comes last.
  return setFound(machine, by, rest.at(-1) ?? '', variable)
}

function setFound(machine: Interpreter, by: SearchKey, what: string, variable: string): boolean {
  const fits = ({ fs }: Volume) => {
    if (by === 'fs-uuid') return fs.uuid === what.toLowerCase()
    return by === 'label' ? fs.label === what : fs.find(what) !== undefined
  }
  const found = machine.volumes.all.find(fits)
  if (!found) return false
  machine.variables.set(variable, found.name)
  return true
}

/** `load_env [--file FILE] [--skip-sig] [VARIABLE …]` */
function loadEnvironment(machine: Interpreter, args: readonly string[]): boolean {
  const at = args.findIndex((arg) => arg === '-f' || arg === '--file')
  const inline = args.find((arg) => arg.startsWith('--file='))?.slice('--file='.length)
  const path = inline ?? (at >= 0 ? (args[at + 1] ?? '') : `${machine.get('prefix')}/grubenv`)
  const wanted = args.filter((arg, i) => !arg.startsWith('-') && (at < 0 || i !== at + 1))
  const file = machine.volumes.find(machine.place(path))
  const variables = file?.type === 'file' && readEnvironmentBlock(file.read(MOST_ENVIRONMENT_BYTES))
  if (!variables) return false
  for (const [name, value] of variables) {
    if (wanted.length === 0 || wanted.includes(name)) machine.variables.set(name, value)
  }
  return true
}

function sourceFile(machine: Interpreter, [path = '']: readonly string[]): boolean {
  const file = machine.volumes.find(machine.place(path))
  if (file?.type !== 'file') return false
  const text = new TextDecoder().decode(file.read(MOST_CONFIG_BYTES))
  machine.spend(text.length)
  return machine.run(parseGrubScript(text))
}
