// No acknowledged flush is lost when the host is killed: a guest writes to a qcow2 and to a raw image,
// flushes each write and says so; the host's process gets SIGKILL at some moment. The next boot checks
// what was acknowledged last, and goes on; the last boot checks all. Every other run is in real time,
// where the host does not wait for flushes. Debian's kernel writes files to ext4; the small Linux, which
// boots in a second, where it has been built (tools/small-kernel), blocks to the bare disks. XENOLITH_KILLS
// says how often, 200 with XENOLITH_LONG=1; XENOLITH_KILLS_FROM, where to begin in the row of moments.

import assert from 'node:assert/strict'
import { truncateSync, writeFileSync } from 'node:fs'
import { after, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { demoGuest } from '../../src/node/debian-guests.ts'
import { findSmallLinux, SMALL_LINUX_MIB } from '../../tools/small-linux.ts'
import { ImageFolder } from './disk-images.ts'
import { KilledHost, type KilledGuest } from './killed-host.ts'

const isLong = process.env['XENOLITH_LONG'] === '1'
const KILLS = Number(process.env['XENOLITH_KILLS'] ?? (isLong ? 200 : 3))
const FROM = Number(process.env['XENOLITH_KILLS_FROM'] ?? 0)
const MiB = 2 ** 20

const images = new ImageFolder()
after(() => images.remove())

/** What is looked at after each kill: more than one run writes. */
const RECENT = 8

/** Counts the files that are whole on both disks, from one on, then adds one after the other for ever. */
const filesFrom = (first: number) =>
  [
    'for d in a b; do mkdir /mnt/$d; mount /dev/xvd$d /mnt/$d || echo no mount; done',
    `n=${first}`,
    'while seq $n 2000 | cmp -s - /mnt/a/f$n && cmp -s /mnt/a/f$n /mnt/b/f$n',
    'do n=$((n + 1)); done; echo "whole: $n."',
    'while :; do for d in a b; do seq $n 2000 | dd of=/mnt/$d/f$n conv=fsync 2>/dev/null || break 2; done',
    'echo "safe: $n."; n=$((n + 1)); done',
  ].join('; ')

/** The same with records of a block, all over the disk: most of them get a cluster of their own. */
const recordsFrom = (first: number) =>
  [
    // As few processes as can be: each takes longer than what it does.
    'rec() { printf "%04095d\\n" $n >/r; at=$((n * 7919 % 16384)); }',
    'get() { dd if=/dev/xvd$1 bs=4096 count=1 skip=$at 2>/dev/null | cmp -s - /r; }',
    'put() { dd of=/dev/xvd$1 bs=4096 seek=$at conv=notrunc,fsync </r 2>/dev/null; }',
    `n=${first}`,
    'while rec; get a && get b; do n=$((n + 1)); done; echo "whole: $n."',
    'while rec; put a && put b; do echo "safe: $n."; n=$((n + 1)); done',
  ].join('; ')

/** Boots, kills and checks, on images that are there. */
async function killOften(
  name: string,
  guest: Omit<KilledGuest, 'time' | 'script' | 'disks'>,
  scriptFrom: (first: number) => string,
): Promise<void> {
  const [qcow2, raw] = [`${name}.qcow2`, `${name}.raw`]
  const disks = [`${images.file(qcow2)},qcow2,xvda`, `${images.file(raw)},,xvdb`]
  let acknowledged = 0
  for (let kill = FROM; kill < FROM + KILLS; kill++) {
    const script = scriptFrom(Math.max(0, acknowledged - RECENT))
    const time = kill % 2 === 0 ? 'real' : 'virtual'
    const host = new KilledHost({ ...guest, disks, time, script })
    // Some way into the writing, each time another one.
    await host.until('safe', acknowledged + 1 + ((kill * 7) % 5))
    await sleep((kill * 13) % 40)
    await host.kill()
    const whole = host.last('whole')
    assert.ok(whole >= acknowledged, `${whole} of ${acknowledged} were whole: kill ${kill}`)
    acknowledged = host.last('safe') + 1
    // 3 is qemu-img's word for clusters that are counted and not used.
    images.run('sh', '-c', `qemu-img check -q -f qcow2 ${qcow2} || [ $? -eq 3 ]`)
  }
  const host = new KilledHost({ ...guest, disks, time: 'virtual', script: scriptFrom(0) })
  await host.until('whole', 0)
  await host.kill()
  const whole = host.last('whole')
  assert.ok(whole >= acknowledged, `${whole} of ${acknowledged}`)
  console.log(`${KILLS} kills from ${FROM} on: ${acknowledged} acknowledged, ${whole} whole`)
}

const files = await demoGuest()
const small = await findSmallLinux()

test(`${KILLS} kills of the host lose nothing that was acknowledged on ext4`, async () => {
  images.makeExt4('ext4.qcow2', 'qcow2', 64)
  images.makeExt4('ext4.raw', 'raw', 64)
  const cmdline = 'console=hvc0 quiet cryptomgr.notests'
  await killOften('ext4', { files, cmdline, memoryMiB: 256 }, filesFrom)
})

test(`${KILLS} kills of the host lose nothing that was acknowledged on bare disks`, {
  skip: small === undefined && 'the small Linux is not built: tools/small-kernel',
}, async () => {
  assert.ok(small)
  images.run('qemu-img', 'create', '-q', '-f', 'qcow2', 'bare.qcow2', String(64 * MiB))
  writeFileSync(images.file('bare.raw'), '')
  truncateSync(images.file('bare.raw'), 64 * MiB)
  const guest = { files: small, cmdline: 'console=hvc0 quiet', memoryMiB: SMALL_LINUX_MIB }
  await killOften('bare', guest, recordsFrom)
})
