// The host process as users meet it: started by the first create, killed, stopped, several of them;
// and the statuses of the command. Each command is a process of its own.

import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { after, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { TINY_PROGRAMS, tinyPvhProgram } from '../../src/toolstack/image/tiny-kernel.ts'

const MAIN = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url))
const folder = mkdtempSync(join(tmpdir(), 'xenolith-hosts-'))
const run = join(folder, 'run')
const env = {
  ...process.env,
  XENOLITH_RUNTIME_DIR: run,
  XENOLITH_HOST: '',
  // As the launcher does: what Node has compiled is kept, and a command starts in half the time.
  NODE_COMPILE_CACHE: fileURLToPath(new URL('../../.cache/node', import.meta.url)),
}

after(() => {
  for (const name of ['default', 'lab']) xenolith('host', '--stop', '--force', '--name', name)
  rmSync(folder, { recursive: true, force: true })
})

/** A guest file of a tiny guest that waits. */
function guestFile(name: string, more = ''): string {
  const kernel = join(folder, 'waits')
  writeFileSync(kernel, tinyPvhProgram(...TINY_PROGRAMS.waits))
  const path = join(folder, `${name}.cfg`)
  writeFileSync(path, `name = "${name}"\ntype = "pvh"\nkernel = "${kernel}"\nmemory = 4\n${more}`)
  return path
}

function xenolith(...args: string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [MAIN, ...args], {
    env,
    encoding: 'utf8',
    timeout: 60_000,
  })
  return { status, out: stdout, err: stderr }
}

/** The process of a host, as it says it itself. */
function pidOf(name = 'default'): number {
  const hosts = JSON.parse(xenolith('host', '--list', '--json').out) as {
    name: string
    pid: number
  }[]
  return hosts.find((host) => host.name === name)?.pid ?? 0
}

test('without a host process there are no domains', () => {
  const list = xenolith('list')
  assert.equal(list.status, 0)
  assert.equal(
    list.out,
    'Name                                        ID   Mem VCPUs\tState\tTime(s)\n',
  )
  assert.ok(!existsSync(run), 'reading makes nothing')
  const destroy = xenolith('destroy', 'web')
  assert.equal(destroy.status, 1)
  assert.match(destroy.err, /^There are no domains\.\nNo host process runs/)
})

test('the first create starts the host process, which outlives it', () => {
  const create = xenolith('create', guestFile('web'))
  assert.equal(create.status, 0, create.err)
  assert.equal(create.out, '')
  assert.match(create.err, /web: loading kernel[^]*web: building domain[^]*web: running/)
  assert.equal((statSync(run).mode & 0o777).toString(8), '700')
  const list = xenolith('list')
  assert.match(list.out, /^Domain-0 +0 +\d+ +1 {5}r----- +\d+\.\d$/m)
  assert.match(list.out, /^web {37} {5}1 +\d+ +1 {5}-b---- +0\.\d$/m)
})

test('columns, flags and statuses are those of xl', () => {
  assert.equal(xenolith('domid', 'web').out, '1\n')
  assert.equal(xenolith('domname', '1').out, 'web\n')
  assert.match(xenolith('list', '-v', 'web').out, / [\da-f-]{36} {8}- {16}-\n$/)
  assert.match(xenolith('vm-list').out, /^[\da-f-]{36} {2}1 {5}web$/m)
  assert.match(xenolith('vcpu-list', 'web').out, /^web +1 +0 +0 {3}-b- +0\.\d {2}all \/ all$/m)
  assert.match(xenolith('sched-credit2', '-d', 'web').out, /^web +1 +256 +0$/m)
  assert.match(xenolith('uptime').out, /^Name {29} {3}ID Uptime\nDomain-0 +0 +\d:\d\d:\d\d\nweb/)
  assert.match(xenolith('info').out, /^total_memory {11}: \d+$/m)
  assert.match(xenolith('top').out, /web -b---- /)
  assert.match(xenolith('dmesg').out, /^\(XEN\) \[ +\d+\.\d{6}\] d1 web: created$/m)
  const [long] = JSON.parse(xenolith('list', '-l', 'web').out) as [
    { domid: number; config: { c_info: { name: string } } },
  ]
  assert.equal(long.domid, 1)
  assert.equal(long.config.c_info.name, 'web')
  const unknown = xenolith('pause', 'wbe')
  assert.equal(unknown.status, 1)
  assert.equal(
    unknown.err,
    'There is no domain "wbe".\nDid you mean "web"?\n"xenolith list" shows all of them.\n',
  )
  assert.equal(xenolith('pause').status, 2)
  assert.equal(xenolith('rename', 'web').status, 2)
  assert.equal(xenolith('pause', 'web').status, 0)
  assert.match(xenolith('list', 'web').out, /--p---/)
  assert.equal(xenolith('unpause', 'web').status, 0)
  assert.equal(xenolith('unpause', 'web').status, 1)
})

