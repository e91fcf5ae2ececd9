// Many domains on one host, as its users have them: a host process of its own, domains created one
// after the other while those before them boot, listed by the command while they boot and when all
// are idle, and what the process then takes of a processor. Three kinds of guest: the small Linux of
// tools/small-kernel with busybox, which the goals are for; Debian's cloud kernel with busybox, which
// boots in 80 MiB and no less, as many as the host's memory holds; and GRUB's Xen image.
//
// tools/bench domains [--domains N] [--only small|linux|grub]

import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs, promisify } from 'node:util'
import { ConsoleText } from '../../src/node/console-text.ts'
import { debianFile, demoGuest } from '../../src/node/debian-guests.ts'
import type { HostClient } from '../../src/node/host-process/client.ts'
import { connectHost } from '../../src/node/host-process/connect.ts'
import { readGuestFile } from '../../src/toolstack/guest-file/guest-file.ts'
import { DEMO_PROMPT } from '../../src/toolstack/image/demo-ramdisk.ts'
import { findSmallLinux, SMALL_LINUX_MIB } from '../../tools/small-linux.ts'
import { median } from '../statistics.ts'

const ROOT = join(import.meta.dirname, '../..')
const MAIN = join(ROOT, 'src/cli/main.ts')
const IDLE_SECONDS = 60
/**
 * What a boot leaves to do has its time first: its timers, and what a guest does when it wakes every
 * 4.3 seconds, which is decoded and translated the first times.
 */
const SETTLE_SECONDS = 30
const LISTINGS = 10
/** Time between two listings while domains boot: the processor is theirs. */
const LISTING_PAUSE_MS = 2000
/** The host's memory that domains can have, with room for what a processor needs. */
const ROOM_MIB = 3700
const TICKS_PER_SECOND = 100
/** Goals for 100 domains of 32 MiB: seconds, milliseconds, per cent of one processor. */
const GOALS = { created: 60, listed: 200, idle: 5 }

const { values } = parseArgs({
  options: { domains: { type: 'string', default: '100' }, only: { type: 'string' } },
})

interface Kind {
  readonly title: string
  readonly settings: string
  readonly memoryMiB: number
  /** What the console shows when it is up. */
  readonly prompt: string
}

const say = (line: string): void => console.error(line)

/** Each is fetched when it is its turn; undefined if it is not there. */
const KINDS: Readonly<Record<string, () => Promise<Kind | undefined>>> = {
  small: async () => {
    const files = await findSmallLinux()
    if (!files) {
      say('the small Linux is not measured: tools/small-kernel has not built it here')
      return undefined
    }
    const settings = `kernel="${files.kernel}"; ramdisk="${files.ramdisk}"; cmdline="console=hvc0 quiet"`
    return { title: 'a small Linux', settings, memoryMiB: SMALL_LINUX_MIB, prompt: DEMO_PROMPT }
  },
  linux: async () => {
    const { kernel, ramdisk } = await demoGuest({ say })
    const cmdline = 'console=hvc0 quiet cryptomgr.notests'
    const settings = `kernel="${kernel}"; ramdisk="${ramdisk}"; cmdline="${cmdline}"`
    return { title: "Debian's kernel", settings, memoryMiB: 80, prompt: DEMO_PROMPT }
  },
  grub: async () => {
    const kernel = await debianFile('grub-xen-host', 'usr/lib/grub-xen/grub-i386-xen_pvh.bin')
    const settings = `kernel="${kernel}"`
    return { title: "GRUB's Xen image", settings, memoryMiB: 32, prompt: 'grub>' }
  },
}

for (const [name, find] of Object.entries(KINDS)) {
  if (values.only !== undefined && values.only !== name) continue
  const kind = await find()
  if (kind) await measure(kind)
}

