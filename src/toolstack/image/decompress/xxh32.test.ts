import assert from 'node:assert/strict'
import { test } from 'node:test'
import { xxh32 } from './xxh32.ts'

test('xxh32 gives the hashes that xxhsum gives', () => {
  const hash = (text: string): number => xxh32(new TextEncoder().encode(text))
  assert.equal(hash(''), 0x02cc5d05)
  assert.equal(hash('a'), 0x550d7456)
  assert.equal(hash('abc'), 0x32d153ff)
  assert.equal(hash('Nobody inspects the spammish repetition'), 0xe2293b2f)
})
