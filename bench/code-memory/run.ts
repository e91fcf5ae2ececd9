// How much memory the code of a guest and the tables around it take while it works for long, with ever
// new code: a line each ten seconds, by the host's clock. In MiB: what lies in the host's memory below
// the guests' frames (decoded instructions, TLBs, jump caches), the modules of live regions, V8's
// machine code (pages that can be executed), its heap after a collection and that of the thread that
// translates, not collected, each less what it was before the guest ran; the sum of these; and the
// whole process without the guest's frames. At the end: the largest sum. An hour:
// `nohup tools/bench code-memory --seconds 3600 >figures &`.
//
// tools/bench code-memory [--seconds N] [--translate hot|always]
//
// `always` makes a region of every block: their limit is reached within a minute.

import { closeSync, mkdtempSync, openSync, readFileSync, readSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { threadHeapBytes } from '../../src/node/compiler-thread.ts'
import { Host } from '../../src/node/host.ts'
import { makeMixedWork } from './ramdisk.ts'

const MIB = 2 ** 20
const PRINT_MS = 10_000
/** The thread that translates has read its program by then. */
const LOAD_MS = 3000
const GUEST_MIB = 256
const PAGE = 4096
/** An entry of /proc/self/pagemap: 8 bytes, of which bit 63 says that the page is in memory. */
const ENTRY = 8
const PRESENT = 0x80

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '240' },
    translate: { type: 'string', default: 'hot' },
  },
})
const seconds = Number(values.seconds)
const translation = values.translate === 'always' ? 'always' : 'hot'

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

const COLUMNS = [
  ...['seconds', 'M instr.', 'rounds', 'regions', 'made', 'evicted', 'dropped', 'flushes'],
  ...['tables', 'modules', 'machine', 'heap', 'thread', 'sum', 'process'],
]

interface Resident {
  /** Bytes of the pages that can be executed and belong to no file. */
  readonly machineCode: number
  /** Of the pages of the host's memory below the guests' frames, and of all its pages. */
  readonly tables: number
  readonly memory: number
  readonly all: number
}

/** What of this process is in memory. `memoryBytes`, `tableBytes`: sizes of what is looked for. */
function resident(memoryBytes: number, tableBytes: number): Resident {
  const found = { machineCode: 0, tables: 0, memory: 0, all: 0 }
  for (const area of readFileSync('/proc/self/smaps', 'utf8').split(/\n(?=[0-9a-f]+-[0-9a-f]+ )/)) {
    const [, from = '0', to = '0', rights = ''] = /^(\w+)-(\w+) (\S+)/.exec(area) ?? []
    const bytes = Number(/^Rss: +(\d+)/m.exec(area)?.[1] ?? 0) * 1024
    const isAnonymous = / 00:00 0 *\n/.test(area)
    found.all += bytes
    if (isAnonymous && rights.includes('x')) found.machineCode += bytes
    const start = Number.parseInt(from, 16)
    if (Number.parseInt(to, 16) - start < memoryBytes) continue
    found.memory += bytes
    found.tables += present(start, tableBytes)
  }
  return found
}

/** Bytes of an area's pages that are in memory. */
function present(start: number, bytes: number): number {
  const entries = Buffer.alloc(Math.ceil(bytes / PAGE) * ENTRY)
  const pagemap = openSync('/proc/self/pagemap', 'r')
  readSync(pagemap, entries, 0, entries.length, (start / PAGE) * ENTRY)
  closeSync(pagemap)
  let pages = 0
  for (let at = ENTRY - 1; at < entries.length; at += ENTRY) {
    if ((entries[at] as number) & PRESENT) pages++
  }
  return pages * PAGE
}

function heap(): number {
  collect()
  return process.memoryUsage().heapUsed
}

const folder = mkdtempSync(join(tmpdir(), 'xenolith-mixed-'))
try {
  const { kernel, ramdisk } = await makeMixedWork(folder)
  const host = await Host.create({ time: 'virtual', translation })
  const cmdline = 'console=hvc0 cryptomgr.notests quiet'
  const domain = await host.createDomain({
    name: 'mixed',
    kernel,
    ramdisk,
    cmdline,
    memoryMiB: GUEST_MIB,
    vcpus: 1,
  })
  const { engine, memory } = host.xen
  let rounds = 0
  domain.console.onOutput((bytes) => {
    rounds += Buffer.from(bytes).toString('latin1').split('@round').length - 1
  })
  console.log(COLUMNS.map((name) => name.padStart(9)).join(''))
  const frames = memory.areas.find(({ name }) => name === 'machine frames')?.offset ?? 0
  const before = heap()
  await new Promise((resolve) => setTimeout(resolve, LOAD_MS))
  const threadBefore = await threadHeapBytes()
  const start = performance.now()
  let largest = 0
  const print = async () => {
    const { counters, liveBytes } = engine.translator
    const grown = heap() - before
    const { machineCode, tables, memory: pages, all } = resident(memory.size, frames)
    const thread = (await threadHeapBytes()) - threadBefore
    const sum = tables + liveBytes + machineCode + grown + thread
    largest = Math.max(largest, sum)
    const figures = [
      (performance.now() - start) / 1000,
      host.xen.hypervisor.scheduler.counters.instructions / 1e6,
      rounds,
      counters.live,
      counters.regions,
      counters.evicted,
      counters.dropped,
      engine.code.flushes,
      ...[tables, liveBytes, machineCode, grown, thread, sum].map((bytes) => bytes / MIB),
      (all - pages + tables) / MIB,
    ]
    console.log(figures.map((figure) => figure.toFixed(0).padStart(9)).join(''))
  }
  const timer = setInterval(() => void print(), PRINT_MS)
  host.start()
  await new Promise((resolve) => setTimeout(resolve, seconds * 1000))
  clearInterval(timer)
  await print()
  console.log(`largest sum: ${(largest / MIB).toFixed(0)} MiB, in ${rounds} rounds of all programs`)
  host.stop()
  domain.destroy()
} finally {
  rmSync(folder, { recursive: true })
}
