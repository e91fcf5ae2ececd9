// A small Linux (tools/small-kernel) in 32 MiB: boot, sleep, devices, and its memory under a balloon.
// Building it takes minutes, so it is booted where it has been built, and nowhere else.

import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { call } from '../../src/cli/testing/call.ts'
import type { DomainConfig } from '../../src/node/host-types.ts'
import { TestServer, until } from '../../src/node/testing/served-host.ts'
import type { DomainInfo } from '../../src/toolstack/domain-info.ts'
import { findSmallLinux, SMALL_LINUX_MIB } from '../../tools/small-linux.ts'
import { PROMPT } from './command.ts'
import { Session } from './session.ts'

const files = await findSmallLinux()
if (!files) console.log('The small Linux is not booted: tools/small-kernel has not built it here.')
const options = { skip: files === undefined && 'not built: tools/small-kernel' }

const folder = mkdtempSync(join(tmpdir(), 'xenolith-small-'))
after(() => rmSync(folder, { recursive: true }))

const CMDLINE = 'console=hvc0 quiet'
const NS = 1e9

/** It has come to its prompt, in virtual time. */
async function booted(config: Partial<DomainConfig> = {}): Promise<Session> {
  const small = { ...files, cmdline: CMDLINE, memoryMiB: SMALL_LINUX_MIB }
  const session = await Session.create({ ...small, ...config })
  await session.prompt()
  return session
}

test(
  `it boots to a shell in ${SMALL_LINUX_MIB} MiB, and programs have a third of that`,
  options,
  async () => {
    const session = await booted()
    assert.match(await session.run('uname -r'), /^6\.1\.\d+-small\n/)
    const free = /^MemAvailable: +(\d+) kB/m.exec(await session.run('cat /proc/meminfo'))
    assert.ok(Number(free?.[1]) >= (SMALL_LINUX_MIB * 1024) / 3, String(free?.[0]))
    session.destroy()
  },
)

test('when it has nothing to do, it wakes less than once a second', options, async () => {
  const session = await booted()
  const { clock, hypervisor } = session.host.xen
  const SECONDS = 100
  let wakes = 0
  hypervisor.trace.listen(['sched'], (record) => {
    if (record.kind === 'sched' && record.state === 'runnable') wakes++
  })
  for (const end = clock.now() + SECONDS * NS; clock.now() < end; ) session.host.step()
  session.destroy()
  // Linux sets Xen's timer for 2^32 ns at most, 4.3 s: it has to wake that often.
  assert.ok(wakes >= Math.floor(SECONDS / 4.3), `${wakes} times`)
  assert.ok(wakes < SECONDS, `${wakes} times in ${SECONDS} s`)
})

test('its disk and its network come up with no module', options, async () => {
  const disk = join(folder, 'disk.img')
  writeFileSync(disk, Buffer.alloc(1 << 20, 'small Linux\n'))
  const session = await booted({
    disks: [`format=raw, vdev=xvda, access=ro, target=${disk}`],
    vifs: ['gateway=none'],
  })
  assert.equal(await session.run('dd if=/dev/xvda bs=12 count=1 2>/dev/null'), 'small Linux\n')
  assert.equal(await session.run('wc -c </dev/xvda'), `${1 << 20}\n`)
  assert.match(await session.run('ip link show eth0'), /eth0: <[^>]*\bUP\b/)
  session.destroy()
})

test('mem-set takes its memory away and gives it back, within mem-max', options, async (t) => {
  const server = await TestServer.start()
  t.after(() => server.stop())
  const { client } = server
  const xenolith = (...argv: string[]) => call(argv, { hostProcess: client })
  const settings = [
    `name="small"; type="pvh"; memory=${SMALL_LINUX_MIB}; maxmem=64; extra="${CMDLINE}"`,
    `kernel="${files?.kernel}"; ramdisk="${files?.ramdisk}"`,
  ]
  assert.equal((await xenolith('create', ...settings)).status, 0)
  const [managed] = server.served.table.all()
  assert.ok(managed)
  const { console } = managed.running
  await console.expect(PROMPT, { timeoutMs: 200_000 })
  const memoryMiB = async () =>
    (JSON.parse((await xenolith('list', '--json', 'small')).out) as [DomainInfo])[0].memoryKiB /
    1024
  const comesTo = (mib: number) =>
    until(async () => Math.abs((await memoryMiB()) - mib) < 1, `${mib} MiB`, 60)
  const set = async (verb: 'mem-set' | 'mem-max', size: string) =>
    (await xenolith(verb, 'small', size)).status

  // What it is built with beyond its memory, its balloon driver gives back by itself.
  await comesTo(SMALL_LINUX_MIB)
  const free = async () => Number((await xenolith('info', 'free_memory')).out)
  const before = await free()
  assert.equal(await set('mem-set', '24m'), 0)
  await comesTo(24)
  assert.ok(Math.abs((await free()) - before - 8) <= 1, 'the host has what the guest gave')
  assert.equal(await set('mem-max', '16m'), 1, 'not below the target')
  assert.equal(await set('mem-set', '64m'), 0)
  await comesTo(64)
  assert.equal(await set('mem-set', '65m'), 1, 'not beyond maxmem')
  // The memory is there: 24 MiB in all would not do for this file.
  const { output } = await console.run('dd if=/dev/zero of=/big bs=1M count=20 2>&1 && rm /big')
  assert.match(output, /^20\+0 records out/m)
  // A target that it cannot reach: it gives what it can do without, and lives.
  assert.equal(await set('mem-set', '4m'), 0)
  await until(async () => (await memoryMiB()) < 28, 'it gives', 60)
  assert.match((await console.run('echo alive')).output, /alive/)
  assert.equal(await set('mem-set', `${SMALL_LINUX_MIB}m`), 0)
  await comesTo(SMALL_LINUX_MIB)
  assert.match((await console.run('echo alive')).output, /alive/)
})
