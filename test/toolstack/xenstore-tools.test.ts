// Xen's own xenstore tools (Debian's xenstore-utils) against a host process with domains: what a
// user has who types xenstore-ls. Each command and the host are processes of their own.

import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { TINY_PROGRAMS, tinyPvhProgram } from '../../src/toolstack/image/tiny-kernel.ts'

const MAIN = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url))
const folder = mkdtempSync(join(tmpdir(), 'xenolith-store-'))
const env: NodeJS.ProcessEnv = {
  ...process.env,
  XENOLITH_RUNTIME_DIR: join(folder, 'run'),
  XENOLITH_HOST: '',
}

after(() => {
  xenolith('host', '--stop', '--force')
  rmSync(folder, { recursive: true, force: true })
})

function call(program: string, ...args: string[]) {
  const options = { env, encoding: 'utf8', timeout: 60_000 } as const
  const { status, stdout, stderr, error } = spawnSync(program, args, options)
  if (error) throw error
  return { status, out: stdout.trimEnd(), err: stderr.trimEnd() }
}

function xenolith(...args: string[]) {
  return call(process.execPath, MAIN, ...args)
}

/** Runs xenstore-`tool`, which must succeed, and gives what it printed. */
function store(tool: string, ...args: string[]): string {
  const { status, out, err } = call(`xenstore-${tool}`, ...args)
  assert.equal(status, 0, `xenstore-${tool} ${args.join(' ')}: ${err}`)
  return out
}

const kernel = join(folder, 'kernel')
writeFileSync(kernel, tinyPvhProgram(...TINY_PROGRAMS.waits))
const UUID = '12345678-9abc-4def-8123-456789abcdef'
const disk = join(folder, 'disk.img')
writeFileSync(disk, new Uint8Array(1 << 20))
const created = xenolith(
  'create',
  `name="web"; type="pvh"; kernel="${kernel}"; memory=4; maxmem=8; vcpus=1; maxvcpus=2`,
  `uuid="${UUID}"; vif=["mac=00:16:3e:00:00:01,bridge=lan"]; disk=["${disk},raw,xvda,w"]`,
)
assert.equal(created.status, 0, created.err)
env['XENSTORED_PATH'] = xenolith('info', 'xenstored_path').out

test('the socket is where info says, and for its user only', () => {
  const path = env['XENSTORED_PATH'] ?? ''
  assert.equal(path, join(folder, 'run', 'default.xenstore'))
  assert.equal((statSync(path).mode & 0o777).toString(8), '600')
})

test('xenstore-ls shows the domain as libxl lays it out, devices included', () => {
  const lines = store('ls', '-f').split('\n')
  const value = (path: string) => lines.find((l) => l.startsWith(`${path} = `))?.split(' = ')[1]
  const home = '/local/domain/1'
  // Of libxl: libxl_create.c, libxl_dom.c, libxl_device.c, libxl_nic.c, libxl_disk.c.
  const expected: Record<string, string> = {
    '/tool/xenstored': '""',
    '/local/domain/0/name': '"Domain-0"',
    [`/vm/${UUID}/name`]: '"web"',
    [`/vm/${UUID}/uuid`]: `"${UUID}"`,
    [`${home}/vm`]: `"/vm/${UUID}"`,
    [`${home}/name`]: '"web"',
    [`${home}/domid`]: '"1"',
    [`${home}/memory/static-max`]: '"8192"',
    [`${home}/memory/target`]: '"4096"',
    [`${home}/memory/videoram`]: '"0"',
    [`${home}/cpu/0/availability`]: '"online"',
    [`${home}/cpu/1/availability`]: '"offline"',
    [`${home}/control/shutdown`]: '""',
    [`${home}/control/sysrq`]: '""',
    [`${home}/control/platform-feature-multiprocessor-suspend`]: '"1"',
    [`${home}/control/platform-feature-xs_reset_watches`]: '"1"',
    [`${home}/console/type`]: '"xenconsoled"',
    [`${home}/device/vif/0/backend`]: '"/local/domain/0/backend/vif/1/0"',
    [`${home}/device/vif/0/backend-id`]: '"0"',
    [`${home}/device/vif/0/handle`]: '"0"',
    [`${home}/device/vif/0/mac`]: '"00:16:3e:00:00:01"',
    [`${home}/device/vif/0/state`]: '"1"',
    [`${home}/device/vbd/51712/backend`]: '"/local/domain/0/backend/qdisk/1/51712"',
    [`${home}/device/vbd/51712/virtual-device`]: '"51712"',
    [`${home}/device/vbd/51712/device-type`]: '"disk"',
    '/local/domain/0/backend/vif/1/0/frontend': `"${home}/device/vif/0"`,
    '/local/domain/0/backend/vif/1/0/frontend-id': '"1"',
    '/local/domain/0/backend/vif/1/0/online': '"1"',
    '/local/domain/0/backend/vif/1/0/bridge': '"lan"',
    '/local/domain/0/backend/qdisk/1/51712/frontend': `"${home}/device/vbd/51712"`,
    '/local/domain/0/backend/qdisk/1/51712/dev': '"xvda"',
    '/local/domain/0/backend/qdisk/1/51712/mode': '"w"',
    '/libxl/1/type': '"pvh"',
    '/libxl/1/device/vif/0/frontend': `"${home}/device/vif/0"`,
    '/libxl/1/device/vif/0/backend': '"/local/domain/0/backend/vif/1/0"',
    '/libxl/1/device/vbd/51712/frontend': `"${home}/device/vbd/51712"`,
    '/libxl/1/device/vbd/51712/backend': '"/local/domain/0/backend/qdisk/1/51712"',
  }
  const found = Object.fromEntries(Object.keys(expected).map((path) => [path, value(path)]))
  assert.deepEqual(found, expected)
})

