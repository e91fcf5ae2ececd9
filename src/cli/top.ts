// top: the domains and what they take, again and again, in the columns of xentop.

import { setTimeout as sleep } from 'node:timers/promises'
import type { HostClient } from '../node/host-process/client.ts'
import { RawTerminal } from '../node/raw-terminal.ts'
import { cpuSeconds, type DomainInfo, stateLetters } from '../toolstack/domain-info.ts'
import { EXIT_OK } from './exit-status.ts'
import { HOST_OPTION, JSON_OPTION, runningHost } from './host-option.ts'
import type { Context, Verb } from './verb.ts'

/** The columns of xentop(1), with its widths; it shows a bare name in ten letters as well. */
const COLUMNS: readonly (readonly [title: string, width: number])[] = [
  ['NAME', 10],
  ['STATE', 6],
  ['CPU(sec)', 10],
  ['CPU(%)', 6],
  ['MEM(k)', 10],
  ['MEM(%)', 6],
  ['MAXMEM(k)', 10],
  ['MAXMEM(%)', 9],
  ['VCPUS', 5],
  ['NETS', 4],
  ['NETTX(k)', 8],
  ['NETRX(k)', 8],
  ['VBDS', 4],
  ['VBD_OO', 8],
  ['VBD_RD', 8],
  ['VBD_WR', 8],
  ['VBD_RSECT', 10],
  ['VBD_WSECT', 10],
  ['SSID', 4],
]
const KIB = 1024
const CTRL_C = 3
const ENTER_SCREEN = '\x1b[?1049h\x1b[?25l'
const LEAVE_SCREEN = '\x1b[?25h\x1b[?1049l'
const HOME = '\x1b[H'
const CLEAR_LINE = '\x1b[K'
const CLEAR_BELOW = '\x1b[J'

export const top: Verb = {
  name: 'top',
  summary: 'watch the domains and what they take',
  options: [
    {
      name: 'delay',
      short: 'd',
      value: 'SECONDS',
      kind: 'number',
      least: 0.1,
      most: 3600,
      summary: 'between two looks',
      otherwise: '3',
    },
    {
      name: 'iterations',
      short: 'i',
      value: 'N',
      kind: 'integer',
      least: 1,
      summary: 'look so often, then end',
      otherwise: 'until q is typed; once where there is no terminal',
    },
    { name: 'batch', short: 'b', summary: 'print one table below the other' },
    { name: 'full-name', short: 'f', summary: 'print names whole' },
    JSON_OPTION,
    HOST_OPTION,
  ],
  examples: [
    ['xenolith top', 'watch; q leaves'],
    ['xenolith top -b -i 2 -d 1', 'two tables, a second apart'],
  ],
  async run(args, context) {
    const client = await runningHost(args, context)
    const isLive =
      context.stdout.isTTY === true &&
      context.stdin.isTTY === true &&
      !args.flag('batch') &&
      !args.flag('json')
    const delayMs = (args.number('delay') ?? 3) * 1000
    const most =
      args.number('iterations') ?? (isLive || args.flag('batch') ? Number.POSITIVE_INFINITY : 1)
    const look = new Look(client, args.flag('json'), args.flag('full-name'))
    return isLive ? watch(look, delayMs, most, context) : print(look, delayMs, most, context)
  },
}

async function print(look: Look, delayMs: number, most: number, context: Context): Promise<number> {
  const stop = new AbortController()
  context.stdout.on('error', () => stop.abort())
  for (let i = 0; i < most && !stop.signal.aborted; i++) {
    if (i > 0) await sleep(delayMs, undefined, { signal: stop.signal }).catch(() => {})
    context.stdout.write(`${(await look.lines()).join('\n')}\n`)
  }
  return EXIT_OK
}

