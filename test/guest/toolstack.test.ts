// The verbs with Debian's kernel as the guest: one boot on a host that is served in this process,
// and the command against it.

import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { type CallResult, call } from '../../src/cli/testing/call.ts'
import { demoGuest } from '../../src/node/debian-guests.ts'
import { TestServer, until } from '../../src/node/testing/served-host.ts'
import type { DomainInfo } from '../../src/toolstack/domain-info.ts'
import { PROMPT } from './command.ts'
import { servedConsole } from './served-console.ts'

const server = await TestServer.start()
after(() => server.stop())
const { client } = server
const { kernel, ramdisk } = await demoGuest()
const SETTINGS = [
  'name="web"; type="pvh"; extra="console=hvc0 cryptomgr.notests"',
  `kernel="${kernel}"; ramdisk="${ramdisk}"`,
  'memory=192; maxmem=256; vcpus=1; maxvcpus=2',
]

/** Even on a machine that does much else. */
const BOOT_SECONDS = 200

const xenolith = (...argv: string[]) => call(argv, { hostProcess: client })

async function info(domain = 'web'): Promise<DomainInfo> {
  const { out } = await xenolith('list', '--json', domain)
  return (JSON.parse(out) as [DomainInfo])[0]
}

const { shown, typed } = servedConsole(client, 'web')

test('create says the phases, and returns when the domain runs', async () => {
  const { status, out, err } = await xenolith('create', ...SETTINGS)
  assert.equal(status, 0, err)
  assert.equal(out, '')
  assert.match(err, /web: loading kernel vmlinuz \d+\.\d MiB, ramdisk[^]*building domain 1 vCPU/)
  assert.match(err, /\[ *\d+\.\d{3}\] web: running\n$/)
})

test('the guest boots to its prompt, and waits there', async () => {
  await until(async () => (await shown()).includes(PROMPT), 'the prompt', BOOT_SECONDS)
  await until(async () => (await xenolith('list')).out.includes('-b----'), 'it is idle')
  const { vcpus } = await info()
  assert.ok((vcpus[0]?.seconds ?? 0) > 1)
})

test('a domain with maxmem balloons down to its memory, and mem-set moves it', async () => {
  await until(async () => Math.abs((await info()).memoryKiB - 192 * 1024) < 1024, '192 MiB')
  assert.equal((await xenolith('mem-set', 'web', '128m')).status, 0)
  await until(async () => Math.abs((await info()).memoryKiB - 128 * 1024) < 1024, '128 MiB')
  assert.match((await xenolith('list')).out, /^web +1 +128 +1 /m)
  assert.equal((await xenolith('mem-set', 'web', '224m')).status, 0)
  await until(async () => Math.abs((await info()).memoryKiB - 224 * 1024) < 1024, '224 MiB')
  const refused = await xenolith('mem-set', 'web', '1g')
  assert.equal(refused.status, 1)
  assert.match(refused.err, /at most its maxmem, 262144 KiB/)
  assert.match(await typed('head -n 1 /proc/meminfo'), /MemTotal: +1\d{5} kB/)
})

test('what a guest gives back is free, and mem-max holds one back that would take more', async () => {
  const free = async () => Number((await xenolith('info', 'free_memory')).out)
  const before = await free()
  const low = await xenolith('mem-max', 'web', '200m')
  assert.equal(low.status, 1)
  assert.match(low.err, /cannot be 204800 KiB\.\nIts target is 229376 KiB/)
  assert.equal((await xenolith('mem-max', 'web', '230m')).status, 0)
  // As somebody who goes past the toolstack: the guest asks Xen for more than it may have.
  const { xen } = server.served.table.host
  xen.xenstore.write('/local/domain/1/memory/target', String(250 * 1024))
  server.served.table.host.wake()
  await until(async () => (await info()).memoryKiB >= 230 * 1024 - 1024, 'it takes what it may')
  await typed('sleep 2')
  assert.ok((await info()).memoryKiB <= 231 * 1024, 'and no more, but for the slack')
  assert.equal((await xenolith('mem-set', 'web', '144m')).status, 0)
  await until(async () => Math.abs((await info()).memoryKiB - 144 * 1024) < 1024, '144 MiB')
  assert.ok(Math.abs((await free()) - before - 80) <= 2)
  assert.equal((await xenolith('mem-set', 'web', '224m')).status, 0)
  await until(async () => Math.abs((await info()).memoryKiB - 224 * 1024) < 1024, '224 MiB')
})

