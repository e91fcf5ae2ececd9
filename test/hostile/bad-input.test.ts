// What the command says to input that is wrong: three lines and a status, no stack trace, and
// nothing that keeps running. The host is the real one, in this process.

import assert from 'node:assert/strict'
import { EventEmitter } from 'node:events'
import * as fs from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { after, test } from 'node:test'
import { runCommand } from '../../src/cli/command.ts'
import {
  EXIT_CRASH,
  EXIT_OK,
  EXIT_REBOOT,
  EXIT_TIME_LIMIT,
  EXIT_USAGE,
  EXIT_USER_ERROR,
} from '../../src/cli/exit-status.ts'
import { VERBS } from '../../src/cli/verbs.ts'
import { defaultCacheFolder } from '../../src/node/artifact-cache.ts'
import { UserError } from '../../src/base/errors.ts'
import { nodeDecompressors } from '../../src/node/decompressors.ts'
import { Host } from '../../src/node/host.ts'
import { planPvh } from '../../src/toolstack/build/pvh.ts'
import { openKernel } from '../../src/toolstack/image/kernel.ts'
import { PT_LOAD } from '../../src/toolstack/image/elf.ts'
import { tinyElf } from '../../src/toolstack/image/tiny-elf.ts'
import { tinyBzImage, tinyPvhElf } from '../../src/toolstack/image/tiny-kernel.ts'
import { kernel32, kernel64 } from './hostile-guest.ts'
import { Random } from './random.ts'

const scratch = fs.mkdtempSync(join(tmpdir(), 'xenolith-bad-input-'))
after(() => fs.rmSync(scratch, { recursive: true, force: true }))

function file(name: string, bytes: Uint8Array | string): string {
  const path = join(scratch, name)
  fs.writeFileSync(path, bytes)
  return path
}

interface Result {
  readonly status: number
  readonly out: string
  readonly err: string
}

async function xenolith(...argv: string[]): Promise<Result> {
  const texts = { stdout: '', stderr: '' }
  const streams = { stdin: new PassThrough(), stdout: new PassThrough(), stderr: new PassThrough() }
  for (const name of ['stdout', 'stderr'] as const) {
    streams[name].on('data', (bytes: Buffer) => {
      texts[name] += bytes.toString()
    })
  }
  streams.stdin.end()
  const before = running()
  const status = await runCommand(argv, {
    verbs: VERBS,
    ...streams,
    process: new EventEmitter(),
    env: {},
    createHost: (options) => Host.create(options),
    connectHost: async () => undefined,
    serveHost: () => Promise.reject(new Error('no host is served here')),
    demoGuest: async () => ({ kernel: '', ramdisk: '' }),
  })
  assert.equal(running(), before, 'no timer is left')
  return { status, out: texts.stdout, err: texts.stderr }
}

function running(): number {
  return process.getActiveResourcesInfo().filter((kind) => /Timeout|Immediate/.test(kind)).length
}

/** Three lines: what failed, why, what to do; the last ones of what was said. */
function isRefusal({ status, out, err }: Result, expected: number, pattern: RegExp): void {
  const lines = err.trimEnd().split('\n')
  assert.equal(status, expected, err)
  assert.equal(lines.length, 3, err)
  assert.match(err, pattern)
  assert.doesNotMatch(err, /^ +at |node:|undefined|NaN|\[object|bug in Xenolith/m)
  for (const line of lines) assert.match(line, /^\S.*[.?)*]$/, line)
  assert.equal(out, '')
}

const good = file('good', kernel32('cli\nhlt'))

async function refusesKernel(bytes: Uint8Array | string, pattern: RegExp, ...more: string[]) {
  const path = file('kernel', bytes)
  isRefusal(await xenolith('run', '--kernel', path, ...more), EXIT_USER_ERROR, pattern)
}

test('a small kernel that is in order runs', async () => {
  assert.equal((await xenolith('run', '--kernel', good)).status, EXIT_OK)
})

