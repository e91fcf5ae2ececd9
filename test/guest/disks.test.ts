// Debian's kernel with disks: file systems that the host's tools have made are mounted, read, written
// and synced; afterwards the host's tools find in them what the guest wrote, and nothing to mend.

import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { readFileSync, statSync } from 'node:fs'
import { after, test } from 'node:test'
import { UserError } from '../../src/base/errors.ts'
import { FileStorage } from '../../src/node/file-storage.ts'
import { ImageFolder } from './disk-images.ts'
import { Session } from './session.ts'

const images = new ImageFolder()
after(() => images.remove())

const text = Array.from({ length: 20_000 }, (_, i) => `line ${i} of the host\n`).join('')
const md5 = (of: string | Uint8Array) => createHash('md5').update(of).digest('hex')

/** So that a typed line is shown as one. */
const WIDE = 'stty cols 999'

/** Boots, types the lines, switches off; gives what each printed. */
async function session(disks: string[], lines: string[]): Promise<string[]> {
  const session = await Session.create({ disks })
  try {
    session.host.start()
    await session.prompt()
    await session.run(WIDE)
    const answers: string[] = []
    for (const line of lines) answers.push(await session.run(line))
    session.domain.console.send(new TextEncoder().encode('poweroff\r'))
    assert.deepEqual(await session.domain.ended, { reason: 'poweroff' })
    return answers
  } finally {
    session.destroy()
  }
}

const FORMATS: readonly (readonly [string, string])[] = [
  ['raw', 'raw'],
  ['qcow2', 'qcow2'],
  ['vhd', 'vpc'],
]

test('ext4 on raw, qcow2 and VHD: what the host wrote is read, what the guest wrote is there', async () => {
  const names = FORMATS.map(([format]) => `disk.${format}`)
  const disks = FORMATS.map(([format, qemu], i) => {
    const path = images.makeExt4(`disk.${format}`, qemu, 32, { hello: text })
    return `${path},${format},xvd${'abc'[i]},w`
  })
  const [sums, written] = await session(disks, [
    'for d in a b c; do mkdir /mnt/$d; mount /dev/xvd$d /mnt/$d; md5sum </mnt/$d/hello; done',
    'for d in a b c; do seq 30000 >/mnt/$d/seq; rm /mnt/$d/hello; sync; umount /mnt/$d; done; echo $?',
  ])
  assert.deepEqual(
    sums?.match(/[\da-f]{32}/g),
    names.map(() => md5(text)),
  )
  assert.match(written ?? '', /^0$/m)
  const expected = Array.from({ length: 30_000 }, (_, i) => `${i + 1}\n`).join('')
  for (const [i, [, qemu]] of FORMATS.entries()) {
    images.checkExt4(names[i] ?? '', qemu)
    assert.equal(md5(images.readExt4('/seq')), md5(expected))
  }
})

test('an image below, snapshot=1 and read-only disks stay as they are', async () => {
  images.makeExt4('base.qcow2', 'qcow2', 32, { hello: text })
  images.makeExt4('snap.raw', 'raw', 32, { hello: text })
  images.run(
    'qemu-img',
    'create',
    '-q',
    '-f',
    'qcow2',
    '-F',
    'qcow2',
    '-b',
    'base.qcow2',
    'top.qcow2',
  )
  const before = ['base.qcow2', 'snap.raw'].map((name) => md5(readFileSync(images.file(name))))
  const [sums, , discarded] = await session(
    [
      `${images.file('top.qcow2')},qcow2,xvda`,
      `${images.file('snap.raw')},raw,xvdb,w,snapshot=1`,
      `format=raw,vdev=xvdc,access=ro,target=${images.file('base.qcow2')}`,
    ],
    [
      'for d in a b; do mkdir /mnt/$d; mount /dev/xvd$d /mnt/$d; md5sum </mnt/$d/hello; done',
      'for d in a b; do seq 9999 >/mnt/$d/seq; rm /mnt/$d/hello; done; sync; fstrim /mnt/a; umount /mnt/a',
      'echo x >/dev/xvdc; cat /sys/block/xvd?/ro /sys/block/xvd?/queue/discard_granularity',
    ],
  )
  assert.deepEqual(sums?.match(/[\da-f]{32}/g), [md5(text), md5(text)])
  assert.match(discarded ?? '', /^0\n0\n1\n65536\n65536\n0$/m)
  const now = ['base.qcow2', 'snap.raw'].map((name) => md5(readFileSync(images.file(name))))
  assert.deepEqual(now, before)
  images.checkExt4('top.qcow2', 'qcow2')
  assert.equal(images.readExt4('/seq').split('\n').length, 10_000)
})

test('what the guest trims takes no room in a raw file any more', async (t) => {
  const path = images.makeExt4('trim.raw', 'raw', 32, { hello: text })
  const storage = FileStorage.open(path, true)
  storage.close()
  if (!storage.punch) return t.skip('files in the temporary folder cannot have holes')
  const [, sum] = await session(
    [`${path},raw,xvda`],
    [
      'mount /dev/xvda /mnt; dd if=/dev/urandom of=/mnt/big bs=1M count=16; sync',
      'md5sum </mnt/hello; rm /mnt/big; sync; fstrim /mnt; umount /mnt',
    ],
  )
  assert.match(sum ?? '', new RegExp(md5(text)))
  const room = statSync(path).blocks * 512
  assert.ok(room < 16 * 2 ** 20, `${room} bytes`)
  images.checkExt4('trim.raw', 'raw')
})

test('disks come and go while the guest runs, over several queues of several pages', async () => {
  const path = images.makeExt4('plug.qcow2', 'qcow2', 32, { hello: text })
  const session = await Session.create({ vcpus: 2 })
  try {
    session.host.start()
    await session.prompt()
    await session.run(WIDE)
    const parameters = 'max_ring_page_order=4 max_queues=2 max_indirect_segments=256'
    await session.run(`insmod /lib/modules/xen-blkfront.ko ${parameters}`)
    session.domain.disks.attach(`${path},qcow2,xvdb`)
    await session.until(() => session.domain.disks.list()[0]?.isConnected === true)
    assert.throws(() => session.domain.disks.attach(`${path},qcow2,xvdc`), UserError)
    const front = `/local/domain/${session.domain.id}/device/vbd/51728`
    const { xenstore } = session.host.xen
    assert.equal(xenstore.read(`${front}/multi-queue-num-queues`), '2')
    assert.equal(xenstore.read(`${front}/ring-page-order`), '4')
    const present = 'until [ -b /dev/xvdb ]; do sleep 0.1; done'
    const sum = await session.run(`${present}; mount /dev/xvdb /mnt; md5sum </mnt/hello`)
    assert.match(sum, new RegExp(md5(text)))
    await session.run('dd if=/dev/zero of=/mnt/zeros bs=1M count=8; umount /mnt')
    await session.domain.disks.detach('xvdb')
    assert.deepEqual(session.domain.disks.list(), [])
    assert.match(await session.run('ls /dev/xvdb'), /No such file/)
    images.checkExt4('plug.qcow2', 'qcow2')
    session.domain.disks.attach(`${path},qcow2,xvdb`)
    await session.until(() => session.domain.disks.list()[0]?.isConnected === true)
    const names = await session.run(`${present}; mount /dev/xvdb /mnt; ls /mnt`)
    assert.match(names, /hello.*zeros/s)
  } finally {
    session.destroy()
  }
})