async function measure({ title, settings, memoryMiB, prompt }: Kind): Promise<void> {
  const count = Math.min(Number(values.domains), Math.floor(ROOM_MIB / memoryMiB))
  const folder = mkdtempSync(join(tmpdir(), 'xenolith-domains-'))
  // Of this process: the host process and the commands inherit it.
  const { env } = process
  Object.assign(env, { XENOLITH_RUNTIME_DIR: join(folder, 'run'), XENOLITH_HOST: '' })
  const flags = process.execArgv
  const start = [process.execPath, ...flags, MAIN, 'host', '--name', 'default', '--linger', '60']
  const client = (await connectHost({ env, start })) as HostClient
  const { pid } = await client.call('host', {})
  try {
    console.log(`${count} domains of ${title}, ${memoryMiB} MiB each:`)
    const row = (what: string, is: string, goal: string) =>
      console.log(`  ${what.padEnd(34)} ${is.padStart(24)}   ${goal}`)
    const times = (some: number[]) =>
      `${median(some).toFixed(0)} ms, ${Math.max(...some).toFixed(0)} at most`
    const seconds = (clock: number, used: number) =>
      `${clock.toFixed(1)} s, the host ${used.toFixed(1)} s`
    const begun = performance.now()
    const passed = () => (performance.now() - begun) / 1000
    const prompts: Promise<void>[] = []
    const isUp = new Set<string>()
    for (let i = 0; i < count; i++) {
      const text = `name="d${i}"; type="pvh"; memory=${memoryMiB}; ${settings}\n`
      const { guest } = readGuestFile([{ name: `d${i}.cfg`, text }])
      await client.call('create', { guest, isPaused: false })
      prompts.push(shows(client, `d${i}`, prompt, isUp))
    }
    const created = passed()
    const used = processorSeconds(pid)
    row('created', seconds(created, used), `goal: under ${GOALS.created} s`)
    const busy = [await listing()]
    while (isUp.size < count) {
      await sleep(LISTING_PAUSE_MS)
      busy.push(await listing())
    }
    await Promise.all(prompts)
    const up = passed()
    const usedUp = processorSeconds(pid)
    row('all at their prompt', seconds(up, usedUp), `${(usedUp / count).toFixed(2)} s each`)
    row('"xenolith list", while they boot', times(busy), `${busy.length} times`)
    await sleep(SETTLE_SECONDS * 1000)
    const before = processorSeconds(pid)
    await sleep(IDLE_SECONDS * 1000)
    const idle = (processorSeconds(pid) - before) / IDLE_SECONDS
    const quiet: number[] = []
    for (let i = 0; i < LISTINGS; i++) quiet.push(await listing())
    row('"xenolith list", idle', times(quiet), `goal: under ${GOALS.listed} ms`)
    row('the idle host', `${(100 * idle).toFixed(2)} %`, `goal: under ${GOALS.idle} % of a core`)
    const memory = residentMiB(pid)
    row('memory of the host', `${memory} MiB`, `${(memory / count).toFixed(1)} MiB each`)
  } finally {
    process.kill(pid, 'SIGTERM')
    rmSync(folder, { recursive: true })
  }
}

/** Resolves when a domain's console shows a prompt, and adds the domain to `isUp`. */
async function shows(
  client: HostClient,
  domain: string,
  prompt: string,
  isUp: Set<string>,
): Promise<void> {
  const console = await client.console(domain, 0)
  const text = new ConsoleText()
  let shown = ''
  while (!shown.trimEnd().endsWith(prompt.trimEnd())) {
    const [bytes] = (await once(console, 'data')) as [Uint8Array]
    shown = (shown + text.add(bytes)).slice(-1000)
  }
  console.destroy()
  isUp.add(domain)
}

/** Milliseconds that `xenolith list` takes, from its start to its end. */
async function listing(): Promise<number> {
  const before = performance.now()
  await promisify(execFile)(join(ROOT, 'xenolith'), ['list'])
  return performance.now() - before
}

/** What a process has in the machine's memory. (proc(5): VmRSS, in KiB.) */
function residentMiB(pid: number): number {
  const kib = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]
  return Math.round(Number(kib) / 1024)
}

/** What a process has had of processors, with all its threads. (proc(5): utime and stime.) */
function processorSeconds(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
    .replace(/^.*\) /, '')
    .split(' ')
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND
}
