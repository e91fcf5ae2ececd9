// Reads a guest file: what kind of domain it asks for, and what is to be said about it. Follows
// xl.cfg(5) of Xen 4.17; which key does what here is said in keys.ts.

import { didYouMean } from '../../base/did-you-mean.ts'
import { UserError } from '../../base/errors.ts'
import { EVENT_ABI_NAMES, type EventAbiName } from '../../xen/event-abi.ts'
import { ArgumentError, readPygrubArguments } from '../bootloader/pygrub-arguments.ts'
import { SpecError, type SpecRemark } from '../device-spec.ts'
import { type DiskSpec, parseDiskSpec } from '../disk-spec.ts'
import { parseVifSpec, type VifConfig } from '../vif-config.ts'
import { LEAST_EVENT_CHANNELS, MOST_EVENT_CHANNELS } from '../guest-limits.ts'
import { type Diagnostic, GuestFileError } from './diagnostic.ts'
import { KEYS, keyNamed } from './keys.ts'
import { parseSettings, type Setting } from './parser.ts'
import { positionOf, type Source } from './source.ts'
import { asksForNothing, type Atom, Settings } from './values.ts'

/** What becomes of a domain that has ended. */
export type EndAction = 'destroy' | 'restart' | 'rename-restart' | 'preserve'

/** What a guest file asks for, as plain data. */
export interface GuestFile {
  readonly name: string
  /** With hyphens, in lower case. */
  readonly uuid?: string | undefined
  readonly type: 'pvh'
  /** With a boot loader a path in the guest's first disk; it is then not necessary. */
  readonly kernel?: string | undefined
  readonly ramdisk?: string | undefined
  /** What finds the kernel in the guest's first disk, if not the host has it. */
  readonly bootloader?: 'pygrub' | undefined
  readonly bootloaderArgs: readonly string[]
  readonly commandLine: string
  readonly memoryMiB: number
  readonly maxMemoryMiB: number
  readonly vcpus: number
  readonly maxVcpus: number
  readonly weight: number
  /** Per cent of a processor; 0 for no cap. */
  readonly cap: number
  readonly onPoweroff: EndAction
  readonly onReboot: EndAction
  readonly onWatchdog: EndAction
  readonly onCrash: EndAction
  readonly eventChannelAbi?: readonly EventAbiName[] | undefined
  readonly maxEventChannels?: number | undefined
  readonly maxGrantFrames?: number | undefined
  readonly maxMaptrackFrames?: number | undefined
  readonly maxGrantVersion?: number | undefined
  readonly disks: readonly DiskSpec[]
  readonly vifs: readonly VifConfig[]
}

/** Where the value of a key came from: `NAME:LINE`; keys that are not in it have their default. */
export type Origins = Readonly<Record<string, string>>

export interface GuestFileReading {
  readonly guest: GuestFile
  readonly warnings: readonly Diagnostic[]
  readonly origins: Origins
}

export const DEFAULT_WEIGHT = 256
const DEFAULT_MEMORY_MIB = 32
const MOST_MEMORY_MIB = 2 ** 20
const MOST_VCPUS = 128
const LONGEST_NAME = 255
/** By key of xl.cfg, the least and the most that a number may be. */
export const LIMITS = {
  memory: [1, MOST_MEMORY_MIB],
  maxmem: [1, MOST_MEMORY_MIB],
  vcpus: [1, MOST_VCPUS],
  maxvcpus: [1, MOST_VCPUS],
  cpu_weight: [1, 65535],
  cap: [0, 100 * MOST_VCPUS],
  max_event_channels: [LEAST_EVENT_CHANNELS, MOST_EVENT_CHANNELS],
  max_grant_frames: [1, 1024],
  max_maptrack_frames: [0, 16384],
  max_grant_version: [1, 2],
} as const
export const ACTIONS = ['destroy', 'restart', 'rename-restart', 'preserve'] as const

/**
 * Reads the sources one after the other, as one file: what comes later overrides.
 * @param isStrict take warnings about unknown keys for errors
 * @throws GuestFileError, or UserError for what is missing
 */
export function readGuestFile(sources: readonly Source[], isStrict = false): GuestFileReading {
  const settings = new Settings(parseSettings(sources))
  const warnings = checkKeys(settings, isStrict)
  if (!settings.get('type') && !settings.get('builder')) checkNothingMissing(settings, sources)
  const guest = guestOf(settings, sources, (warning) => warnings.push(warning))
  const origins: Record<string, string> = {}
  for (const { key, place } of settings.all()) {
    origins[key] = `${place.source.name}:${positionOf(place).line}`
  }
  return { guest, warnings, origins }
}

