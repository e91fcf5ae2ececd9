// The options that every verb has which boots a domain in the foreground, and what they mean.

import { accessSync, constants, statSync } from 'node:fs'
import { UserError } from '../base/errors.ts'
import type { DomainConfig, TimeMode, Translation } from '../node/host-types.ts'
import { hasGateway, parseVifSpec } from '../toolstack/vif-config.ts'
import { LEAST_EVENT_CHANNELS, MOST_EVENT_CHANNELS } from '../toolstack/guest-limits.ts'
import { EVENT_ABI_NAMES, type EventAbiName } from '../xen/event-abi.ts'
import { TRACE_NAMES, traceKinds } from './trace-kinds.ts'
import { type Arguments, UsageError } from './arguments.ts'
import type { ScriptStep } from './console-script.ts'
import { unescapeText } from './escapes.ts'
import type { ForegroundRun } from './foreground.ts'
import type { Context, OptionDefinition } from './verb.ts'

const DEFAULT_CMDLINE = 'console=hvc0'
const DEFAULT_MEMORY_MIB = 256
const DEFAULT_VCPUS = 1
const DEFAULT_EVENT_CHANNELS = 1023

/** What the guest boots; `demo` brings its own. */
export const IMAGE_OPTIONS: readonly OptionDefinition[] = [
  {
    name: 'kernel',
    short: 'k',
    value: 'FILE',
    summary: 'the kernel: a bzImage or an ELF file with Xen notes',
    otherwise: 'what the first disk boots, by its grub.cfg or extlinux.conf',
  },
  { name: 'ramdisk', short: 'r', value: 'FILE', summary: 'the initial ramdisk' },
  {
    name: 'entry',
    value: 'ENTRY',
    summary: "an entry of the disk's boot menu: its title, its id, or its number, counted from 0",
    otherwise: 'the one that the menu has as its default',
  },
]

export const RUN_OPTIONS: readonly OptionDefinition[] = [
  {
    name: 'cmdline',
    value: 'TEXT',
    summary:
      "the kernel's command line; goes behind that of the disk's boot menu, if it boots by that",
    otherwise: `"${DEFAULT_CMDLINE}"`,
  },
  {
    name: 'memory',
    short: 'm',
    value: 'MiB',
    kind: 'integer',
    least: 1,
    summary: 'memory',
    otherwise: String(DEFAULT_MEMORY_MIB),
  },
  {
    name: 'disk',
    short: 'd',
    value: 'SPEC',
    repeated: true,
    summary:
      "a disk in xl's syntax: target,format,vdev,access, such as root.qcow2,qcow2,xvda,w; " +
      'snapshot=1 keeps all writes in memory',
  },
  {
    name: 'vcpus',
    value: 'N',
    kind: 'integer',
    least: 1,
    most: 128,
    summary: 'virtual processors',
    otherwise: String(DEFAULT_VCPUS),
  },
  { name: 'name', value: 'NAME', summary: 'name of the domain', otherwise: 'guest' },
  { name: 'cpu', value: 'MODEL', summary: 'processor model that the guest sees' },
  {
    name: 'vif',
    value: 'SPEC',
    repeated: true,
    summary:
      'a network interface, as xl-network-configuration(5) has it ("" is one with a way to the ' +
      'outside); also gateway=passt or none, and forward=[udp:][ADDRESS/]HOSTPORT[:GUESTPORT]',
  },
  {
    name: 'pcap',
    value: 'FILE',
    summary: 'keep what passes the network interfaces in a file for tshark and Wireshark',
  },
  {
    name: 'event-channel-abi',
    value: 'ABI,...',
    summary:
      'event-channel ABIs that the guest may use: 2l (which every guest has), 3l (the three-level ' +
      'proposal of 2013) and fifo',
    otherwise: '2l,fifo',
  },
  {
    name: 'max-event-channels',
    value: 'N',
    kind: 'integer',
    least: LEAST_EVENT_CHANNELS,
    most: MOST_EVENT_CHANNELS,
    summary: 'event channels that the guest may have',
    otherwise: String(DEFAULT_EVENT_CHANNELS),
  },
  {
    name: 'time',
    value: 'MODE',
    choices: ['virtual', 'real'],
    summary:
      "the guest's clock: a function of the instructions executed, so that runs repeat exactly " +
      'and idle time costs nothing, or the wall clock',
    otherwise:
      'real when standard input is a terminal or a network interface has a way to the outside, ' +
      'virtual otherwise',
  },
  {
    name: 'timeout',
    value: 'SECONDS',
    kind: 'number',
    least: 0.001,
    most: 2_000_000,
    summary: 'end the run after so long by the wall clock',
  },
  { name: 'console-log', value: 'FILE', summary: 'keep what the console shows in a file' },
  {
    name: 'expect',
    value: 'REGEX',
    repeated: true,
    summary: 'wait until the console shows it; the run ends well when the last one came',
  },
  {
    name: 'send',
    value: 'TEXT',
    repeated: true,
    summary: 'type it when the --expect before it has come; \\r is Enter',
  },
  {
    name: 'trace',
    value: 'WHAT,...',
    summary: `print what happens to the guest: ${TRACE_NAMES.join(', ')}`,
  },
  {
    name: 'translate',
    value: 'WHEN',
    choices: ['off', 'hot', 'always'],
    summary:
      'translate guest code to WebAssembly: never, when it is often executed, or at once; for ' +
      'tests, as the guest does the same in each way',
    otherwise: 'hot',
  },
  {
    name: 'profile',
    value: 'FILE',
    summary:
      "profile the run: prints which of the guest's functions took the time, and writes a file for " +
      'the performance panel of Chromium',
  },
  {
    name: 'symbols',
    value: 'FILE',
    summary:
      "names of the kernel's functions, for profilers: its System.map, or an ELF file that has them",
    otherwise: 'those that the kernel itself carries',
  },
  {
    name: 'stats',
    summary: 'print what was counted, at the end: see docs/reference/statistics.md',
  },
  { name: 'json', summary: 'print events, one JSON object a line, in place of console and talk' },
]

