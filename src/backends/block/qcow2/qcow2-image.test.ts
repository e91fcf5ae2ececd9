// Images made by qemu-img, written by ours at random and mirrored in a plain buffer, then checked
// and compared by qemu-img.

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { constants, inflateRawSync, zstdDecompressSync } from 'node:zlib'
import { flushNow } from '../disk-image.ts'
import { MemoryStorage } from '../memory-storage.ts'
import { RawImage } from '../raw.ts'
import { ImageError } from '../storage.ts'
import { type Inflate, readQcow2Header } from './header.ts'
import { Qcow2Image } from './qcow2-image.ts'

const folder = mkdtempSync(join(tmpdir(), 'xenolith-qcow2-'))
after(() => rmSync(folder, { recursive: true }))
const file = (name: string) => join(folder, name)
const options = existsSync('/usr/bin/qemu-img') ? {} : { skip: 'qemu-utils is not installed' }

function qemuImg(...args: string[]): string {
  return execFileSync('qemu-img', args, { cwd: folder, encoding: 'utf8', stdio: 'pipe' })
}

const inflate: Inflate = (method, input, size) =>
  method === 'deflate'
    ? inflateRawSync(input, { maxOutputLength: size, finishFlush: constants.Z_SYNC_FLUSH })
    : zstdDecompressSync(input, { maxOutputLength: size })

/** Numbers that look random and are the same in every run (mulberry32). */
function generator(seed: number): (below: number) => number {
  let state = seed
  return (below) => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) % below
  }
}

function patterned(length: number, next: (below: number) => number): Uint8Array {
  const bytes = new Uint8Array(length)
  for (let at = 0; at < length; at += 512) bytes.fill(next(255) + 1, at, at + 512)
  return bytes
}

function open(name: string, below?: RawImage) {
  const storage = new MemoryStorage(readFileSync(file(name)))
  return { storage, image: new Qcow2Image(storage, readQcow2Header(storage), inflate, below) }
}

function check(name: string, contents: Uint8Array): void {
  qemuImg('check', '-q', '-f', 'qcow2', name)
  writeFileSync(file('mirror.raw'), contents)
  qemuImg('compare', '-q', '-f', 'qcow2', '-F', 'raw', name, 'mirror.raw')
}

interface Case {
  readonly title: string
  /** What `qemu-img create -o` gets. */
  readonly create: string
  readonly sectors: number
  readonly hasBacking?: boolean
  readonly isPacked?: boolean
  readonly hasSnapshot?: boolean
}

const CASES: readonly Case[] = [
  { title: 'version 3', create: 'compat=1.1', sectors: 9001 },
  { title: 'version 2', create: 'compat=0.10', sectors: 9001 },
  { title: 'the smallest clusters', create: 'compat=1.1,cluster_size=512', sectors: 40000 },
  { title: 'the largest clusters', create: 'compat=1.1,cluster_size=2M', sectors: 30000 },
  {
    title: 'reference counts of 1 bit',
    create: 'refcount_bits=1,cluster_size=4k',
    sectors: 9001,
  },
  {
    title: 'reference counts of 4 bits',
    create: 'refcount_bits=4,cluster_size=1k',
    sectors: 9001,
  },
  {
    title: 'reference counts of 64 bits',
    create: 'refcount_bits=64,cluster_size=512',
    sectors: 20000,
  },
  { title: 'lazy reference counts allowed', create: 'lazy_refcounts=on', sectors: 9001 },
  { title: 'an image below, version 3', create: 'compat=1.1', sectors: 9001, hasBacking: true },
  { title: 'an image below, version 2', create: 'compat=0.10', sectors: 9001, hasBacking: true },
  {
    title: 'compressed clusters',
    create: 'cluster_size=16k',
    sectors: 9001,
    isPacked: true,
  },
  {
    title: 'clusters compressed by zstd',
    create: 'compression_type=zstd',
    sectors: 9001,
    isPacked: true,
  },
  { title: 'snapshots', create: 'cluster_size=4k', sectors: 9001, hasSnapshot: true },
  { title: 'metadata in advance', create: 'preallocation=metadata', sectors: 9001 },
]

