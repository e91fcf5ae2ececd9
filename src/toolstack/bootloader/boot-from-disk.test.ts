// Whole disks, with the tools' own partition tables and file systems: what boots, and what is said where
// nothing does.

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { symlinkSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { after, test } from 'node:test'
import { UserError } from '../../base/errors.ts'
import { MemoryStorage } from '../../backends/block/memory-storage.ts'
import { RawImage } from '../../backends/block/raw.ts'
import { bootFromDisk } from './boot-from-disk.ts'
import type { BootloaderOptions } from './pygrub-arguments.ts'

const folder = mkdtempSync(join(tmpdir(), 'xenolith-boot-'))
after(() => rmSync(folder, { recursive: true }))
const hasTools = existsSync('/sbin/mke2fs') && existsSync('/sbin/sfdisk')
const options = hasTools ? {} : { skip: 'e2fsprogs or fdisk is not installed' }
const MIB = 2 ** 20
const MOST_RAMDISK = 32 * MIB

let made = 0

/** A file system of 4 MiB with these files; a text that begins with "->" is a symbolic link. */
function fileSystem(files: Readonly<Record<string, string>>, ...args: string[]): Uint8Array {
  const root = join(folder, `root-${made}`)
  const image = join(folder, `fs-${made++}`)
  mkdirSync(root)
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true })
    if (text.startsWith('->')) symlinkSync(text.slice(2), join(root, path))
    else writeFileSync(join(root, path), text)
  }
  execFileSync('/sbin/mke2fs', ['-q', '-F', '-t', 'ext4', ...args, '-d', root, image, '4M'])
  return new Uint8Array(readFileSync(image))
}

/** A disk with partitions of 4 MiB, one behind the other from the first MiB on. */
function disk(label: 'gpt' | 'dos', ...contents: readonly Uint8Array[]): Uint8Array {
  const image = join(folder, 'disk')
  writeFileSync(image, '')
  truncateSync(image, (2 + 4 * contents.length) * MIB)
  const rows = contents.map((_, i) => `start=${2048 + i * 8192}, size=8192`)
  execFileSync('/sbin/sfdisk', ['-q', image], {
    input: [`label: ${label}`, ...rows].join('\n'),
    stdio: 'pipe',
  })
  const bytes = new Uint8Array(readFileSync(image))
  for (const [i, content] of contents.entries()) bytes.set(content, (1 + 4 * i) * MIB)
  return bytes
}

const text = (bytes: Uint8Array | undefined) => new TextDecoder().decode(bytes)

function boot(bytes: Uint8Array, request: BootloaderOptions = {}) {
  const image = new RawImage(new MemoryStorage(bytes, true))
  const found = bootFromDisk({ image, source: 'root.img' }, request, MOST_RAMDISK)
  return { ...found, kernel: text(found.kernel.bytes), ramdisk: text(found.ramdisk?.bytes) }
}

const ROOT = {
  'boot/vmlinuz-6': 'the kernel',
  'boot/initrd-6': 'the ramdisk',
  vmlinuz: '->boot/vmlinuz-6',
  'boot/grub/grub.cfg':
    'menuentry Debian {\n search --fs-uuid --set=root 11111111-2222-3333-4444-555555555555\n' +
    ' linux /boot/vmlinuz-6 root=/dev/xvda1 ro\n initrd /boot/initrd-6\n}\n' +
    'menuentry Old { linux /boot/vmlinuz-5\n initrd /boot/initrd-5 }\n',
}

test('a disk with a GPT, one with an MBR and one without partitions boot alike', options, () => {
  const fs = fileSystem(ROOT)
  for (const bytes of [disk('gpt', fs), disk('dos', fs), fs]) {
    const { kernel, ramdisk, commandLine } = boot(bytes, { args: 'console=hvc0' })
    assert.equal(kernel, 'the kernel')
    assert.equal(ramdisk, 'the ramdisk')
    assert.equal(commandLine, 'root=/dev/xvda1 ro console=hvc0')
  }
  assert.equal(boot(disk('gpt', fs)).chosen, '"Debian" of partition 1, /boot/grub/grub.cfg')
})