/** What to boot and how it is called when nobody says. */
export interface RunDefaults {
  /** Undefined: what the first disk boots. */
  readonly kernel: string | undefined
  readonly ramdisk: string | undefined
  /** Of the disk's boot menu. */
  readonly entry?: string | undefined
  readonly name: string
  /** What the command line says in addition to the default. */
  readonly cmdlineExtra?: string
}

/**
 * The run that the options ask for.
 * @throws UsageError, or UserError for an image that cannot be read
 */
export function foregroundRun(
  args: Arguments,
  { kernel, ramdisk, entry, name, cmdlineExtra }: RunDefaults,
  { stdin }: Pick<Context, 'stdin'>,
): ForegroundRun {
  const cpu = args.text('cpu')
  const disks = args.inOrder.filter(({ name }) => name === 'disk').map(({ value }) => value)
  const trace = traceKinds(args.text('trace'))
  const eventChannelAbi = eventAbisOf(args)
  const maxEventChannels = args.number('max-event-channels')
  const vifs = args.texts('vif')
  const reachesOut = vifs.some((spec) => hasGateway(parseVifSpec(spec)))
  const capture = args.text('pcap')
  const symbols = args.text('symbols')
  if (kernel !== undefined) checkImage('kernel', kernel)
  if (ramdisk !== undefined) checkImage('ramdisk', ramdisk)
  const domain: DomainConfig = {
    name: args.text('name') ?? name,
    ...(kernel === undefined
      ? { bootloader: { ...(entry !== undefined && { entry }) } }
      : { kernel, ramdisk }),
    cmdline: args.text('cmdline') ?? [DEFAULT_CMDLINE, cmdlineExtra].filter(Boolean).join(' '),
    memoryMiB: args.number('memory') ?? DEFAULT_MEMORY_MIB,
    vcpus: args.number('vcpus') ?? DEFAULT_VCPUS,
    ...(disks.length > 0 && { disks }),
    ...(cpu !== undefined && { cpu }),
    ...(eventChannelAbi && { eventChannelAbi }),
    ...(maxEventChannels !== undefined && { maxEventChannels }),
    ...(vifs.length > 0 && { vifs }),
    ...(capture !== undefined && { capture }),
    ...(trace && { trace }),
    ...(symbols !== undefined && { symbols }),
  }
  const isReal = stdin.isTTY === true || reachesOut
  return {
    domain,
    time: (args.text('time') as TimeMode | undefined) ?? (isReal ? 'real' : 'virtual'),
    translation: args.text('translate') as Translation | undefined,
    script: scriptOf(args),
    timeoutSeconds: args.number('timeout'),
    consoleLog: args.text('console-log'),
    profile: args.text('profile'),
    stats: args.flag('stats'),
    json: args.flag('json'),
  }
}

function eventAbisOf(args: Arguments): EventAbiName[] | undefined {
  const names = args.text('event-channel-abi')?.split(',').filter(Boolean)
  const unknown = names?.find((name) => !isEventAbi(name))
  if (unknown === undefined) return names?.filter(isEventAbi)
  throw new UsageError(
    `There is no event-channel ABI "${unknown}".`,
    `They are ${EVENT_ABI_NAMES.join(', ')}.`,
    'Give one or more of them, with commas between.',
  )
}

function isEventAbi(name: string): name is EventAbiName {
  return (EVENT_ABI_NAMES as readonly string[]).includes(name)
}

function scriptOf(args: Arguments): ScriptStep[] {
  return args.inOrder.flatMap(({ name, value }): ScriptStep[] => {
    if (name === 'send') return [{ kind: 'send', text: unescapeText(value, '--send') }]
    return name === 'expect' ? [{ kind: 'expect', pattern: patternOf(value) }] : []
  })
}

function patternOf(text: string): RegExp {
  try {
    return new RegExp(text, 'm')
  } catch (cause) {
    throw new UsageError(
      `--expect "${text}" is no regular expression.`,
      cause instanceof Error ? `${cause.message}.` : String(cause),
      'Put a backslash before ( ) [ ] { } . * + ? ^ $ | and \\ to mean the character itself.',
    )
  }
}

function checkImage(what: string, path: string): void {
  try {
    accessSync(path, constants.R_OK)
    if (statSync(path).isFile()) return
  } catch (cause) {
    const code = cause instanceof Error && 'code' in cause ? cause.code : undefined
    const why = code === 'ENOENT' ? 'There is no such file.' : 'This user may not read it.'
    throw new UserError(`Cannot read the ${what} ${path}.`, why, `Check the path of --${what}.`)
  }
  throw new UserError(
    `Cannot read the ${what} ${path}.`,
    'It is no file.',
    `Give --${what} a file.`,
  )
}
