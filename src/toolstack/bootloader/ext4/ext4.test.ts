// File systems made by mke2fs, with the features that distributions choose and some that they do not;
// what is read is compared with what was put into them.

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { closeSync, openSync, symlinkSync, writeFileSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { MemoryStorage } from '../../../backends/block/memory-storage.ts'
import { RawImage } from '../../../backends/block/raw.ts'
import { ImageError } from '../../../backends/block/storage.ts'
import { DiskReader } from '../disk-reader.ts'
import type { FileSystem } from '../file-system.ts'
import { CRC32C_START, crc32c } from './checksum.ts'
import { openExt4 } from './ext4.ts'

const folder = mkdtempSync(join(tmpdir(), 'xenolith-ext4-'))
after(() => rmSync(folder, { recursive: true }))
const options = existsSync('/sbin/mke2fs') ? {} : { skip: 'e2fsprogs is not installed' }
const UUID = '0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0'
const MOST = 2 ** 26
const MANY = 200

/** Bytes that differ from block to block. */
function patterned(length: number): Uint8Array {
  const bytes = new Uint8Array(length)
  for (let i = 0; i < length; i++) bytes[i] = i * 7 + (i >> 8) * 13 + (i >> 16)
  return bytes
}

const CONTENTS: Readonly<Record<string, Uint8Array>> = {
  '/boot/vmlinuz-6.1.0': patterned(400_001),
  '/boot/tiny': new TextEncoder().encode('a few bytes'),
  '/boot/empty': new Uint8Array(),
  '/boot/two-hundred': patterned(200),
  '/deep/er/file': patterned(5000),
}

const LINKS: Readonly<Record<string, string>> = {
  '/vmlinuz': 'boot/vmlinuz-6.1.0',
  '/boot/absolute': '/boot/tiny',
  '/boot/up': '../deep/er/../er/file',
  '/boot/long': `/${'./'.repeat(100)}deep/er/file`,
  '/to-boot': 'boot',
  '/circle': 'circle',
  '/dangling': 'nowhere',
}

/** Blocks of data with holes between, which need a tree of extents or indirect blocks. */
const SPARSE_STEP = 3 * 4096
const SPARSE_PIECES = 100
// It ends with data: mke2fs forgets a hole at the end of a file where there is inline data.
const sparse = new Uint8Array(SPARSE_STEP * (SPARSE_PIECES - 1) + 100)
for (let i = 0; i < SPARSE_PIECES; i++)
  sparse.fill((i % 255) + 1, i * SPARSE_STEP, i * SPARSE_STEP + 100)

function makeContents(): string {
  const root = join(folder, 'root')
  for (const path of ['boot', 'deep/er', 'many']) mkdirSync(join(root, path), { recursive: true })
  for (const [path, bytes] of Object.entries(CONTENTS)) writeFileSync(join(root, path), bytes)
  for (const [path, target] of Object.entries(LINKS)) symlinkSync(target, join(root, path))
  for (let i = 0; i < MANY; i++)
    writeFileSync(join(root, `many/file-with-a-long-name-${i}`), `${i}`)
  const fd = openSync(join(root, 'sparse'), 'w')
  for (let at = 0; at < sparse.length; at += SPARSE_STEP) {
    writeSync(fd, sparse, at, 100, at)
  }
  closeSync(fd)
  return root
}

let root: string | undefined
let made = 0

/** The bytes of a file system. */
function make(args: readonly string[]): Uint8Array {
  root ??= makeContents()
  const image = join(folder, `${made++}.img`)
  const run = (command: string, ...rest: string[]) =>
    execFileSync(command, rest, {
      stdio: 'pipe',
      env: { ...process.env, E2FSPROGS_FAKE_TIME: '1' },
    })
  run('mke2fs', '-q', '-F', '-U', UUID, '-L', 'a disk', '-d', root, ...args, image, '16M')
  try {
    // Makes hash trees of large directories.
    run('e2fsck', '-fyD', image)
  } catch (error) {
    // 1: it has changed something.
    if ((error as { status?: number }).status !== 1) throw error
  }
  const bytes = new Uint8Array(readFileSync(image))
  rmSync(image)
  return bytes
}

function open(bytes: Uint8Array): FileSystem {
  const fs = openExt4(new DiskReader(new RawImage(new MemoryStorage(bytes, true))))
  assert.ok(fs)
  return fs
}

const KINDS: readonly (readonly [kind: string, ...args: string[]])[] = [
  ['ext2', '-t', 'ext2', '-b', '1024'],
  ['ext2', '-t', 'ext2', '-b', '4096', '-I', '128'],
  ['ext2', '-t', 'ext2', '-r', '0', '-O', 'none', '-I', '128', '-b', '1024'],
  ['ext3', '-t', 'ext3', '-b', '1024'],
  ['ext4', '-t', 'ext4'],
  ['ext4', '-t', 'ext4', '-b', '1024'],
  ['ext4', '-t', 'ext4', '-b', '65536', '-O', '^has_journal', '-N', '512'],
  ['ext4', '-t', 'ext4', '-O', '^metadata_csum,^64bit,uninit_bg'],
  ['ext4', '-t', 'ext4', '-O', 'inline_data'],
  ['ext4', '-t', 'ext4', '-O', 'inline_data', '-I', '512'],
  ['ext4', '-t', 'ext4', '-O', 'metadata_csum_seed'],
  ['ext4', '-t', 'ext4', '-O', 'meta_bg,^resize_inode', '-b', '1024', '-g', '256'],
  ['ext4', '-t', 'ext4', '-O', 'bigalloc', '-C', '16384'],
  ['ext4', '-t', 'ext4', '-O', 'large_dir,ea_inode,casefold,encrypt,mmp'],
  ['ext3', '-t', 'ext4', '-O', '^extents,^64bit'],
]

for (const [kind, ...args] of KINDS) {
  test(`what mke2fs ${args.join(' ')} holds is read as it was put in`, options, () => {
    const fs = open(make(args))
    assert.deepEqual([fs.kind, fs.uuid, fs.label, fs.isDirty], [kind, UUID, 'a disk', false])
    for (const [path, bytes] of Object.entries(CONTENTS)) {
      const file = fs.find(path)
      assert.equal(file?.type, 'file', path)
      assert.equal(file.size, bytes.length, path)
      assert.ok(Buffer.from(file.read(MOST)).equals(bytes), path)
    }
    assert.equal(fs.find('/vmlinuz')?.size, CONTENTS['/boot/vmlinuz-6.1.0']?.length)
    assert.deepEqual(fs.find('/to-boot/absolute')?.read(MOST), CONTENTS['/boot/tiny'])
    assert.deepEqual(fs.find('/boot/up')?.read(MOST), CONTENTS['/deep/er/file'])
    assert.deepEqual(fs.find('boot//long')?.read(MOST), CONTENTS['/deep/er/file'])
    assert.deepEqual(fs.find('/../boot/./tiny')?.read(MOST), CONTENTS['/boot/tiny'])
    assert.ok(Buffer.from(fs.find('/sparse')?.read(MOST) ?? []).equals(sparse))
    assert.equal(fs.find('/boot')?.type, 'directory')
    for (const i of [0, 1, 77, MANY - 1]) {
      const text = new TextDecoder().decode(fs.find(`/many/file-with-a-long-name-${i}`)?.read(MOST))
      assert.equal(text, String(i))
    }
    for (const path of ['/nothing', '/boot/tiny/x', '/dangling', '/many/file-with-a-long-name-']) {
      assert.equal(fs.find(path), undefined, path)
    }
    assert.throws(() => fs.find('/circle'), /lead in a circle/)
    assert.throws(() => fs.find('/boot/vmlinuz-6.1.0')?.read(1000), /400001 bytes.*at most 1000/)
  })
}

test('what is no ext file system is not taken for one', () => {
  const source = (bytes: Uint8Array) => new DiskReader(new RawImage(new MemoryStorage(bytes)))
  assert.equal(openExt4(source(new Uint8Array(4096))), undefined)
  assert.equal(openExt4(source(new Uint8Array(512))), undefined)
})

test('a feature that we do not have is an error, not a guess', options, () => {
  const bytes = make(['-t', 'ext4', '-O', '^metadata_csum'])
  // s_feature_incompat: compression.
  bytes[1024 + 0x60] = (bytes[1024 + 0x60] ?? 0) | 1
  assert.throws(() => open(bytes), /the feature compression, which is not supported/)
})

test('with checksums of metadata every changed byte of them is noticed', options, () => {
  const good = make(['-t', 'ext4', '-b', '4096'])
  const offsets = {
    superblock: 1024 + 0x40,
    'group descriptor': 4096 + 0x10,
  }
  for (const [what, offset] of Object.entries(offsets)) {
    const bytes = good.slice()
    bytes[offset] = (bytes[offset] ?? 0) ^ 1
    assert.throws(() => open(bytes).find('/boot/tiny'), /wrong checksum/, what)
  }
})

test('CRC-32C has its known value', () => {
  // RFC 3720, appendix B.4: 32 bytes of zeros; there it is inverted at the end.
  assert.equal(~crc32c(CRC32C_START, new Uint8Array(32)) >>> 0, 0x8a9136aa)
})

test('an unmounted journal is told', options, () => {
  const bytes = make(['-t', 'ext4', '-O', '^metadata_csum'])
  bytes[1024 + 0x60] = (bytes[1024 + 0x60] ?? 0) | 4
  assert.equal(open(bytes).isDirty, true)
})

test('an error of the image itself is passed on', options, () => {
  const bytes = make(['-t', 'ext4'])
  const broken = {
    size: bytes.length,
    read: () => {
      throw new ImageError('A cluster is missing.')
    },
  }
  assert.throws(() => openExt4(new DiskReader(broken)), /A cluster is missing/)
})