test('options and values that do not exist are a wrong use', async () => {
  const wrong: [string[], RegExp][] = [
    [['--vcpus', '0'], /--vcpus cannot be "0"/],
    [['--vcpus', '1000'], /from 1 to 128/],
    [['--vcpus', 'abc'], /"abc"/],
    [['--vcpus', '1e1'], /"1e1"/],
    [['--vcpus=-1'], /"-1"/],
    [['--vcpus', '1.5'], /"1\.5"/],
    [['--memory', '0'], /--memory cannot be "0"/],
    [['--memory', '99999999999999999999'], /--memory cannot be/],
    [['--memory', ''], /--memory cannot be ""/],
    [['--time', 'imaginary'], /virtual, real/],
    [['--timeout', '0'], /--timeout/],
    [['--timeout', 'soon'], /"soon"/],
    [['--expect', '('], /no regular expression/],
    [['--colour'], /Unknown option "--colour"/],
    [['--kernel'], /needs a value/],
    [['surplus'], /too much/],
  ]
  for (const [more, pattern] of wrong) {
    isRefusal(await xenolith('run', '--kernel', good, ...more), EXIT_USAGE, pattern)
  }
  isRefusal(await xenolith('rum'), EXIT_USAGE, /Did you mean "run"/)
  isRefusal(await xenolith('run'), EXIT_USAGE, /nothing to boot/)
})

test('files that are missing, folders, devices, too large or unreadable are named', async () => {
  const huge = file('huge', '')
  fs.truncateSync(huge, 5 * 2 ** 30)
  const paths: [string, RegExp][] = [
    [join(scratch, 'missing'), /no such file/],
    [join(good, 'beneath'), /Cannot read/],
    [scratch, /It is no file/],
    ['/dev/zero', /It is no file/],
    ['/proc/self/mem', /Cannot read/],
    [huge, /Cannot read/],
    ['', /Cannot read/],
    ['a\0b', /Cannot read/],
  ]
  for (const [path, pattern] of paths) {
    isRefusal(await xenolith('run', '--kernel', path), EXIT_USER_ERROR, pattern)
    isRefusal(await xenolith('run', '--kernel', good, '--ramdisk', path), EXIT_USER_ERROR, pattern)
  }
})

test('a log that cannot be written is named', async () => {
  const log = join(scratch, 'no', 'such', 'folder')
  const result = await xenolith('run', '--kernel', good, '--console-log', log)
  isRefusal(result, EXIT_USER_ERROR, /console log/)
})

test('processor models and traces that do not exist are refused', async () => {
  const model = await xenolith('run', '--kernel', good, '--cpu', 'Z80')
  isRefusal(model, EXIT_USER_ERROR, /no processor model "Z80"/)
})

test('images that are no kernels are refused', async () => {
  const random = new Random(7)
  await refusesKernel('', /The file is empty/)
  await refusesKernel('#!/bin/sh\n', /It is a script/)
  await refusesKernel(random.bytes(100_000), /neither an ELF file nor a Linux bzImage/)
  const segment = { type: PT_LOAD, paddr: 0x100000n, data: Uint8Array.of(0xf4) }
  await refusesKernel(tinyElf({ bits: 64, segments: [segment] }), /./)
  await refusesKernel(tinyElf({ bits: 32, segments: [] }), /./)
  await refusesKernel(tinyBzImage(random.bytes(5000)), /./)
})

/** What the library makes of an image: a plan, or an error for the user; nothing else. */
async function isReadOrRefused(bytes: Uint8Array): Promise<void> {
  try {
    const kernel = await openKernel(bytes, 'kernel', nodeDecompressors)
    planPvh({ kernel, memoryBytes: 4 << 20, commandLine: '', ramdisk: undefined })
  } catch (error) {
    if (!(error instanceof UserError)) throw error
  }
}

test('a kernel that is cut off anywhere is refused, or runs', async () => {
  const whole = fs.readFileSync(good)
  for (let length = 1; length < whole.length; length++) {
    await isReadOrRefused(whole.subarray(0, length))
  }
  for (let length = 11; length < whole.length; length += 31) {
    const path = file('cut', whole.subarray(0, length))
    const result = await xenolith('run', '--kernel', path, '-m', '2')
    if (result.status !== EXIT_OK) isRefusal(result, EXIT_USER_ERROR, /./)
  }
})

