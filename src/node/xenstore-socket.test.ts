// Xen's own tools against our daemon: xenstore-read and the others, of Debian's xenstore-utils.

import assert from 'node:assert/strict'
import { execFile, execFileSync, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { promisify } from 'node:util'
import { UserError } from '../base/errors.ts'
import { Xenstored } from '../backends/xenstore/xenstored.ts'
import { serveXenstore, type XenstoreSocket } from './xenstore-socket.ts'

const isInstalled = hasTools()
const folder = mkdtempSync(join(tmpdir(), 'xenstore-'))
const path = join(folder, 'socket')
const daemon = new Xenstored()
let server: XenstoreSocket

before(async () => {
  server = await serveXenstore(daemon, path)
})

after(async () => {
  await server.close()
  rmSync(folder, { recursive: true })
})

/** The tools are all called alike. */
function named(tool: string): string {
  return `xenstore-${tool}`
}

function hasTools(): boolean {
  try {
    execFileSync(named('exists'), ['--help'], { stdio: 'ignore' })
    return true
  } catch (error) {
    // The tool exits with an error after printing its help; only its absence counts.
    return (error as NodeJS.ErrnoException).code !== 'ENOENT'
  }
}

const environment = { ...process.env, XENSTORED_PATH: path, XENSTORED_RUNDIR: folder }

/** Runs xenstore-`tool` and gives its output without the last line end. */
async function run(tool: string, ...args: string[]): Promise<string> {
  const options = { env: environment, timeout: 10_000 }
  const { stdout } = await promisify(execFile)(named(tool), args, options)
  return stdout.replace(/\n$/, '')
}

/** The exit status and what the tool said of its error. */
async function fail(tool: string, ...args: string[]): Promise<string> {
  const error = await run(tool, ...args).then(
    () => assert.fail(`xenstore-${tool} ${args.join(' ')} succeeded`),
    (e: { stderr?: string }) => e,
  )
  return String(error.stderr).trim()
}

const skip = isInstalled ? false : 'xenstore-utils is not installed'

test('xenstore-write, -read, -exists, -list and -rm do their work', { skip }, async () => {
  await run('write', '/tools/a', 'one', '/tools/b', 'two words')
  assert.equal(await run('read', '/tools/a', '/tools/b'), 'one\ntwo words')
  assert.equal(await run('read', '-p', '/tools/a'), '/tools/a: one')
  assert.equal(await run('list', '/tools'), 'a\nb')
  assert.equal(await run('exists', '/tools/a'), '')
  await fail('exists', '/tools/none')
  await run('rm', '/tools/a')
  assert.equal(await run('list', '/tools'), 'b')
  assert.match(await fail('read', '/tools/a'), /couldn't read path \/tools\/a/)
})

test('xenstore-rm -t removes parents that are left empty', { skip }, async () => {
  await run('write', '/tidy/a/b/c', '1', '/tidy/d', '2')
  await run('rm', '-t', '/tidy/a/b/c')
  assert.equal(await run('list', '/tidy'), 'd')
})

test('values with bytes that are not text come back as xenstore-write put them', {
  skip,
}, async () => {
  await run('write', '/bytes', String.raw`a\x01\xff\n\\`)
  const node = daemon.store.read({ domid: 0, isPrivileged: true }, '/bytes')
  assert.deepEqual(node, Uint8Array.of(0x61, 1, 0xff, 0x0a, 0x5c))
  assert.equal(await run('read', '/bytes'), String.raw`a\001\xff\n\\`)
})

test('xenstore-ls shows the tree with permissions that xenstore-chmod has set', {
  skip,
}, async () => {
  await run('write', '/modes/x/y', 'v')
  await run('chmod', '/modes/x', 'n0', 'r5', 'b6')
  assert.equal(
    await run('ls', '-fp', '/modes'),
    ['/modes/x = ""   (n0,r5,b6)', '/modes/x/y = "v"   (n0)'].join('\n'),
  )
  await run('chmod', '-r', '/modes/x', 'w5')
  assert.equal(
    await run('ls', '-fp', '/modes'),
    ['/modes/x = ""   (w5)', '/modes/x/y = "v"   (w5)'].join('\n'),
  )
})

test('xenstore-list lists a directory that takes several messages', { skip }, async () => {
  const names = Array.from({ length: 300 }, (_, i) => `${i}`.padStart(30, 'n'))
  for (const name of names) {
    daemon.store.makeNode({ domid: 0, isPrivileged: true }, `/many/${name}`)
  }
  assert.deepEqual((await run('list', '/many')).split('\n'), names)
})

test('xenstore-watch prints what changes', { skip }, async () => {
  const watch = spawn(named('watch'), ['-n', '4', '/watched'], { env: environment })
  const lines: string[] = []
  let rest = ''
  const ended = new Promise((resolve) => {
    watch.on('close', resolve)
  })
  watch.stdout.on('data', (chunk: Buffer) => {
    const parts = (rest + chunk.toString()).split('\n')
    rest = parts.pop() ?? ''
    lines.push(...parts)
    if (lines.length === 1) void change()
  })
  const change = async () => {
    await run('write', '/watched/a', '1')
    await run('write', '/elsewhere', '1')
    await run('write', '/watched', '1')
    await run('rm', '/watched/a')
  }
  await ended
  assert.deepEqual(lines, ['/watched', '/watched/a', '/watched', '/watched/a'])
})

test('a socket whose folder is not there is refused with a reason', async () => {
  await assert.rejects(serveXenstore(daemon, join(folder, 'none', 'socket')), UserError)
})
