// VHD images made by qemu-img, written by ours and mirrored in a plain buffer, then read by qemu-img.

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { flushNow } from './disk-image.ts'
import { MemoryStorage } from './memory-storage.ts'
import { openVhd } from './vhd.ts'

const folder = mkdtempSync(join(tmpdir(), 'xenolith-vhd-'))
after(() => rmSync(folder, { recursive: true }))
const options = existsSync('/usr/bin/qemu-img') ? {} : { skip: 'qemu-utils is not installed' }

const qemuImg = (...args: string[]) =>
  execFileSync('qemu-img', args, { cwd: folder, encoding: 'utf8', stdio: 'pipe' })
const file = (name: string) => join(folder, name)
const open = (name: string) => {
  const storage = new MemoryStorage(readFileSync(file(name)))
  return { storage, image: openVhd(storage) }
}

for (const create of [
  'subformat=dynamic',
  'subformat=dynamic,force_size=on',
  'subformat=fixed',
  'subformat=fixed,force_size=on',
]) {
  test(`what is written is what qemu-img reads: ${create}`, options, () => {
    qemuImg('create', '-q', '-f', 'vpc', '-o', create, 'x.vhd', '20M')
    const said = JSON.parse(qemuImg('info', '--output=json', '-f', 'vpc', 'x.vhd')) as Record<
      string,
      unknown
    >
    const size = open('x.vhd').image.size
    assert.equal(size, said['virtual-size'])
    const mirror = new Uint8Array(size)
    for (let round = 0; round < 3; round++) {
      const { storage, image } = open('x.vhd')
      for (let i = 0; i < 20; i++) {
        const sector = (round * 7919 + i * 2711) % (size / 512 - 300)
        const bytes = new Uint8Array((1 + ((i * 37) % 300)) * 512).fill(round * 20 + i + 1)
        image.write(sector * 512, bytes)
        mirror.set(bytes, sector * 512)
        if (i % 5 === 0) flushNow(image)
      }
      const all = new Uint8Array(size)
      image.read(0, all)
      assert.deepEqual(all, mirror)
      image.close()
      writeFileSync(file('x.vhd'), storage.contents())
      writeFileSync(file('mirror.raw'), mirror)
      qemuImg('compare', '-q', '-f', 'vpc', '-F', 'raw', 'x.vhd', 'mirror.raw')
    }
  })
}

test('what is discarded reads as zeros, and its place is used again after a flush', options, () => {
  const block = 2 * 2 ** 20
  qemuImg('create', '-q', '-f', 'vpc', '-o', 'force_size=on', 'x.vhd', '15M')
  const { storage, image } = open('x.vhd')
  assert.equal(image.discardGranularity, block)
  const mirror = new Uint8Array(image.size)
  const write = (at: number, length: number, value: number) => {
    const bytes = new Uint8Array(length).fill(value)
    image.write(at, bytes)
    mirror.set(bytes, at)
  }
  const check = () => {
    const all = new Uint8Array(image.size)
    image.read(0, all)
    assert.deepEqual(all, mirror)
  }
  write(0, image.size, 1)
  flushNow(image)
  const full = storage.size
  // Two blocks whole, and the half of one on either side, which stay.
  image.discard(block / 2, 3 * block)
  mirror.fill(0, block, 3 * block)
  check()
  // The table on the medium still leads to the old places: they are not written to.
  const before = storage.contents()
  write(block, 512, 2)
  assert.deepEqual(storage.contents().subarray(0, full - 512), before.subarray(0, full - 512))
  assert.equal(storage.size, full + block + 512)
  flushNow(image)
  write(2 * block + 4096, 512, 3)
  assert.equal(storage.size, full + block + 512)
  check()
  // The last block is half of one.
  image.discard(7 * block, block / 2)
  mirror.fill(0, 7 * block)
  check()
  image.close()
  writeFileSync(file('x.vhd'), storage.contents())
  writeFileSync(file('mirror.raw'), mirror)
  qemuImg('compare', '-q', '-f', 'vpc', '-F', 'raw', 'x.vhd', 'mirror.raw')
  const map = JSON.parse(qemuImg('map', '--output=json', '-f', 'vpc', 'x.vhd')) as {
    data: boolean
    length: number
  }[]
  const held = map.filter(({ data }) => data).reduce((sum, { length }) => sum + length, 0)
  assert.equal(held, 7 * block)
})

