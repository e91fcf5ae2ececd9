// Images that are broken on purpose: fields at their ends and bytes at random in the headers and tables
// of qcow2 and VHD images. Opening, reading, writing and closing one gives contents or an ImageError, in
// bounded time, and never touches anything outside the image and the file that it is in.

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { inflateRawSync } from 'node:zlib'
import { UserError } from '../../base/errors.ts'
import { type DiskImage, flushNow } from './disk-image.ts'
import { MemoryStorage } from './memory-storage.ts'
import { type ImageFiles, type ImageFormat, openImage } from './open-image.ts'
import { type ByteStorage, ImageError } from './storage.ts'

const folder = mkdtempSync(join(tmpdir(), 'xenolith-hostile-'))
after(() => rmSync(folder, { recursive: true }))
const options = existsSync('/usr/bin/qemu-img') ? {} : { skip: 'qemu-utils is not installed' }
const MUTATIONS = Number(process.env['XENOLITH_IMAGE_MUTATIONS'] ?? 400)

/** No image here needs more; one that writes further is running away. */
const MOST_BYTES = 2 ** 26

/** Bytes in memory that fail like a full disk, where a broken image would make the file huge. */
class BoundedStorage extends MemoryStorage {
  override write(offset: number, bytes: Uint8Array): void {
    if (!(offset >= 0) || offset + bytes.length > MOST_BYTES) throw new Error('no space left')
    super.write(offset, bytes)
  }

  override read(offset: number, into: Uint8Array): number {
    assert.ok(Number.isSafeInteger(offset) && offset >= 0, `read at ${offset}`)
    return super.read(offset, into)
  }
}

function filesWith(images: Record<string, Uint8Array>, opened: string[] = []): ImageFiles {
  return {
    open: (path, isWritable): ByteStorage => {
      opened.push(path)
      const bytes = images[path]
      if (!bytes) throw new UserError(`Cannot open ${path}.`, 'There is no such file.', 'Make it.')
      return new BoundedStorage(bytes.slice(), !isWritable)
    },
    resolve: (_, name) => name,
    inflate: (_, input, size) => {
      try {
        return inflateRawSync(input, { maxOutputLength: size })
      } catch {
        return undefined
      }
    },
  }
}

const qemuImg = (...args: string[]) =>
  execFileSync('qemu-img', args, { cwd: folder, stdio: 'pipe' })
const bytesOf = (name: string) => new Uint8Array(readFileSync(join(folder, name)))

function makeSamples(): readonly (readonly [string, ImageFormat, Uint8Array])[] {
  const raw = new Uint8Array(2 ** 20)
  for (let at = 0; at < raw.length; at += 4096) raw.fill(at / 4096 + 1, at, at + 3000)
  writeFileSync(join(folder, 'raw'), raw)
  const convert = (name: string, format: string, ...more: string[]) => {
    qemuImg('convert', '-f', 'raw', '-O', format, ...more, 'raw', name)
    return bytesOf(name)
  }
  const small = convert('a', 'qcow2', '-o', 'cluster_size=4k')
  const old = convert('b', 'qcow2', '-o', 'compat=0.10,cluster_size=4k')
  const packed = convert('c', 'qcow2', '-c', '-o', 'cluster_size=8k')
  qemuImg('snapshot', '-c', 's', 'a')
  return [
    ['qcow2', 'qcow2', small],
    ['qcow2 of version 2', 'qcow2', old],
    ['compressed qcow2', 'qcow2', packed],
    ['qcow2 with a snapshot', 'qcow2', bytesOf('a')],
    ['dynamic VHD', 'vhd', convert('d', 'vpc', '-o', 'force_size=on')],
    ['fixed VHD', 'vhd', convert('e', 'vpc', '-o', 'subformat=fixed,force_size=on')],
  ]
}

/** Does what a guest would; whatever is thrown must be an error that says what is wrong. */
function exercise(bytes: Uint8Array, format: ImageFormat): string {
  let image: DiskImage | undefined
  const attempt = (work: () => void) => {
    try {
      work()
    } catch (error) {
      assert.ok(error instanceof Error)
      const isExpected = error instanceof ImageError || error.message === 'no space left'
      if (!isExpected) throw error
      return error.message
    }
    return ''
  }
  for (const isWritable of [false, true]) {
    const problem = attempt(() => {
      image = openImage(filesWith({ x: bytes }), 'x', { format, isWritable })
    })
    if (problem !== '' || !image) return problem
    const open: DiskImage = image
    const size = Math.min(open.size, 2 ** 20)
    const buffer = new Uint8Array(65536)
    for (let at = 0; at + buffer.length <= size; at += buffer.length) {
      attempt(() => open.read(at, buffer))
      if (isWritable) attempt(() => open.write(at, buffer.subarray(0, 4096)))
      if (isWritable) attempt(() => open.discard(at, 16384))
    }
    if (open.size >= 512) attempt(() => open.read(open.size - 512, buffer.subarray(0, 512)))
    if (isWritable) attempt(() => flushNow(open))
    attempt(() => open.close())
  }
  return ''
}

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

const EXTREMES = [0, 1, 0x7f, 0x80, 0xff]

