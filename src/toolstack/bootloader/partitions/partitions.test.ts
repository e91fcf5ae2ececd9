// Partition tables made by sfdisk, and such tables damaged.

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { MemoryStorage } from '../../../backends/block/memory-storage.ts'
import { RawImage } from '../../../backends/block/raw.ts'
import { DiskPart, DiskReader } from '../disk-reader.ts'
import { readPartitions } from './read-partitions.ts'

const folder = mkdtempSync(join(tmpdir(), 'xenolith-partitions-'))
after(() => rmSync(folder, { recursive: true }))
const options = existsSync('/sbin/sfdisk') ? {} : { skip: 'fdisk is not installed' }
const MIB = 2 ** 20
const DISK_MIB = 32

function make(script: string): Uint8Array {
  const image = join(folder, 'disk.img')
  writeFileSync(image, '')
  truncateSync(image, DISK_MIB * MIB)
  execFileSync('/sbin/sfdisk', ['-q', image], { input: script, stdio: 'pipe' })
  return new Uint8Array(readFileSync(image))
}

const reader = (bytes: Uint8Array) => new DiskReader(new RawImage(new MemoryStorage(bytes, true)))

/** Number, start and size in MiB, type. */
const listed = (bytes: Uint8Array) =>
  readPartitions(reader(bytes))?.map(({ number, offset, size, type }) => [
    number,
    offset / MIB,
    size / MIB,
    type,
  ])

const LOGICAL = `label: dos
start=2048, size=4M, type=83
start=10240, size=24M, type=5
start=12288, size=2M, type=83
start=18432, size=1M, type=82
start=22528, size=3M, type=83, bootable
`

test('primary and logical partitions of an MBR, the active one first', options, () => {
  assert.deepEqual(listed(make(LOGICAL)), [
    [7, 11, 3, 'Linux'],
    [1, 1, 4, 'Linux'],
    [5, 6, 2, 'Linux'],
    [6, 9, 1, 'Linux swap'],
  ])
})

const GPT = `label: gpt
1: start=4096, size=8M, type=0FC63DAF-8483-4772-8E79-3D69D8477DE4, name="root"
14: start=2048, size=1M, type=21686148-6449-6E6F-744E-656564454649
15: start=20480, size=4M, type=C12A7328-F81F-11D2-BA4B-00A0C93EC93B
`
const GPT_LISTED = [
  [1, 2, 8, 'Linux'],
  [14, 1, 1, 'BIOS boot'],
  [15, 10, 4, 'EFI system'],
]

test('partitions of a GPT', options, () => {
  assert.deepEqual(listed(make(GPT)), GPT_LISTED)
})

const HEADER = 512
const ENTRIES = 1024
const LAST_SECTOR = DISK_MIB * MIB - 512

test('where the first copy of a GPT is damaged the second one counts', options, () => {
  const good = make(GPT)
  for (const offset of [HEADER, HEADER + 16, HEADER + 24, HEADER + 80, ENTRIES + 3]) {
    const bytes = good.slice()
    bytes[offset] = (bytes[offset] ?? 0) ^ 0x10
    assert.deepEqual(listed(bytes), GPT_LISTED, `byte ${offset}`)
  }
})

test('a GPT with two damaged copies is an error that says how', options, () => {
  const bytes = make(GPT)
  bytes[HEADER + 20] = 1
  bytes[HEADER + 24] = 9
  bytes[LAST_SECTOR + 88] = (bytes[LAST_SECTOR + 88] ?? 0) ^ 1
  assert.throws(() => listed(bytes), /The first copy: .* CRC.* The second copy: .* CRC/)
})

test('a protective MBR without a GPT is an error', options, () => {
  const bytes = make(GPT)
  bytes.fill(0, HEADER, HEADER + 8)
  bytes.fill(0, LAST_SECTOR, LAST_SECTOR + 8)
  assert.throws(() => listed(bytes), /but there is none/)
})

test('a chain of logical partitions that leads back to itself ends', options, () => {
  const bytes = make(LOGICAL)
  const view = new DataView(bytes.buffer)
  // The second entry of the first table in the extended partition: 0 MiB from its start.
  const link = 5 * MIB + 446 + 16
  view.setUint8(link + 4, 5)
  view.setUint32(link + 8, 1, true)
  bytes.copyWithin(5 * MIB + 512, 5 * MIB, 5 * MIB + 512)
  const found = listed(bytes)
  assert.ok(found && found.length > 2 && found.length < 100, String(found?.length))
})

test('a disk without a partition table has none', () => {
  assert.equal(readPartitions(reader(new Uint8Array(MIB))), undefined)
  assert.equal(readPartitions(reader(new Uint8Array(100))), undefined)
  // Boot code of GRUB on a disk that is one file system.
  const bytes = new Uint8Array(MIB)
  bytes.set([0x55, 0xaa], 510)
  assert.equal(readPartitions(reader(bytes)), undefined)
})

test('nothing outside a part is read through it', () => {
  const part = new DiskPart(reader(new Uint8Array(4096).fill(7)), 1024, 99999)
  assert.equal(part.size, 3072)
  assert.deepEqual(part.read(3070, 2), new Uint8Array([7, 7]))
  for (const [offset, length] of [
    [3071, 2],
    [-1, 1],
    [2 ** 60, 1],
    [Number.NaN, 1],
  ] as const) {
    assert.throws(() => part.read(offset, length), /but the partition ends at 3072/)
  }
})