/** Why no domain can have that name; undefined if one can. */
export function checkName(name: string): string | undefined {
  if (name === '') return 'it is empty'
  if (name.length > LONGEST_NAME) return `it is longer than ${LONGEST_NAME} characters`
  if (/^\d+$/.test(name)) return 'a number is taken for a domain-id'
  if (/[/\u0000-\u001f\u007f]/.test(name)) return 'it has a slash or a control character in it'
  return undefined
}

function checkKeys(settings: Settings, isStrict: boolean): Diagnostic[] {
  const warnings: Diagnostic[] = []
  for (const setting of settings.all()) {
    const { key: name, place, value } = setting
    const key = keyNamed(name)
    if (!key) {
      const diagnostic = unknownKey(setting)
      if (isStrict) throw new GuestFileError(diagnostic)
      warnings.push(diagnostic)
    } else if (key.status === 'ignored') {
      warnings.push({ place, message: `${name} is ignored`, hint: key.note })
    } else if (key.status === 'refused' && !asksForNothing(value)) {
      throw new GuestFileError({ place, message: `${name} is not supported`, hint: key.note })
    }
  }
  return warnings
}

function unknownKey({ key, place }: Setting): Diagnostic {
  const near = didYouMean(
    key,
    KEYS.map(({ name }) => name),
  )
  const hint = near ? `did you mean "${near}"?` : 'xl.cfg(5) has no such key'
  return { place, message: `Unknown key "${key}"`, hint }
}

/** A file that says next to nothing is no guest file: better said than run with defaults. */
function checkNothingMissing(settings: Settings, sources: readonly Source[]): void {
  if (['kernel', 'name', 'bootloader'].some((key) => settings.get(key))) return
  const [source] = sources
  throw missing(source?.name ?? 'the guest file', 'name and kernel')
}

function missing(where: string, what: string): UserError {
  return new UserError(
    `${where} does not say ${what}.`,
    'Every domain needs a name and a kernel to boot, or a boot loader that finds one on its disk.',
    'No domain was created. Write, for example: name = "web"; kernel = "vmlinuz"; or in place of ' +
      'kernel: bootloader = "pygrub"',
  )
}

function guestOf(
  settings: Settings,
  sources: readonly Source[],
  warn: (warning: Diagnostic) => void,
): GuestFile {
  const where = sources[0]?.name ?? 'the command line'
  settings.choice('type', ['pvh'])
  const name = settings.string('name')
  if (name === undefined) throw missing(where, 'its name')
  const wrong = checkName(name)
  if (wrong !== undefined)
    throw atValue(settings, 'name', `"${name}" is no name for a domain`, wrong)
  const bootloader = bootloaderOf(settings)
  const kernel = settings.string('kernel') || undefined
  if (kernel === undefined && !bootloader) throw missing(where, 'its kernel')
  return {
    name,
    uuid: uuidOf(settings),
    type: 'pvh',
    kernel,
    ramdisk: settings.string('ramdisk') || undefined,
    bootloader,
    bootloaderArgs: bootloader ? bootloaderArgsOf(settings, warn) : [],
    commandLine: commandLineOf(settings),
    ...memoryOf(settings),
    ...vcpusOf(settings),
    weight: numberOf(settings, 'cpu_weight') ?? DEFAULT_WEIGHT,
    cap: numberOf(settings, 'cap') ?? 0,
    onPoweroff: actionOf(settings, 'on_poweroff', 'destroy'),
    onReboot: actionOf(settings, 'on_reboot', 'restart'),
    onWatchdog: actionOf(settings, 'on_watchdog', 'destroy'),
    onCrash: actionOf(settings, 'on_crash', 'destroy'),
    eventChannelAbi: settings.choices('event_channel_abi', EVENT_ABI_NAMES),
    maxEventChannels: numberOf(settings, 'max_event_channels'),
    maxGrantFrames: numberOf(settings, 'max_grant_frames'),
    maxMaptrackFrames: numberOf(settings, 'max_maptrack_frames'),
    maxGrantVersion: numberOf(settings, 'max_grant_version'),
    disks: settings.strings('disk').map((spec) => specOf(spec, parseDiskSpec)),
    vifs: settings
      .strings('vif')
      .map((spec) =>
        specOf(spec, (text) => parseVifSpec(text, (remark) => warn(diagnosticOf(spec, remark)))),
      ),
  }
}

