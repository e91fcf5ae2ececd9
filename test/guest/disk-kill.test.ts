// No acknowledged flush is lost when the host is killed: a guest writes files to ext4 on a qcow2 and on
// a raw image, syncs each and says so; the host's process gets SIGKILL at some moment. The next boot
// mounts the same images, checks the files that were acknowledged last, and goes on; the last boot checks
// all. Every other run is in real time, where the host does not wait for flushes. XENOLITH_KILLS says how
// often, 200 with XENOLITH_LONG=1.

import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { after, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { plainText } from '../../src/node/console-text.ts'
import { demoGuest } from '../../src/node/debian-guests.ts'
import { conversation } from './command.ts'
import { ImageFolder } from './disk-images.ts'

const isLong = process.env['XENOLITH_LONG'] === '1'
const KILLS = Number(process.env['XENOLITH_KILLS'] ?? (isLong ? 200 : 3))
const MAIN = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url))
/** Boots take their time on a machine that does much else. */
const BOOT_LIMIT_MS = 200_000

const images = new ImageFolder()
after(() => images.remove())

/** Files that are looked at after each kill: more than one run writes. */
const RECENT = 12

/** Counts the files that are whole on both disks, from one on, then adds one after the other for ever. */
const guestFrom = (first: number) =>
  [
    'for d in a b; do mkdir /mnt/$d; mount /dev/xvd$d /mnt/$d || echo no mount; done',
    `n=${first}`,
    'while seq $n 2000 | cmp -s - /mnt/a/f$n && cmp -s /mnt/a/f$n /mnt/b/f$n',
    'do n=$((n + 1)); done; echo "whole: $n."',
    'while :; do for d in a b; do seq $n 2000 | dd of=/mnt/$d/f$n conv=fsync 2>/dev/null || break 2; done',
    'echo "safe: $n."; n=$((n + 1)); done',
  ].join('; ')

const { kernel, ramdisk } = await demoGuest()

function boot(
  time: 'virtual' | 'real',
  first: number,
): { readonly child: ChildProcess; readonly shown: () => string } {
  const child = spawn(
    process.execPath,
    [
      ...['--disable-warning=ExperimentalWarning', MAIN, 'run', '--time', time],
      ...[
        '--kernel',
        kernel,
        '--ramdisk',
        ramdisk,
        '--cmdline',
        'console=hvc0 quiet cryptomgr.notests',
      ],
      ...[
        '--disk',
        `${images.file('a.qcow2')},qcow2,xvda`,
        '--disk',
        `${images.file('b.raw')},,xvdb`,
      ],
      ...conversation(guestFrom(first)),
    ],
    { stdio: ['ignore', 'pipe', 'pipe'] },
  )
  let out = ''
  child.stdout.on('data', (bytes: Buffer) => {
    out += bytes.toString('latin1')
  })
  child.stderr.resume()
  return { child, shown: () => plainText(out) }
}

/** The number that the guest said last, after `word`; -1 if it did not. */
function last(word: string, shown: string): number {
  const [found] = [...shown.matchAll(new RegExp(`^${word}: (\\d+)\\.$`, 'gm'))].slice(-1)
  return found ? Number(found[1]) : -1
}

test(`${KILLS} kills of the host lose nothing that was acknowledged`, async () => {
  images.makeExt4('a.qcow2', 'qcow2', 64)
  images.makeExt4('b.raw', 'raw', 64)
  let acknowledged = 0
  for (let kill = 0; kill < KILLS; kill++) {
    const first = Math.max(0, acknowledged - RECENT)
    const { child, shown } = boot(kill % 2 === 0 ? 'real' : 'virtual', first)
    const start = performance.now()
    // Some way into the writing, each time another one.
    const wanted = acknowledged + 1 + ((kill * 7) % 5)
    while (last('safe', shown()) < wanted) {
      assert.ok(performance.now() - start < BOOT_LIMIT_MS, shown().slice(-2000))
      assert.equal(child.exitCode, null, shown().slice(-2000))
      await sleep(5)
    }
    await sleep((kill * 13) % 40)
    const closed = new Promise((resolve) => child.on('close', resolve))
    child.kill('SIGKILL')
    await closed
    const whole = last('whole', shown())
    assert.ok(whole >= acknowledged, `${whole} files of ${acknowledged} were whole: kill ${kill}`)
    acknowledged = last('safe', shown()) + 1
    images.run('sh', '-c', 'qemu-img check -q -f qcow2 a.qcow2 || [ $? -eq 3 ]')
  }
  const { child, shown } = boot('virtual', 0)
  while (last('whole', shown()) < 0) await sleep(20)
  child.kill('SIGKILL')
  await new Promise((resolve) => child.on('close', resolve))
  assert.ok(last('whole', shown()) >= acknowledged, `${last('whole', shown())} of ${acknowledged}`)
})
