// Guests' disks that are broken on purpose: partition tables, file systems and boot configurations with
// bytes changed, at random but the same in each run, where a boot reads them. Each disk boots something
// or is refused with a clear error, after bounded work, and nothing outside it is read.

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { after, test } from 'node:test'
import { crc32 } from 'node:zlib'
import { UserError } from '../../src/base/errors.ts'
import { bootFromDisk } from '../../src/toolstack/bootloader/boot-from-disk.ts'
import { Random } from './random.ts'

const folder = mkdtempSync(join(tmpdir(), 'xenolith-boot-disks-'))
after(() => rmSync(folder, { recursive: true }))
const MUTATIONS = Number(process.env['XENOLITH_IMAGE_MUTATIONS'] ?? 400)

const MIB = 2 ** 20
const MOST_RAMDISK = 8 * MIB
/** What no boot from one of these disks may read; each holds a few kilobytes. */
const MOST_BYTES_READ = 256 * MIB
const SECTOR = 512

const FILES: Readonly<Record<string, string>> = {
  'boot/vmlinuz': 'kernel '.repeat(900),
  'boot/initrd.img': 'ramdisk '.repeat(900),
  'boot/grub/grubenv': `# GRUB Environment Block\nsaved_entry=0\n${'#'.repeat(900)}`,
  'boot/grub/grub.cfg':
    'load_env\nset default="${saved_entry}"\nfunction f {\n  set x="${1}"\n}\n' +
    'for i in a b c; do f $i; done\n' +
    "menuentry 'Debian' --id one {\n  search --set=root --file /boot/vmlinuz\n" +
    '  if [ -s /boot/vmlinuz -a x$x = xc ]; then\n    linux /boot/vmlinuz root=/dev/xvda1 ro $x\n' +
    "  fi\n  initrd /boot/initrd.img\n}\nsubmenu 'More' {\n  menuentry 'Old' { linux /boot/old }\n}\n",
}
const EXTLINUX: Readonly<Record<string, string>> = {
  'boot/vmlinuz': FILES['boot/vmlinuz'] ?? '',
  'boot/initrd.img': FILES['boot/initrd.img'] ?? '',
  'boot/extlinux/extlinux.conf':
    'default menu.c32\ninclude more.cfg\nlabel a\n menu default\n linux ../vmlinuz\n' +
    ' initrd ../initrd.img\n append ro\n',
  'boot/extlinux/more.cfg': 'append quiet\n',
}

function fileSystem(files: Readonly<Record<string, string>>, ...args: string[]): Uint8Array {
  const root = join(folder, 'root')
  const image = join(folder, 'fs')
  rmSync(root, { recursive: true, force: true })
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true })
    writeFileSync(join(root, path), text)
  }
  execFileSync('/sbin/mke2fs', ['-q', '-F', ...args, '-d', root, image, '3M'], { stdio: 'pipe' })
  return new Uint8Array(readFileSync(image))
}

function disk(table: string, contents: Uint8Array, offset: number): Uint8Array {
  const image = join(folder, 'disk')
  writeFileSync(image, '')
  truncateSync(image, 6 * MIB)
  execFileSync('/sbin/sfdisk', ['-q', image], { input: table, stdio: 'pipe' })
  const bytes = new Uint8Array(readFileSync(image))
  bytes.set(contents, offset)
  return bytes
}

/** A disk, and what has to be put right after a change so that the change counts. */
interface Sample {
  readonly name: string
  readonly bytes: Uint8Array
  readonly mend?: (bytes: Uint8Array) => void
}

/** Gives both copies of a GPT the CRCs of what they say, as far as they say where that is. */
function mendGpt(bytes: Uint8Array): void {
  const view = new DataView(bytes.buffer)
  for (const at of [SECTOR, bytes.length - SECTOR]) {
    const table = Number(view.getBigUint64(at + 72, true)) * SECTOR
    const size = view.getUint32(at + 80, true) * view.getUint32(at + 84, true)
    if (table + size <= bytes.length) {
      view.setUint32(at + 88, crc32(bytes.subarray(table, table + size)), true)
    }
    const length = Math.min(SECTOR, view.getUint32(at + 12, true))
    view.setUint32(at + 16, 0, true)
    view.setUint32(at + 16, crc32(bytes.subarray(at, at + length)), true)
  }
}

const GPT = 'label: gpt\nstart=2048, size=6144\n'
const LOGICAL = 'label: dos\nstart=2048, size=8192, type=5\nstart=4096, size=6144, type=83\n'

