// Files as storage: what a hole leaves, and what it takes.

import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { RawImage } from '../backends/block/raw.ts'
import { FileStorage } from './file-storage.ts'

const MiB = 2 ** 20
const folder = mkdtempSync(join(tmpdir(), 'xenolith-holes-'))
after(() => {
  rmSync(folder, { recursive: true })
})
const path = join(folder, 'disk.raw')
writeFileSync(path, '')
const probe = FileStorage.open(path, true)
const hasHoles = probe.punch !== undefined
probe.close()
const skip = !hasHoles && 'files in the temporary folder cannot have holes'

test('what is discarded of a raw image reads as zeros and takes no room', { skip }, () => {
  const bytes = randomBytes(8 * MiB)
  writeFileSync(path, bytes)
  const image = new RawImage(FileStorage.open(path, true))
  assert.equal(image.discardGranularity, MiB)
  const before = statSync(path).blocks
  // Two whole units, and a part of one on either side.
  image.discard(2 * MiB - 4096, 2 * MiB + 8192)
  image.close()
  bytes.fill(0, 2 * MiB, 4 * MiB)
  assert.ok(readFileSync(path).equals(bytes))
  const freed = (before - statSync(path).blocks) * 512
  assert.ok(Math.abs(freed - 2 * MiB) <= 65536, `${freed} bytes were given back`)
})

test('the last unit of a disk is discarded though it is not whole', { skip }, () => {
  const bytes = randomBytes(MiB + 5 * 512)
  writeFileSync(path, bytes)
  const image = new RawImage(FileStorage.open(path, true))
  image.discard(MiB, 5 * 512)
  image.close()
  assert.ok(readFileSync(path).equals(bytes.fill(0, MiB)))
})

test('a file that is only read has no holes made into it', () => {
  const storage = FileStorage.open(path, false)
  assert.equal(storage.punch, undefined)
  assert.equal(new RawImage(storage).discardGranularity, 0)
  storage.close()
})
