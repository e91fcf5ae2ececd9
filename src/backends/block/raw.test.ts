// What a raw image does where its storage turns out not to give bytes back.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MemoryStorage } from './memory-storage.ts'
import { RawImage } from './raw.ts'
import { ImageError } from './storage.ts'

const MiB = 2 ** 20

test('a discard that the storage refuses fails, changes nothing, and no other is offered', () => {
  const bytes = new Uint8Array(3 * MiB).fill(7)
  const asked: (readonly [number, number])[] = []
  const storage = Object.assign(new MemoryStorage(bytes), {
    punch(offset: number, length: number) {
      asked.push([offset, length])
      return false
    },
  })
  const image = new RawImage(storage)
  assert.equal(image.discardGranularity, MiB)
  assert.throws(() => {
    image.discard(100, 3 * MiB - 100)
  }, ImageError)
  assert.deepEqual(asked, [[MiB, 2 * MiB]])
  const found = new Uint8Array(3 * MiB)
  image.read(0, found)
  assert.ok(found.every((byte) => byte === 7))
  assert.equal(image.discardGranularity, 0)
})