test('a boot partition of its own, found by UUID; several ramdisks become one', options, () => {
  const uuid = '11111111-2222-3333-4444-555555555555'
  const bootFs = fileSystem(
    {
      vmlinuz: 'k',
      early: '12345',
      late: '678',
      'grub/grub.cfg': 'menuentry x {\n linux /vmlinuz\n initrd /early /late\n}\n',
    },
    '-U',
    uuid,
  )
  const rootFs = fileSystem({ 'etc/hostname': 'x' })
  const found = boot(disk('gpt', rootFs, bootFs))
  assert.equal(found.kernel, 'k')
  assert.equal(found.ramdisk, '12345\0\0\x00678\0')
})

test(
  'a volume whose configuration is damaged does not keep another one from booting',
  options,
  () => {
    const broken = fileSystem({ 'boot/grub/grub.cfg': 'menuentry x {' })
    assert.equal(boot(disk('gpt', broken, fileSystem(ROOT))).kernel, 'the kernel')
  },
)

test('extlinux.conf is read where there is no grub.cfg', options, () => {
  const fs = fileSystem({
    'boot/extlinux.conf': 'default a\nlabel a\n linux vmlinuz\n initrd initrd\n append quiet\n',
    'boot/vmlinuz': 'k',
    'boot/initrd': 'r',
  })
  const { kernel, ramdisk, commandLine } = boot(fs)
  assert.deepEqual([kernel, ramdisk, commandLine], ['k', 'r', 'quiet'])
})

test('the user chooses an entry, or names the files', options, () => {
  const fs = fileSystem(ROOT)
  assert.equal(boot(fs, { entry: 'Debian' }).kernel, 'the kernel')
  assert.equal(boot(fs, { entry: '0' }).kernel, 'the kernel')
  const named = boot(disk('dos', fs), { kernel: '/vmlinuz', ramdisk: '/boot/initrd-6', args: 'a' })
  assert.deepEqual(
    [named.kernel, named.ramdisk, named.commandLine, named.chosen],
    ['the kernel', 'the ramdisk', 'a', '/vmlinuz of partition 1'],
  )
  assert.equal(boot(disk('dos', fs), { offset: MIB }).kernel, 'the kernel')
})

test('an error says what is missing and where', options, () => {
  const fs = fileSystem(ROOT)
  const xfs = new Uint8Array(4 * MIB)
  xfs.set(new TextEncoder().encode('XFSB'))
  const empty = fileSystem({})
  for (const [bytes, request, message] of [
    [fs, { entry: 'Old' }, /The disk, the kernel \/boot\/vmlinuz-5: There is no such file/],
    [fs, { entry: 'New' }, /no entry "New"\. It has 0: "Debian", 1: "Old"/],
    [fs, { entry: '7' }, /no entry "7"/],
    [fs, { kernel: '/vmlinux' }, /kernel \/vmlinux is not there: it is not on the disk \(ext4\)/],
    [fs, { kernel: '/boot' }, /The disk, the kernel \/boot: It is no file/],
    [disk('gpt', xfs, empty), {}, /partition 2 \(ext4\) has none of grub.cfg.*partition 1.*XFS/],
    [new Uint8Array(MIB), {}, /the disk has no file system that we know/],
    [new Uint8Array(), {}, /the disk has no file system/],
    [
      fileSystem({ 'boot/grub/grub.cfg': 'menuentry x {\n' }),
      {},
      /The disk, \/boot\/grub\/grub.cfg: Line 2 .* brace/,
    ],
    [fileSystem({ 'boot/grub/grub.cfg': '' }), {}, /grub.cfg has no menu entries/],
  ] as const) {
    assert.throws(
      () => boot(bytes, request),
      (error) => {
        assert.ok(error instanceof UserError)
        assert.equal(error.what, 'Cannot boot from the disk root.img.')
        assert.match(error.why, message)
        return true
      },
    )
  }
})

test('a ramdisk larger than the memory is refused before it is read', options, () => {
  const fs = fileSystem({ ...ROOT, 'boot/initrd-6': 'x'.repeat(5000) })
  const image = new RawImage(new MemoryStorage(fs, true))
  assert.throws(
    () => bootFromDisk({ image, source: 'x' }, {}, 4999),
    /ramdisk \/boot\/initrd-6: It has 5000 bytes, where at most 4999/,
  )
})