test('what qemu-img wrote is read', options, () => {
  const bytes = new Uint8Array(17 * 2 ** 20)
  for (let at = 0; at < bytes.length; at += 512 * 5) bytes.fill((at / 2560) % 251, at, at + 512)
  writeFileSync(file('source.raw'), bytes)
  for (const subformat of ['dynamic', 'fixed']) {
    const more = `subformat=${subformat},force_size=on`
    qemuImg('convert', '-f', 'raw', '-O', 'vpc', '-o', more, 'source.raw', 'y.vhd')
    const { image } = open('y.vhd')
    const all = new Uint8Array(image.size)
    image.read(0, all)
    assert.deepEqual(all, bytes)
  }
})

test('a dynamic disk whose footer is lost is found by the copy at its start', options, () => {
  qemuImg('create', '-q', '-f', 'vpc', '-o', 'force_size=on', 'x.vhd', '20M')
  const bytes = readFileSync(file('x.vhd'))
  bytes.fill(0, bytes.length - 512)
  assert.equal(openVhd(new MemoryStorage(bytes)).size, 20 * 2 ** 20)
})

test('damaged and differencing images are refused in a sentence', options, () => {
  qemuImg('create', '-q', '-f', 'vpc', '-o', 'force_size=on', 'x.vhd', '20M')
  const good = readFileSync(file('x.vhd'))
  const broken = (change: (bytes: Buffer, view: DataView) => void) => {
    const bytes = Buffer.from(good)
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
    change(bytes, view)
    for (const footer of [0, bytes.length - 512]) sum(view, footer, 512, 64)
    sum(view, 512, 1024, 36)
    return () => openVhd(new MemoryStorage(bytes))
  }
  const both = (view: DataView, at: number, value: number) => {
    view.setUint32(at, value)
    view.setUint32(good.length - 512 + at, value)
  }
  assert.throws(() => openVhd(new MemoryStorage(new Uint8Array(100))), /too short/)
  assert.throws(() => openVhd(new MemoryStorage(new Uint8Array(5000))), /no VHD footer/)
  assert.throws(
    broken((_, v) => both(v, 60, 4)),
    /differencing/,
  )
  assert.throws(
    broken((_, v) => both(v, 60, 9)),
    /type 9/,
  )
  assert.throws(
    broken((_, v) => both(v, 48, 0x7fffffff)),
    /larger than a VHD/,
  )
  assert.throws(
    broken((_, v) => both(v, 16, 0x7fffffff)),
    /behind the end/,
  )
  assert.throws(
    broken((_, v) => v.setUint32(512 + 32, 1000)),
    /blocks cannot have 1000 bytes/,
  )
  assert.throws(
    broken((_, v) => v.setUint32(512 + 32, 0)),
    /blocks cannot have 0 bytes/,
  )
  assert.throws(
    broken((_, v) => v.setUint32(512 + 28, 1)),
    /table is too short/,
  )
  assert.throws(
    broken((_, v) => v.setUint32(512 + 16, 0x10000000)),
    /block table would lie behind/,
  )
  assert.throws(
    broken((_, v) => v.setUint32(1536, 3)),
    /where something else is/,
  )
  assert.throws(
    broken((_, v) => v.setUint32(1536, 0)),
    /where something else is/,
  )
  assert.throws(
    broken((_, v) => v.setUint32(1536, 0xfffffff0)),
    /behind the end/,
  )
})

/** The checksum of the specification: all bytes but its own four, inverted. */
function sum(view: DataView, start: number, length: number, at: number): void {
  view.setUint32(start + at, 0)
  let total = 0
  for (let i = 0; i < length; i++) total += view.getUint8(start + i)
  view.setUint32(start + at, ~total)
}