async function watch(look: Look, delayMs: number, most: number, context: Context): Promise<number> {
  const { stdin, stdout, process } = context
  const terminal = new RawTerminal(stdin, process)
  const stop = new AbortController()
  const onData = (keys: Uint8Array) => {
    if (keys.includes(CTRL_C) || keys.includes('q'.charCodeAt(0))) stop.abort()
  }
  const onSignal = () => stop.abort()
  const leave = () => void stdout.write(LEAVE_SCREEN)
  terminal.enter()
  stdin.on('data', onData)
  process.on('SIGTERM', onSignal)
  process.on('SIGHUP', onSignal)
  process.on('exit', leave)
  stdout.write(ENTER_SCREEN)
  try {
    for (let i = 0; i < most && !stop.signal.aborted; i++) {
      const lines = (await look.lines()).slice(0, (stdout.rows ?? 24) - 2)
      const width = stdout.columns ?? 80
      const screen = [...lines, '', 'q leaves'].map((line) => line.slice(0, width) + CLEAR_LINE)
      stdout.write(HOME + screen.join('\r\n') + CLEAR_BELOW)
      await sleep(delayMs, undefined, { signal: stop.signal }).catch(() => {})
    }
  } finally {
    process.off('exit', leave)
    process.off('SIGTERM', onSignal)
    process.off('SIGHUP', onSignal)
    stdin.off('data', onData)
    stdin.pause()
    leave()
    terminal.leave()
  }
  return EXIT_OK
}

/** Looks at the host again and again; knows what it has seen before. */
class Look {
  readonly #client: HostClient
  readonly #isJson: boolean
  readonly #isFullName: boolean
  readonly #before = new Map<number, number>()
  #at = 0

  constructor(client: HostClient, isJson: boolean, isFullName: boolean) {
    this.#client = client
    this.#isJson = isJson
    this.#isFullName = isFullName
  }

  async lines(): Promise<string[]> {
    const [host, domains] = await Promise.all([
      this.#client.call('host', {}),
      this.#client.call('list', {}),
    ])
    const now = performance.now() / 1000
    // The first look is since the start of each.
    const rows = domains.map((info) => {
      const seconds = cpuSeconds(info)
      const before = this.#before.get(info.id)
      const elapsed = before === undefined ? info.uptime : now - this.#at
      const percent = elapsed > 0 ? (100 * (seconds - (before ?? 0))) / elapsed : 0
      this.#before.set(info.id, seconds)
      return { info, seconds, percent }
    })
    this.#at = now
    const { totalMemoryKiB: total, freeMemoryKiB: free } = host
    if (this.#isJson) {
      const plain = rows.map(({ info, percent }) => ({ ...info, cpuPercent: percent }))
      return [JSON.stringify({ totalMemoryKiB: total, freeMemoryKiB: free, domains: plain })]
    }
    const states = rows.map(({ info }) => stateLetters(info))
    const count = (letter: string) => states.filter((state) => state.includes(letter)).length
    return [
      `xenolith top - ${new Date().toTimeString().slice(0, 8)}   host "${host.name}" ${host.version}`,
      `${rows.length} domains: ${count('r')} running, ${count('b')} blocked, ${count('p')} paused, ` +
        `${count('c')} crashed, ${count('d')} dying, ${count('s')} shutdown`,
      `Mem: ${total}k total, ${total - free}k used, ${free}k free    CPUs: 1`,
      line(COLUMNS.map(([title]) => title)),
      ...rows.map(({ info, seconds, percent }) => {
        const name = this.#isFullName ? info.name : info.name.slice(0, 10)
        return line([name, ...cells(info, seconds, percent, total)])
      }),
    ]
  }
}

function line(texts: readonly string[]): string {
  return COLUMNS.map(([, width], i) => (texts[i] ?? '').padStart(width)).join(' ')
}

/** What stands behind the name. There are no out-of-request events, and no security labels. */
function cells(info: DomainInfo, seconds: number, percent: number, total: number): string[] {
  const share = (kib: number) => ((100 * kib) / total).toFixed(1)
  const { traffic } = info
  const numbers = [
    info.vcpus.length,
    traffic.networks,
    Math.floor(traffic.sentBytes / KIB),
    Math.floor(traffic.receivedBytes / KIB),
    traffic.disks,
    0,
    traffic.reads,
    traffic.writes,
    traffic.readSectors,
    traffic.writtenSectors,
    0,
  ]
  return [
    stateLetters(info),
    String(Math.floor(seconds)),
    percent.toFixed(1),
    String(info.memoryKiB),
    share(info.memoryKiB),
    String(info.maxMemoryKiB),
    share(info.maxMemoryKiB),
    ...numbers.map(String),
  ]
}