test('whatever is changed in an image, using it ends with contents or an error', options, () => {
  const samples = makeSamples()
  const verdicts = new Set<string>()
  let slowest = 0
  for (const [name, format, sample] of samples) {
    assert.equal(exercise(sample, format), '', name)
    const next = generator(name.length)
    // Where structures are: the start, and for VHD also the footer.
    const places = [...Array(120).keys()]
    if (format === 'vhd')
      places.push(...Array.from({ length: 512 }, (_, i) => sample.length - 512 + i))
    for (let i = 0; i < MUTATIONS; i++) {
      const bytes = sample.slice()
      const changes = 1 + next(4)
      for (let change = 0; change < changes; change++) {
        const isInTables = next(2) === 0
        const at = isInTables
          ? next(Math.min(bytes.length, 65536))
          : (places[next(places.length)] ?? 0)
        const run = 1 + next(8)
        bytes.fill(EXTREMES[next(EXTREMES.length)] ?? 0, at, at + run)
      }
      const cut = next(10) === 0 ? next(bytes.length) : bytes.length
      const mended = format === 'vhd' && next(2) === 0 ? withChecksums(bytes) : bytes
      const start = performance.now()
      verdicts.add(exercise(mended.subarray(0, cut), format).replace(/\d+/g, 'N'))
      slowest = Math.max(slowest, performance.now() - start)
    }
  }
  // The mutations reached many different checks.
  assert.ok(verdicts.size > 20, [...verdicts].join('\n'))
  assert.ok(slowest < 5000, `${slowest} ms`)
})

test('fields at their ends: sizes, offsets and counts that no image can have', options, () => {
  const [[, , sample]] = makeSamples() as [readonly [string, ImageFormat, Uint8Array]]
  const fields = [
    [4, 4],
    [8, 8],
    [16, 4],
    [20, 4],
    [24, 8],
    [32, 4],
    [36, 4],
    [40, 8],
    [48, 8],
    [56, 4],
    [60, 4],
    [64, 8],
    [72, 8],
    [80, 8],
    [88, 8],
    [96, 4],
    [100, 4],
  ] as const
  for (const [offset, length] of fields) {
    for (const value of [0n, 1n, 0x7fffffffn, 0xffffffffn, 2n ** 40n, 2n ** 63n, 2n ** 64n - 1n]) {
      const bytes = sample.slice()
      const view = new DataView(bytes.buffer)
      if (length === 4) view.setUint32(offset, Number(value & 0xffffffffn))
      else view.setBigUint64(offset, value)
      const start = performance.now()
      exercise(bytes, 'qcow2')
      assert.ok(performance.now() - start < 5000, `field ${offset}: ${value}`)
    }
  }
})

test('an image is never opened as another format than was said', options, () => {
  const samples = makeSamples()
  for (const [name, format, sample] of samples) {
    const files = filesWith({ x: sample })
    const other = format === 'qcow2' ? 'vhd' : 'qcow2'
    assert.throws(
      () => openImage(files, 'x', { format: other, isWritable: false }),
      ImageError,
      name,
    )
    const raw = openImage(files, 'x', { format: 'raw', isWritable: false })
    assert.equal(raw.size, sample.length - (sample.length % 512))
    if (name === 'fixed VHD') continue
    const unsaid = { format: undefined, isWritable: false }
    assert.throws(() => openImage(files, 'x', unsaid), /its format is not said/, name)
  }
})

test('images below: names are plain paths, formats are said, and chains end', options, () => {
  const backed = (backing: string, format: string) => {
    qemuImg('create', '-q', '-u', '-f', 'qcow2', '-F', format, '-b', backing, 'top', '1M')
    return bytesOf('top')
  }
  const open = (images: Record<string, Uint8Array>, opened: string[] = []) =>
    openImage(filesWith(images, opened), 'top', { format: 'qcow2', isWritable: true })
  const base = new Uint8Array(65536).fill(7)
  const good = open({ top: backed('base', 'raw'), base })
  const sector = new Uint8Array(512)
  good.read(0, sector)
  assert.equal(sector[0], 7)
  good.read(2 ** 20 - 512, sector)
  assert.equal(sector[0], 0, 'behind the end of what is below')

  for (const name of ['nbd://host/x', 'json:{"driver":"nbd"}', 'fat:/etc', 'http://x/y']) {
    const opened: string[] = []
    assert.throws(() => open({ top: backed(name, 'raw') }, opened), /no path of a file/, name)
    assert.deepEqual(opened, ['top'])
  }
  assert.throws(() => open({ top: backed('base', 'vmdk'), base }), /"vmdk", which is not supported/)
  const loop = backed('loop', 'qcow2')
  assert.throws(() => open({ top: loop, loop }), /build on each other/)
  assert.throws(() => open({ top: backed('gone', 'raw') }), UserError)
  assert.throws(
    () => open({ top: backed('base', 'qcow2'), base }),
    /builds on base.*no qcow2 image/,
  )
})

/** Makes both footers and the header of a dynamic VHD valid again, so that other checks are met. */
function withChecksums(bytes: Uint8Array): Uint8Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  for (const [start, length, at] of [
    [0, 512, 64],
    [512, 1024, 36],
    [bytes.length - 512, 512, 64],
  ] as const) {
    if (bytes[start] !== 0x63) continue
    view.setUint32(start + at, 0)
    let total = 0
    for (let i = 0; i < length; i++) total += view.getUint8(start + i)
    view.setUint32(start + at, ~total)
  }
  return bytes
}