for (const { title, create, sectors, hasBacking, isPacked, hasSnapshot } of CASES) {
  test(`random writes are what qemu-img reads: ${title}`, options, () => {
    const next = generator(sectors + title.length)
    const size = sectors * 512
    let mirror: Uint8Array = new Uint8Array(size)
    let below: RawImage | undefined
    if (hasBacking) {
      // Shorter than the disk above it.
      const base = patterned(size - 100 * 512, next)
      writeFileSync(file('base.raw'), base)
      mirror.set(base)
      below = new RawImage(new MemoryStorage(base.slice(), true))
      qemuImg(
        'create',
        '-q',
        '-f',
        'qcow2',
        '-o',
        create,
        '-F',
        'raw',
        '-b',
        'base.raw',
        'x',
        `${size}`,
      )
    } else if (isPacked) {
      mirror = patterned(size, next)
      writeFileSync(file('base.raw'), mirror)
      qemuImg('convert', '-c', '-f', 'raw', '-O', 'qcow2', '-o', create, 'base.raw', 'x')
    } else qemuImg('create', '-q', '-f', 'qcow2', '-o', create, 'x', `${size}`)
    if (hasSnapshot) {
      const first = open('x')
      const bytes = patterned(size / 2 - 256, next)
      first.image.write(0, bytes)
      mirror.set(bytes)
      first.image.close()
      writeFileSync(file('x'), first.storage.contents())
      qemuImg('snapshot', '-c', 'before', 'x')
      writeFileSync(file('before.raw'), mirror)
    }

    for (let round = 0; round < 3; round++) {
      const { storage, image } = open('x', below)
      assert.equal(image.size, size)
      for (let i = 0; i < 60; i++) {
        const start = next(sectors)
        const count = 1 + next(Math.min(sectors - start, next(4) === 0 ? 2000 : 20))
        const what = next(10)
        if (what < 6) {
          const bytes = patterned(count * 512, next)
          image.write(start * 512, bytes)
          mirror.set(bytes, start * 512)
        } else if (what === 6) flushNow(image)
        else if (what === 7 && !isPacked) {
          image.discard(start * 512, count * 512)
          // As far as the image did it: what it shows now must be what was there, or zeros.
          const now = new Uint8Array(count * 512)
          image.read(start * 512, now)
          for (let at = 0; at < now.length; at += 512) {
            const sector = now.subarray(at, at + 512)
            const was = mirror.subarray(start * 512 + at, start * 512 + at + 512)
            if (sector.every((byte) => byte === 0)) was.fill(0)
            else assert.deepEqual(sector, was)
          }
        } else {
          const bytes = new Uint8Array(count * 512)
          image.read(start * 512, bytes)
          assert.deepEqual(bytes, mirror.subarray(start * 512, (start + count) * 512))
        }
      }
      image.close()
      writeFileSync(file('x'), storage.contents())
      check('x', mirror)
    }
    if (hasSnapshot) {
      qemuImg('convert', '-l', 'before', '-f', 'qcow2', '-O', 'raw', 'x', 'snapshot.raw')
      assert.deepEqual(readFileSync(file('snapshot.raw')), readFileSync(file('before.raw')))
    }
  })
}

test(
  'an image that is closed in the middle of a flush is whole, with all that was written',
  options,
  () => {
    qemuImg('create', '-q', '-f', 'qcow2', '-o', 'cluster_size=4k', 'x', '8M')
    for (let step = 1; step <= 3; step++) {
      const next = generator(step)
      const { storage, image } = open('x')
      for (let i = 0; i < 100; i++) image.write(next(2000) * 4096, patterned(4096, next))
      const all = new Uint8Array(image.size)
      image.read(0, all)
      const steps = image.flushSteps()[Symbol.iterator]()
      for (let i = 0; i < step; i++) steps.next()
      image.close()
      assert.equal(steps.next().done, true)
      writeFileSync(file('x'), storage.contents())
      check('x', all)
    }
  },
)

test('what is not flushed may be lost, but the image stays whole', options, () => {
  qemuImg('create', '-q', '-f', 'qcow2', '-o', 'cluster_size=4k', 'x', '8M')
  const next = generator(7)
  const { storage, image } = open('x')
  for (let i = 0; i < 200; i++) image.write(next(2000) * 4096, patterned(4096, next))
  flushNow(image)
  const flushed = new Uint8Array(image.size)
  image.read(0, flushed)
  for (let i = 0; i < 200; i++) image.discard(next(2000) * 4096, 8192)
  for (let i = 0; i < 50; i++) image.write(next(1000) * 4096 + 8192 * 512, patterned(4096, next))
  // Here the host dies.
  writeFileSync(file('x'), storage.contents())
  // 3 is qemu-img's word for leaked clusters only.
  const status = (() => {
    try {
      qemuImg('check', '-q', '-f', 'qcow2', 'x')
      return 0
    } catch (error) {
      return (error as { status: number }).status
    }
  })()
  assert.ok(status === 0 || status === 3, `qemu-img check: ${status}`)
})

test(
  'an image that was not closed, or is marked as corrupt, is read but not written',
  options,
  () => {
    for (const [bit, message] of [
      [1, /not closed/],
      [2, /marked as corrupt/],
    ] as const) {
      qemuImg('create', '-q', '-f', 'qcow2', 'x', '1M')
      const bytes = readFileSync(file('x'))
      bytes[79] = bit
      const writable = new MemoryStorage(bytes)
      assert.throws(() => new Qcow2Image(writable, readQcow2Header(writable), inflate), message)
      const readable = new MemoryStorage(bytes, true)
      const image = new Qcow2Image(readable, readQcow2Header(readable), inflate)
      image.read(0, new Uint8Array(512))
      assert.throws(() => image.write(0, new Uint8Array(512)), ImageError)
    }
  },
)

test('features that change how an image is read are refused by their names', options, () => {
  for (const [create, message] of [
    ['data_file=external.raw', /data-file/],
    ['extended_l2=on,cluster_size=128k', /extended-l2/],
  ] as const) {
    qemuImg('create', '-q', '-f', 'qcow2', '-o', create, 'x', '1M')
    assert.throws(() => readQcow2Header(new MemoryStorage(readFileSync(file('x')))), message)
  }
})

test('damage found while writing ends all writing and marks the image', options, () => {
  qemuImg('create', '-q', '-f', 'qcow2', 'x', '1M')
  const first = open('x')
  first.image.write(0, patterned(4096, generator(1)))
  first.image.close()
  const bytes = first.storage.contents()
  const view = new DataView(bytes.buffer)
  const l2 = Number(view.getBigUint64(Number(view.getBigUint64(40))) & 0xffffffffffff00n)
  // The first cluster of the disk is said to be where the L2 table is.
  view.setBigUint64(l2, (1n << 63n) | BigInt(l2))
  const storage = new MemoryStorage(bytes)
  const image = new Qcow2Image(storage, readQcow2Header(storage), inflate)
  assert.throws(() => image.write(0, new Uint8Array(512)), /where a table is/)
  assert.throws(() => image.write(65536 * 3, new Uint8Array(512)), /found damaged before/)
  assert.ok(readQcow2Header(storage).isCorrupt)
})