test('vcpu-pin takes what changes nothing, and refuses what cannot be', () => {
  for (const args of [
    ['all', 'all', 'all'],
    ['0', '0-3', '-'],
    ['0', '0'],
  ]) {
    assert.equal(xenolith('vcpu-pin', 'web', ...args).status, 0, args.join(' '))
  }
  const refused = xenolith('vcpu-pin', 'web', '0', '1-3')
  assert.equal(refused.status, 1)
  assert.match(refused.err, /^web cannot be pinned to 1-3\.\nThe host has one processor, 0/)
  assert.equal(xenolith('vcpu-pin', 'web', '7', 'all').status, 1)
  assert.equal(xenolith('vcpu-pin', 'web', '0', '0-3,^0').status, 1)
})

test('debug-keys write what they show into the log', () => {
  assert.equal(xenolith('debug-keys', 'hqegdarmc').status, 0)
  const { out } = xenolith('dmesg')
  for (const shown of [
    / key 'd' => dump registers$/m,
    /General information for domain 1 \(web\):$/m,
    /Event channels of domain 1: 2 open of 1023$/m,
    / {3}1 \[0\/0\]: s=3 n=0 d=0 p=\d+$/m,
    /Grant table of domain 1: version 1, 1 frames of 64, 0 grants in use/m,
    /\*\*\* d1v0 \(web\), blocked \*\*\*$/m,
    / rip: 0000000000100002 {2}rflags: [0-9a-f]{16} {2}cpl: 0$/m,
    /Timers: \d+ set, the next one in /m,
    /sched=credit2 /m,
  ]) {
    assert.match(out, shown)
  }
  assert.equal(xenolith('debug-keys', 'Z').status, 1)
})

test('top has the columns of xentop', () => {
  const { out } = xenolith('top', '-b', '-i', '1')
  const head = out.split('\n').find((line) => line.includes('NAME')) ?? ''
  assert.deepEqual(head.trim().split(/ +/), [
    ...['NAME', 'STATE', 'CPU(sec)', 'CPU(%)', 'MEM(k)', 'MEM(%)', 'MAXMEM(k)', 'MAXMEM(%)'],
    ...['VCPUS', 'NETS', 'NETTX(k)', 'NETRX(k)', 'VBDS', 'VBD_OO', 'VBD_RD', 'VBD_WR'],
    ...['VBD_RSECT', 'VBD_WSECT', 'SSID'],
  ])
  assert.match(out, /^ {7}web -b---- .* 1 {4}0 {8}0 {8}0 {4}0 {8}0 {8}0 {8}0 {10}0 {10}0 {4}0$/m)
})

test('every verb that reads can print JSON', () => {
  for (const verb of [
    ['list'],
    ['info'],
    ['dmesg'],
    ['vcpu-list'],
    ['vm-list'],
    ['uptime'],
    ['sched-credit2'],
    ['top'],
    ['domid', 'web'],
    ['domname', '1'],
    ['console', 'web'],
    ['host', '--list'],
  ]) {
    const { out } = xenolith(...verb, '--json')
    assert.doesNotThrow(() => JSON.parse(out) as unknown, `${verb.join(' ')}: ${out}`)
  }
})

test('a mistake in a guest file creates nothing, and says where it is', () => {
  const { status, out, err } = xenolith('create', guestFile('bad', 'memroy = 512\n'), '--strict')
  assert.equal(status, 1)
  assert.equal(out, '')
  assert.match(
    err,
    /bad\.cfg:5:1: Unknown key "memroy"\n {4}5 \| memroy = 512\n {6}\| \^{6} {2}did you/,
  )
  assert.doesNotMatch(xenolith('list').out, /bad/)
})