test('vCPUs beyond vcpus are off line, and vcpu-set lets the guest have them', async () => {
  assert.match((await xenolith('vcpu-list', 'web')).out, /^web +1 +1 {5}- {3}--p +\d+\.\d {2}all/m)
  assert.equal((await xenolith('vcpu-set', 'web', '2')).status, 0)
  // xl(1): some guests have to bring the CPU on line themselves.
  await typed('echo 1 > /sys/devices/system/cpu/cpu1/online')
  await until(async () => (await info()).vcpus.every(({ isOnline }) => isOnline), 'both')
  assert.equal((await xenolith('vcpu-set', 'web', '1')).status, 0)
  await until(async () => (await info()).vcpus[1]?.isOnline === false, 'one')
})

test('sysrq and trigger reach the kernel', async () => {
  assert.equal((await xenolith('sysrq', 'web', 'h')).status, 0)
  await until(async () => /sysrq: HELP/.test(await shown()), 'the list of keys')
  assert.equal((await xenolith('trigger', 'web', 'nmi')).status, 0)
  await until(async () => /NMI: |Uhhuh. NMI/.test(await shown()), 'the NMI')
})

test('the console replays the last screen, takes keys, and is left with Ctrl-]', async () => {
  const session = await call(['console', 'web'], {
    hostProcess: client,
    terminal: true,
    meddle: ({ stdin, stdout }) => {
      let seen = ''
      stdout.on('data', (bytes: Buffer) => {
        const isFirst = seen === ''
        seen += bytes.toString()
        if (isFirst) stdin.write('echo wrote-$((40+2))\r')
        if (seen.includes('wrote-42')) stdin.write('\x1d')
      })
    },
  })
  assert.equal(session.status, 0)
  assert.match(session.err, /attached to the console of web \(domain 1\); leave with Ctrl-\]/)
  assert.match(session.err, /detached; attach again with: xenolith console web/)
  assert.ok(session.out.split('\n').length < 40, 'a screen, not all since boot')
  assert.match(session.out, /wrote-42/)
  assert.deepEqual(session.rawModes, [true, false])
})

test('a paused guest stands still', async () => {
  await xenolith('pause', 'web')
  const seconds = async () => (await info()).vcpus.map((vcpu) => vcpu.seconds)
  const before = await seconds()
  await client.call('sysrq', { domain: 'web', key: 'h' })
  await new Promise((resolve) => setTimeout(resolve, 100))
  const after = await seconds()
  const { out } = await xenolith('list')
  await xenolith('unpause', 'web')
  assert.match(out, /--p---/)
  assert.deepEqual(after, before)
})

test('reboot boots the same domain again, with another number and the changed file', async () => {
  const { uuid } = await info()
  const update = await xenolith(
    'config-update',
    'web',
    ...SETTINGS,
    'memory=128; maxmem=128; cpu_weight=300',
  )
  assert.equal(update.status, 0, update.err)
  const asked = await xenolith('reboot', 'web')
  assert.equal(asked.err, 'Rebooting domain 1\n')
  await until(async () => (await info()).id === 2, 'the second start')
  const again = await info()
  assert.equal(again.uuid, uuid)
  assert.equal(again.weight, 300)
  await until(async () => (await shown()).includes(PROMPT), 'the prompt', BOOT_SECONDS)
})

test('shutdown -w returns when the guest has shut itself down', async () => {
  const { status, err }: CallResult = await xenolith('shutdown', '-w', 'web')
  assert.equal(status, 0)
  assert.equal(err, 'Shutting down domain 2\n')
  await until(async () => !(await xenolith('list')).out.includes('web'), 'it is gone')
  assert.match(await shown(), /reboot: (System halted|Power down)/)
  const late = await xenolith('console', 'web')
  assert.equal(late.status, 1)
  assert.match(late.err, /Domain web is gone \(poweroff\)/)
})
