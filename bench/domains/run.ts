// Many domains on one host, as its users have them: created one after the other through the host's
// socket while those before them boot, listed by the command, and then all idle. Two kinds of guest:
// GRUB's Xen image, which runs in 32 MiB; and Debian's cloud kernel with busybox, which boots in 80 MiB
// and no less (its kernel alone reaches up to 62 MiB), as many as the host's memory holds.
//
// tools/bench domains [--domains N] [--only grub|linux]

import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { plainText } from '../../src/node/console-text.ts'
import { debianFile, demoGuest } from '../../src/node/debian-guests.ts'
import { HostClient } from '../../src/node/host-process/client.ts'
import { serveHost } from '../../src/node/host-process/serve.ts'
import { readGuestFile } from '../../src/toolstack/guest-file/guest-file.ts'
import { DEMO_PROMPT } from '../../src/toolstack/image/demo-ramdisk.ts'
import { median } from '../statistics.ts'

const MAIN = join(import.meta.dirname, '../../src/cli/main.ts')
const IDLE_SECONDS = 10
const LISTINGS = 5
/** Bytes of the host's memory that domains can have, with room for what a processor needs. */
const ROOM_MIB = 3700

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

const grub = await debianFile('grub-xen-host', 'usr/lib/grub-xen/grub-i386-xen_pvh.bin')
const linux = await demoGuest({ say: (line) => console.error(line) })
const KINDS: Readonly<Record<string, Kind>> = {
  grub: { title: "GRUB's Xen image", settings: `kernel="${grub}"`, memoryMiB: 32, prompt: 'grub>' },
  linux: {
    title: "Debian's kernel, busybox",
    settings: `kernel="${linux.kernel}"; ramdisk="${linux.ramdisk}"; cmdline="console=hvc0 quiet cryptomgr.notests"`,
    memoryMiB: 80,
    prompt: DEMO_PROMPT,
  },
}

for (const [name, kind] of Object.entries(KINDS)) {
  if (values.only === undefined || values.only === name) await measure(kind)
}

async function measure({ title, settings, memoryMiB, prompt }: Kind): Promise<void> {
  const count = Math.min(Number(values.domains), Math.floor(ROOM_MIB / memoryMiB))
  const folder = mkdtempSync(join(tmpdir(), 'xenolith-domains-'))
  const env = { ...process.env, XENOLITH_RUNTIME_DIR: join(folder, 'run'), XENOLITH_HOST: '' }
  const served = await serveHost({ name: 'default', time: 'real', env })
  const client = new HostClient(served.socket)
  const start = performance.now()
  const passed = () => (performance.now() - start) / 1000
  for (let i = 0; i < count; i++) {
    const text = `name="d${i}"; type="pvh"; memory=${memoryMiB}; ${settings}\n`
    const { guest } = readGuestFile([{ name: `d${i}.cfg`, text }])
    await client.call('create', { guest, isPaused: false })
  }
  const made = passed()
  const isUp = ({ running }: { running: { console: { text(): string } } }) =>
    plainText(running.console.text()).trimEnd().endsWith(prompt.trimEnd())
  while (!served.table.all().every(isUp)) await sleep(100)
  const up = passed()
  const calls: number[] = []
  const commands: number[] = []
  for (let i = 0; i < LISTINGS; i++) {
    const before = performance.now()
    if ((await client.call('list', {})).length !== count) throw new Error('some are missing')
    calls.push(performance.now() - before)
  }
  await sleep(2000)
  const before = process.cpuUsage()
  await sleep(IDLE_SECONDS * 1000)
  const { user, system } = process.cpuUsage(before)
  const idle = (user + system) / 1e6 / IDLE_SECONDS
  for (let i = 0; i < LISTINGS; i++) commands.push(await listing(env))
  console.log(
    `${count} of ${title}, ${memoryMiB} MiB each: created in ${made.toFixed(1)} s, all up after ` +
      `${up.toFixed(1)} s; listed in ${median(calls).toFixed(0)} ms (the command: ` +
      `${median(commands).toFixed(0)} ms); idle at ${(100 * idle).toFixed(1)} % of a processor`,
  )
  await served.stop()
  rmSync(folder, { recursive: true })
}

/** Milliseconds that `xenolith list` takes, from its start to its end. */
async function listing(env: NodeJS.ProcessEnv): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const before = performance.now()
  const child = execFile(process.execPath, [MAIN, 'list'], { env }, (error) =>
    error ? reject(error) : resolve(),
  )
  child.stdin?.end()
  await promise
  return performance.now() - before
}