test('a dry run prints what would be created, and where it comes from', () => {
  const { status, out } = xenolith('create', guestFile('dry'), '-n', 'vcpus=2; cap=50', 'memory=8')
  assert.equal(status, 0)
  assert.match(out, /^name = "dry" +# .*dry\.cfg:1$/m)
  assert.match(out, /^memory = 8 +# command line:2$/m)
  assert.match(out, /^cap = 50 +# command line:1$/m)
  assert.match(out, /^cpu_weight = 256 +# default$/m)
  assert.doesNotMatch(xenolith('list').out, /dry/)
})

test('several hosts live side by side', () => {
  assert.equal(xenolith('create', guestFile('other'), '--host', 'lab').status, 0)
  assert.doesNotMatch(xenolith('list').out, /other/)
  assert.match(xenolith('list', '--host', 'lab').out, /^other/m)
  assert.match(xenolith('host', '--list').out, /^default +\d+ +1 .*\nlab +\d+ +1 /m)
  const stop = xenolith('host', '--stop', '--name', 'lab')
  assert.equal(stop.status, 1)
  assert.match(stop.err, /It has domains: other/)
  const forced = xenolith('host', '--stop', '--force', '--name', 'lab')
  assert.equal(forced.status, 0)
  assert.equal(forced.out, '')
  assert.match(forced.err, /^host "lab" \(process \d+\) has stopped; destroyed other\n$/)
  assert.ok(!existsSync(join(run, 'lab.sock')) && !existsSync(join(run, 'lab.xenstore')))
  const again = xenolith('host', '--stop', '--name', 'lab')
  assert.equal(again.status, 1)
  assert.match(again.err, /^The host "lab" was not stopped\.\nIt does not run\.\n/)
})

test('two creates at once start one host', async () => {
  const status = (args: string[]) =>
    new Promise((resolve) => {
      spawn(process.execPath, [MAIN, ...args], { env, stdio: 'ignore' }).on('close', resolve)
    })
  const creates = ['one', 'two'].map((name) => status(['create', guestFile(name), '--host', 'lab']))
  assert.deepEqual(await Promise.all(creates), [0, 0])
  assert.match(xenolith('list', '--host', 'lab').out, /^one[^]*^two|^two[^]*^one/m)
})

test('after a host was killed the next create starts another over its socket', async () => {
  const pid = pidOf()
  assert.ok(pid > 0)
  process.kill(pid, 'SIGKILL')
  while (pidOf() !== 0) await new Promise((resolve) => setTimeout(resolve, 50))
  assert.ok(existsSync(join(run, 'default.sock')), 'nobody has cleaned up')
  assert.match(xenolith('list').out, /Time\(s\)\n$/)
  assert.equal(xenolith('create', guestFile('web')).status, 0)
  assert.match(xenolith('list').out, /^web/m)
})

test('a host that ends while it is asked is not listed', async () => {
  const server = createServer((socket) => socket.destroy())
  const mask = process.umask(0o177)
  server.listen(join(run, 'dying.sock'))
  process.umask(mask)
  const list = spawn(process.execPath, [MAIN, 'host', '--list'], { env })
  const [out, [status]] = await Promise.all([text(list.stdout), once(list, 'close')])
  server.close()
  assert.equal(status, 0)
  assert.match(out, /^default +\d+ +1 .*\nlab /m)
  assert.doesNotMatch(out, /dying/)
})

test('a signal stops a host cleanly', async () => {
  const pid = pidOf()
  assert.ok(pid > 0)
  process.kill(pid, 'SIGTERM')
  for (let i = 0; i < 200 && existsSync(join(run, 'default.sock')); i++) {
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  assert.ok(!existsSync(join(run, 'default.sock')))
})

test('a verb or flag of xl that is not here says why', () => {
  const verb = xenolith('migrate', 'web', 'elsewhere')
  assert.equal(verb.status, 2)
  assert.match(verb.err, /no "migrate" here[^]*cannot move to another host/)
  const flag = xenolith('list', '--numa')
  assert.equal(flag.status, 2)
  assert.match(flag.err, /no --numa here[^]*no NUMA nodes/)
})
