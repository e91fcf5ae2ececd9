import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { MemoryStorage } from './memory-storage.ts'
import { OverlayImage } from './overlay.ts'
import { RawImage } from './raw.ts'
import { ImageError } from './storage.ts'

const SECTORS = 1000

test('an overlay shows what was written over what is below, which stays as it is', () => {
  const operation = fc.tuple(
    fc.constantFrom('write', 'discard', 'read'),
    fc.nat(SECTORS - 1),
    fc.integer({ min: 1, max: 400 }),
    fc.integer({ min: 1, max: 255 }),
  )
  fc.assert(
    fc.property(fc.array(operation, { maxLength: 30 }), (operations) => {
      const base = new Uint8Array(SECTORS * 512).map((_, i) => i >> 9)
      const storage = new MemoryStorage(base.slice(), true)
      const image = new OverlayImage(new RawImage(storage))
      const mirror = base.slice()
      for (const [what, sector, count, fill] of operations) {
        const [start, end] = [sector * 512, Math.min(SECTORS, sector + count) * 512]
        if (what === 'write') {
          image.write(start, new Uint8Array(end - start).fill(fill))
          mirror.fill(fill, start, end)
        } else if (what === 'discard') {
          image.discard(start, end - start)
          const unit = image.discardGranularity
          const from = Math.ceil(start / unit) * unit
          const to = Math.floor(end / unit) * unit
          if (to > from) mirror.fill(0, from, to)
        } else {
          const bytes = new Uint8Array(end - start)
          image.read(start, bytes)
          assert.deepEqual(bytes, mirror.subarray(start, end))
        }
      }
      const all = new Uint8Array(SECTORS * 512)
      image.read(0, all)
      assert.deepEqual(all, mirror)
      assert.deepEqual(storage.contents(), base)
    }),
    { numRuns: 60, seed: 3 },
  )
})

test('an overlay takes only so much memory, and says so', () => {
  const below = new RawImage(new MemoryStorage(new Uint8Array(4 * 65536), true))
  const image = new OverlayImage(below, 2 * 65536)
  image.write(0, new Uint8Array(512))
  image.write(3 * 65536, new Uint8Array(512))
  image.write(512, new Uint8Array(512))
  assert.throws(() => image.write(65536, new Uint8Array(512)), ImageError)
})