test('a kernel with any of its bytes changed is refused, or does something', async () => {
  const whole = Uint8Array.from(fs.readFileSync(good))
  const random = new Random(99)
  const change = () => {
    const changed = whole.slice()
    for (let n = 0; n <= random.below(3); n++)
      changed[random.below(whole.length)] = random.below(256)
    return changed
  }
  for (let i = 0; i < 3000; i++) await isReadOrRefused(change())
  for (let i = 0; i < 12; i++) {
    const path = file('changed', change())
    const result = await xenolith('run', '--kernel', path, '-m', '4', '--timeout', '0.2')
    if (result.status === EXIT_USER_ERROR) isRefusal(result, EXIT_USER_ERROR, /./)
    else assert.ok([EXIT_OK, EXIT_CRASH, EXIT_TIME_LIMIT, EXIT_REBOOT].includes(result.status))
  }
})

test('a Debian kernel that is cut off is refused', async (t) => {
  const path = join(defaultCacheFolder(), 'linux-cloud', 'vmlinuz')
  if (!fs.existsSync(path)) return t.skip('the kernel was not fetched')
  const whole = fs.readFileSync(path)
  for (const length of [0x200, 0x300, 5000, whole.length >> 1, whole.length - 500_000]) {
    await refusesKernel(whole.subarray(0, length), /./)
  }
  await refusesKernel(whole, /memory/i, '--memory', '8')
})

test('memory that does not suffice is told', async () => {
  const big = { type: PT_LOAD, paddr: 0x100000n, memsz: 16n << 20n, data: Uint8Array.of(0xf4) }
  await refusesKernel(tinyPvhElf(0x100000n, [big]), /memory/i, '--memory', '8')
  await refusesKernel(fs.readFileSync(good), /memory/i, '--memory', '99999')
  await refusesKernel(fs.readFileSync(good), /memory/i, '--memory', '9007199254740991')
  await refusesKernel(fs.readFileSync(good), /memory/i, '--memory', '1')
  const ramdisk = file('ramdisk', new Uint8Array(20 << 20))
  const more = ['--ramdisk', ramdisk, '--memory', '16']
  await refusesKernel(fs.readFileSync(good), /memory/i, ...more)
})

test('segments at addresses where no memory can be are refused', async () => {
  const at = (paddr: bigint, memsz = 1n) =>
    tinyPvhElf(0x100000n, [{ type: PT_LOAD, paddr, memsz, data: Uint8Array.of(0xf4) }])
  await refusesKernel(at(0xfffffffen, 16n), /./)
  await refusesKernel(at(0xff000000n), /./)
  await refusesKernel(at(0x100000n, 0xffffffffn), /./)
})

test('a command line that is too long is refused', async () => {
  const long = 'x'.repeat(1_000_000)
  await refusesKernel(fs.readFileSync(good), /command line|memory/i, '--cmdline', long, '-m', '1')
})

test('a ramdisk of random bytes is the guest’s affair', async () => {
  const ramdisk = file('random', new Random(3).bytes(50_001))
  assert.equal((await xenolith('run', '--kernel', good, '--ramdisk', ramdisk)).status, EXIT_OK)
})

test('guests that go wrong end the command with the documented status', async () => {
  const run = (source: string, ...more: string[]) =>
    xenolith('run', '--kernel', file('guest', kernel32(source)), '-m', '8', ...more)
  const crash = await run('ud2')
  assert.equal(crash.status, EXIT_CRASH)
  assert.match(crash.err, /crashed .*: triple fault at RIP 0x100000: vector 6 /)
  const nowhere = await run('mov eax, 0xd0000000\njmp eax')
  assert.equal(nowhere.status, EXIT_CRASH)
  assert.match(nowhere.err, /RIP 0xd0000000/)
  const endless = await run('jmp $', '--timeout', '0.3')
  assert.equal(endless.status, EXIT_TIME_LIMIT)
  const waits = await run('sti\nhlt\njmp $', '--timeout', '0.3')
  assert.equal(waits.status, EXIT_TIME_LIMIT)
  const ends: [number, number][] = [
    [0, EXIT_OK],
    [1, EXIT_REBOOT],
    [3, EXIT_CRASH],
    [4, EXIT_CRASH],
    [77, EXIT_CRASH],
    [255, EXIT_CRASH],
  ]
  for (const [reason, status] of ends) {
    const path = file('guest', kernel64(`main: mov edi, ${reason}\njmp shutdown`))
    assert.equal((await xenolith('run', '--kernel', path, '-m', '8')).status, status, `${reason}`)
  }
})