test('permissions are those of libxl: the guest reads its home, and owns what it may write', () => {
  const lines = store('ls', '-fp', '/local/domain/1').split('\n')
  const permissions = (path: string) =>
    /\((.*)\)$/.exec(lines.find((l) => l.startsWith(`/local/domain/1/${path} = `)) ?? '')?.[1]
  assert.equal(permissions('name'), 'n0,r1')
  assert.equal(permissions('control'), 'n0,r1')
  assert.equal(permissions('control/shutdown'), 'n1')
  assert.equal(permissions('data'), 'n1')
  assert.equal(permissions('device/vif/0'), 'n1,r0')
  assert.equal(permissions('device/vbd/51712'), 'n1,r0')
})

test('xenstore-write, -read, -list, -exists, -chmod and -rm work on the store of the host', () => {
  store('write', '/local/domain/1/data/note', 'hello')
  assert.equal(store('read', '/local/domain/1/data/note'), 'hello')
  assert.equal(store('list', '/local/domain/1/data'), 'note')
  store('chmod', '/local/domain/1/data/note', 'n0', 'r1')
  assert.match(store('ls', '-p', '/local/domain/1/data'), /^note = "hello" [ .]*\(n0,r1\)$/)
  store('exists', '/local/domain/1/data/note')
  store('rm', '/local/domain/1/data/note')
  assert.equal(call('xenstore-exists', '/local/domain/1/data/note').status, 1)
})

test('xenstore-watch sees domains come and go', async () => {
  const watch = spawn('xenstore-watch', ['-n', '4', '@introduceDomain', '@releaseDomain'], { env })
  let lines: string[] = []
  const ended = new Promise((resolve) => {
    watch.on('close', resolve)
  })
  const ready = new Promise<void>((resolve) => {
    watch.stdout.on('data', (chunk: Buffer) => {
      lines = [...lines, ...chunk.toString().trim().split('\n')]
      // Each watch is told of once when it is set.
      if (lines.length === 2) resolve()
    })
  })
  await ready
  assert.equal(xenolith('create', `name="two"; type="pvh"; kernel="${kernel}"; memory=4`).status, 0)
  assert.equal(xenolith('destroy', 'two').status, 0)
  await ended
  assert.deepEqual(lines, [
    '@introduceDomain',
    '@releaseDomain',
    '@introduceDomain',
    '@releaseDomain',
  ])
  assert.equal(call('xenstore-exists', '/local/domain/2').status, 1, 'nothing of it is left')
})

test('a host that was stopped leaves no socket of xenstore', () => {
  assert.equal(xenolith('host', '--stop', '--force').status, 0)
  assert.ok(!existsSync(env['XENSTORED_PATH'] ?? ''))
})