function bootloaderOf(settings: Settings): 'pygrub' | undefined {
  const program = settings.string('bootloader')
  if (!program) return undefined
  if (!/^(?:.*\/)?pygrub$/.test(program)) {
    throw atValue(settings, 'bootloader', `There is no boot loader "${program}"`, 'only "pygrub"')
  }
  if (settings.strings('disk').length === 0) {
    const hint = 'disk = [ "root.qcow2,qcow2,xvda" ]'
    throw atValue(settings, 'bootloader', 'There is no disk to boot from', hint)
  }
  return 'pygrub'
}

function bootloaderArgsOf(settings: Settings, warn: (warning: Diagnostic) => void): string[] {
  const setting = settings.get('bootloader_args')
  if (!setting) return []
  const { value } = setting
  // A string, which xl has deprecated, is split at blanks.
  const words =
    value.kind === 'list'
      ? settings.strings('bootloader_args').map(({ text }) => text)
      : value.text.split(/\s+/).filter(Boolean)
  try {
    for (const { argument, why } of readPygrubArguments(words).remarks) {
      warn({ place: value.place, message: `${argument} is ignored`, hint: why })
    }
  } catch (error) {
    if (!(error instanceof ArgumentError)) throw error
    throw new GuestFileError({ place: value.place, message: error.message })
  }
  return words
}

function commandLineOf(settings: Settings): string {
  const cmdline = settings.string('cmdline')
  if (cmdline !== undefined) return cmdline
  const root = settings.string('root')
  const extra = settings.string('extra')
  return [root === undefined ? undefined : `root=${root}`, extra].filter(Boolean).join(' ')
}

function memoryOf(settings: Settings): { memoryMiB: number; maxMemoryMiB: number } {
  const most = numberOf(settings, 'maxmem')
  const memoryMiB = numberOf(settings, 'memory') ?? most ?? DEFAULT_MEMORY_MIB
  const maxMemoryMiB = most ?? memoryMiB
  if (maxMemoryMiB >= memoryMiB) return { memoryMiB, maxMemoryMiB }
  throw atValue(settings, 'maxmem', `maxmem is below memory`, `memory is ${memoryMiB}`)
}

function vcpusOf(settings: Settings): { vcpus: number; maxVcpus: number } {
  const most = numberOf(settings, 'maxvcpus')
  const vcpus = numberOf(settings, 'vcpus') ?? most ?? 1
  const maxVcpus = most ?? vcpus
  if (maxVcpus >= vcpus) return { vcpus, maxVcpus }
  throw atValue(settings, 'maxvcpus', `maxvcpus is below vcpus`, `vcpus is ${vcpus}`)
}

function numberOf(settings: Settings, key: keyof typeof LIMITS): number | undefined {
  const [least, most] = LIMITS[key]
  return settings.number(key, least, most)
}

function actionOf(settings: Settings, key: string, otherwise: EndAction): EndAction {
  const text = settings.string(key)
  if (text?.startsWith('coredump-') || text === 'soft-reset') {
    throw atValue(settings, key, `${key} cannot be "${text}"`, `there is no ${text} yet`)
  }
  return settings.choice(key, ACTIONS) ?? otherwise
}

function uuidOf(settings: Settings): string | undefined {
  const text = settings.string('uuid')
  if (text === undefined) return undefined
  const digits = text.replaceAll('-', '').toLowerCase()
  if (!/^[0-9a-f]{32}$/.test(digits)) {
    throw atValue(settings, 'uuid', `"${text}" is no UUID`, '32 hexadecimal digits, with hyphens')
  }
  return digits.replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-')
}

function atValue(settings: Settings, key: string, message: string, hint: string): GuestFileError {
  const setting = settings.get(key) as Setting
  return new GuestFileError({ place: setting.value.place, message, hint })
}

function specOf<T>(spec: Atom, parse: (text: string) => T): T {
  try {
    return parse(spec.text)
  } catch (error) {
    if (!(error instanceof SpecError)) throw error
    throw new GuestFileError(diagnosticOf(spec, error.remark))
  }
}

/** A remark on a string at its place. Escapes before it, which nobody writes, shift it. */
function diagnosticOf({ place }: Atom, { message, hint, start, end }: SpecRemark): Diagnostic {
  const from = Math.min(place.start + 1 + start, place.end - 1)
  const to = Math.min(place.start + 1 + end, place.end - 1)
  return { place: { ...place, start: from, end: Math.max(to, from + 1) }, message, hint }
}
