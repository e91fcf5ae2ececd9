// The commands of docs/how-to/profile-a-guest.md are run as they stand, in a folder that has what they
// name, and do what the page says.

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import {
  copyFileSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { after, before, test } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { demoGuest } from '../../src/node/debian-guests.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const PAGE = join(ROOT, 'docs/how-to/profile-a-guest.md')
const TIMEOUT_MS = 5 * 60_000
const MOST_TRIES = 300
const KERNEL_START = 'ffffffff81000000 T everything_in_the_kernel\n'
const GUEST_FILE = `
name = "web"
type = "pvh"
memory = 128
kernel = "vmlinuz"
ramdisk = "initrd.gz"
extra = "console=hvc0"
`

const folder = mkdtempSync(join(tmpdir(), 'xenolith-profile-'))
const commands = [...readFileSync(PAGE, 'utf8').matchAll(/^```sh\n([^]*?)^```$/gm)].map(
  ([, code = '']) => code,
)

function run(command: string): { out: string; err: string } {
  const { status, stdout, stderr } = spawnSync('sh', ['-c', command], {
    cwd: folder,
    encoding: 'utf8',
    timeout: TIMEOUT_MS,
    env: {
      ...process.env,
      PATH: [dirname(process.execPath), process.env['PATH']].join(delimiter),
      XENOLITH_RUNTIME_DIR: join(folder, 'run'),
    },
  })
  assert.equal(status, 0, `${command}\n${stdout}${stderr}`)
  return { out: stdout, err: stderr }
}

/** Names of the functions of WebAssembly in a profile. */
function namesIn(file: string): string[] {
  const { nodes } = JSON.parse(readFileSync(join(folder, file), 'utf8')) as {
    nodes: { callFrame: { url: string; functionName: string } }[]
  }
  return nodes
    .filter(({ callFrame }) => callFrame.url.startsWith('wasm:'))
    .map(({ callFrame }) => callFrame.functionName)
}

before(async () => {
  const { kernel, ramdisk } = await demoGuest()
  copyFileSync(kernel, join(folder, 'vmlinuz'))
  copyFileSync(ramdisk, join(folder, 'initrd.gz'))
  writeFileSync(join(folder, 'System.map'), KERNEL_START)
  writeFileSync(join(folder, 'web.cfg'), GUEST_FILE)
  symlinkSync(join(ROOT, 'xenolith'), join(folder, 'xenolith'))
})

after(() => rmSync(folder, { recursive: true }))

test('the page has six commands', () => {
  assert.equal(commands.length, 6)
})

const [profile = '', list = '', stats = '', node = '', host = '', symbols = ''] = commands

test('a run is profiled: a table of the guest’s functions, and a file with their names', () => {
  const { err } = run(profile)
  assert.match(err, /\ntime by code of the guest +ms +%\n/)
  // gzip is the guest's most urgent program.
  assert.match(err, /\nuser 0x[0-9a-f]+ +[\d.]+ +[\d.]+\n/)
  const names = namesIn('run.cpuprofile')
  assert.ok(names.some((name) => /^[a-z_][\w.]*(\+0x[0-9a-f]+)?$/.test(name)))
  assert.ok(names.some((name) => /^user 0x[0-9a-f]+$/.test(name)))
})

test('the functions of the kernel are listed from the file', () => {
  assert.match(run(list).out, /'[a-z_][\w.]*'/)
})

test('statistics are printed in groups', () => {
  assert.match(run(stats).err, /\ninstructions +[\d,]+\n {2}interpreted +[\d,]+\n {2}translated +/)
})

const hasSymbols = (file: string) =>
  namesIn(file).some((name) => /^[a-z_]\w+\+0x[0-9a-f]+$/.test(name))

test('Node’s own profile has the names as well', () => {
  run(node)
  assert.ok(hasSymbols('host.cpuprofile'))
})

test('so has that of a host process', async () => {
  run(host)
  // One is the command's; that of the host comes when its process is gone.
  const isThere = () =>
    readdirSync(join(folder, 'profiles')).some((name) => {
      try {
        return hasSymbols(join('profiles', name))
      } catch {
        return false
      }
    })
  for (let tries = 0; tries < MOST_TRIES && !isThere(); tries++) await setTimeout(100)
  assert.ok(isThere())
})

test('symbols that are given are used in place of the kernel’s own', () => {
  const { err } = run(symbols)
  assert.match(err, /\neverything_in_the_kernel +[\d.]+ +[\d.]+\n/)
})
