// create: makes a domain from a guest file, on the host process, which is started if none runs.

import { formatDiskSpec } from '../toolstack/disk-spec.ts'
import type { GuestFile, GuestFileReading } from '../toolstack/guest-file/guest-file.ts'
import { formatVifSpec } from '../toolstack/vif-config.ts'
import { attachConsole } from './console-session.ts'
import { EXIT_OK } from './exit-status.ts'
import { GUEST_FILE_OPTIONS, guestFileOf } from './guest-file-options.ts'
import { HOST_OPTION, startedHost } from './host-option.ts'
import { makeTalk, type Talk } from './talk.ts'
import { waitForEnd } from './wait.ts'
import type { Verb } from './verb.ts'

export const create: Verb = {
  name: 'create',
  summary: 'create a domain from a guest file',
  operands: '[configfile] [key=value ...]',
  mostOperands: Number.POSITIVE_INFINITY,
  options: [
    { name: 'console', short: 'c', summary: 'attach to its console as soon as it has started' },
    { name: 'paused', short: 'p', summary: 'leave it paused' },
    { name: 'quiet', short: 'q', summary: 'say nothing but errors' },
    {
      name: 'dryrun',
      short: 'n',
      summary: 'create nothing: print what the guest file says, and where each value comes from',
    },
    { name: 'foreground', short: 'F', summary: 'wait until it is gone' },
    ...GUEST_FILE_OPTIONS,
    { name: 'json', summary: 'print events, or with -n the configuration, as JSON' },
    HOST_OPTION,
  ],
  examples: [
    ['xenolith create web.cfg -c', 'create a domain and attach to its console; leave with Ctrl-]'],
    ["xenolith create web.cfg 'memory=512; vcpus=2'", 'override what the guest file says'],
    ['xenolith create web.cfg -n', 'see what would be created'],
  ],
  description: [
    'Returns as soon as the domain has started, which does not mean that it has booted. Guest ' +
      'files are those of xl (xl.cfg(5)); docs/reference/guest-file.md tells what each key does ' +
      'here. A relative path in a guest file is meant from the folder that the command runs in.',
    'Settings on the command line count as if they stood at the end of the file. The shell takes ' +
      'quotes away: put all settings in one pair, separated by semicolons.',
  ],
  async run(args, context) {
    const isQuiet = args.flag('quiet')
    const isJson = args.flag('json')
    const reading = guestFileOf(args, args.operands, context, isQuiet)
    if (args.flag('dryrun')) {
      context.stdout.write(isJson ? `${JSON.stringify(reading.guest)}\n` : explain(reading))
      return EXIT_OK
    }
    const client = await startedHost(args, context)
    const { guest } = reading
    const talk = isQuiet ? SILENT : makeTalk(guest.name, context, isJson)
    const hasConsole = args.flag('console') && !isJson
    const isPaused = args.flag('paused')
    // Not before its console is attached: nothing of what it prints is missed.
    const info = await client.call('create', { guest, isPaused: isPaused || hasConsole }, (told) =>
      talk.phase(told.phase, told.ms, told.detail),
    )
    const domain = String(info.id)
    if (hasConsole) {
      const run = async () => {
        if (!isPaused) await client.call('unpause', { domain })
      }
      return attachConsole(client, info, context, { onAttached: run, hasPhases: true, isQuiet })
    }
    if (isJson) context.stdout.write(`${JSON.stringify({ event: 'created', ...info })}\n`)
    if (args.flag('foreground')) await waitForEnd(client, [info], 'gone')
    return EXIT_OK
  },
}

const SILENT: Pick<Talk, 'phase'> = { phase: () => {} }

/** The keys of a guest file by the field they are read into, where they are called differently. */
const KEY_OF: Readonly<Record<string, string>> = {
  commandLine: 'cmdline',
  memoryMiB: 'memory',
  maxMemoryMiB: 'maxmem',
  maxVcpus: 'maxvcpus',
  weight: 'cpu_weight',
  onPoweroff: 'on_poweroff',
  onReboot: 'on_reboot',
  onWatchdog: 'on_watchdog',
  onCrash: 'on_crash',
  eventChannelAbi: 'event_channel_abi',
  maxEventChannels: 'max_event_channels',
  maxGrantFrames: 'max_grant_frames',
  maxMaptrackFrames: 'max_maptrack_frames',
  maxGrantVersion: 'max_grant_version',
  bootloaderArgs: 'bootloader_args',
  disks: 'disk',
  vifs: 'vif',
}

/** A value as it stands in a guest file. */
function told(field: string, guest: GuestFile): unknown {
  if (field === 'disks') return guest.disks.map(formatDiskSpec)
  if (field === 'vifs') return guest.vifs.map(formatVifSpec)
  return guest[field as keyof GuestFile]
}

/** Each value that holds as a line of a guest file, with where it comes from as a comment. */
function explain({ guest, origins }: GuestFileReading): string {
  const lines = Object.entries(guest).flatMap(([field, value]): [string, string][] => {
    const key = KEY_OF[field] ?? field
    const isUnset = value === undefined || (Array.isArray(value) && value.length === 0)
    if (isUnset) return []
    const origin =
      key === 'cmdline' ? (origins[key] ?? origins['extra'] ?? origins['root']) : origins[key]
    return [[`${key} = ${JSON.stringify(told(field, guest))}`, origin ?? 'default']]
  })
  const width = Math.min(48, Math.max(...lines.map(([line]) => line.length)))
  return lines.map(([line, origin]) => `${line.padEnd(width)}  # ${origin}\n`).join('')
}