function makeSamples(): Sample[] {
  const plain = ['-t', 'ext4', '-b', '1024', '-O', '^metadata_csum']
  const inline = [
    '-t',
    'ext4',
    '-b',
    '1024',
    '-O',
    '^metadata_csum,inline_data,meta_bg,^resize_inode',
  ]
  return [
    { name: 'GPT', bytes: disk(GPT, fileSystem(FILES, ...plain), MIB) },
    {
      name: 'GPT with right CRCs',
      bytes: disk(GPT, fileSystem(FILES, ...plain), MIB),
      mend: mendGpt,
    },
    { name: 'MBR', bytes: disk(LOGICAL, fileSystem(FILES, '-t', 'ext2', '-b', '1024'), 2 * MIB) },
    { name: 'ext4', bytes: fileSystem(FILES, ...plain) },
    { name: 'ext4 with checksums', bytes: fileSystem(FILES, '-t', 'ext4', '-b', '1024') },
    { name: 'ext4 with data in inodes', bytes: fileSystem(EXTLINUX, ...inline) },
    { name: 'ext3 and extlinux', bytes: fileSystem(EXTLINUX, '-t', 'ext3', '-b', '1024') },
  ]
}

interface Reads {
  bytes: number
  readonly ranges: (readonly [offset: number, length: number])[]
}

/** Boots from the disk: what was found, or the error. */
function boot(bytes: Uint8Array): { result: string | UserError; reads: Reads } {
  const reads: Reads = { bytes: 0, ranges: [] }
  const image = {
    size: bytes.length,
    read: (offset: number, into: Uint8Array) => {
      assert.ok(Number.isSafeInteger(offset) && offset >= 0, `read at ${offset}`)
      assert.ok(offset + into.length <= bytes.length, `read of ${into.length} at ${offset}`)
      into.set(bytes.subarray(offset, offset + into.length))
      reads.bytes += into.length
      reads.ranges.push([offset, into.length])
    },
  }
  try {
    const { chosen, commandLine } = bootFromDisk({ image, source: 'x' }, {}, MOST_RAMDISK)
    return { result: `${chosen} ${commandLine}`, reads }
  } catch (error) {
    if (!(error instanceof UserError)) throw error
    return { result: error, reads }
  }
}

const EXTREMES = [0, 1, 0x7f, 0x80, 0xfe, 0xff]

/** Changes one to four places of what a boot reads. */
function mutate(bytes: Uint8Array, { ranges }: Reads, random: Random): void {
  const times = 1 + random.below(4)
  for (let i = 0; i < times; i++) {
    const [offset, length] = ranges[random.below(ranges.length)] ?? [0, 1]
    const at = offset + random.below(length)
    const width = [1, 1, 2, 4][random.below(4)] ?? 1
    const value = EXTREMES[random.below(EXTREMES.length)] ?? 0
    const isExtreme = random.below(2) === 0
    for (let j = at; j < Math.min(at + width, bytes.length); j++) {
      bytes[j] = isExtreme ? value : random.below(256)
    }
  }
}

for (const { name, bytes, mend } of makeSamples()) {
  test(`${name}: ${MUTATIONS} broken disks boot or are refused, within bounds`, () => {
    const pristine = bytes.slice()
    const good = boot(bytes)
    assert.equal(typeof good.result, 'string', String(good.result))
    let refused = 0
    let most = 0
    for (let seed = 1; seed <= MUTATIONS; seed++) {
      bytes.set(pristine)
      mutate(bytes, good.reads, new Random(seed))
      mend?.(bytes)
      try {
        const { result, reads } = boot(bytes)
        most = Math.max(most, reads.bytes)
        if (typeof result !== 'string') {
          refused++
          assert.match(result.what, /^Cannot boot from the disk x\.$/)
          assert.ok(result.why.length > 10 && result.why.length < 2000, result.why)
        }
      } catch (error) {
        throw new Error(`${name}, seed ${seed}`, { cause: error })
      }
    }
    assert.ok(most < MOST_BYTES_READ, `${most} bytes were read`)
    assert.ok(refused > 0 && refused < MUTATIONS, `${refused} were refused`)
  })
}

/** Boot configurations with pieces taken out, doubled and exchanged. */
const WORDS = [...new Set((FILES['boot/grub/grub.cfg'] ?? '').match(/\s+|[^\s]+/g))]
const MORE = [
  '{',
  '}',
  '"',
  "'",
  '\\',
  '$',
  '${',
  ';',
  '\0',
  'while',
  'do',
  'done',
  'source',
  'until',
]

test(`${MUTATIONS} configurations of words at random boot or are refused`, () => {
  const start = 'menuentry x {\n'
  const bytes = fileSystem(
    { ...FILES, 'boot/grub/grub.cfg': start.padEnd(8000, '#') },
    '-t',
    'ext2',
  )
  const at = Buffer.from(bytes).indexOf(start)
  assert.ok(at > 0)
  const good = bytes.slice(at, at + 8000)
  for (let seed = 1; seed <= MUTATIONS; seed++) {
    const random = new Random(seed)
    const all = [...WORDS, ...MORE]
    const words = Array.from({ length: 5 + random.below(200) }, () => all[random.below(all.length)])
    bytes.set(good, at)
    bytes.set(new TextEncoder().encode(`${words.join(' ')}\n`).subarray(0, 8000), at)
    const { result } = boot(bytes)
    if (typeof result !== 'string') assert.ok(result.why.length < 2000, result.why)
  }
})
