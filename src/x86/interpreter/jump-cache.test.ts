// What the jump cache keeps, and what it forgets.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { HostMemory } from '../memory/host-memory.ts'
import { JUMP_CACHE_SETS, JumpCache } from './jump-cache.ts'

const HI = -1
const USER = 0x00401230
/** Addresses of one set: what the lower bits of their pages change, their offsets change back. */
const SAME_SET = [0, 1, 2].map((i) => (USER + i * JUMP_CACHE_SETS * 4096) | 0)

function make(): { cache: JumpCache; key: number; find: (lo: number) => number } {
  const cache = new JumpCache(new HostMemory(4 << 20))
  const key = cache.keyOf(2, false)
  return { cache, key, find: (lo) => cache.find(lo, HI, key) }
}

test('two addresses of a set are both known, and a third pushes out the older one', () => {
  const { cache, key, find } = make()
  const [a, b, c] = SAME_SET as [number, number, number]
  cache.remember(a, HI, 100, key, true)
  cache.remember(b, HI, 200, key, true)
  assert.deepEqual([find(a), find(b)], [100, 200])
  cache.remember(c, HI, 300, key, true)
  assert.deepEqual([find(a), find(b), find(c)], [0, 200, 300])
})

test('an address is entered once, wherever in its set it was', () => {
  const { cache, key, find } = make()
  const [a, b] = SAME_SET as [number, number]
  cache.remember(a, HI, 100, key, true)
  cache.remember(b, HI, 200, key, true)
  cache.remember(a, HI, 101, key, true)
  cache.remember(b, HI, 201, key, true)
  assert.deepEqual([find(a), find(b)], [101, 201])
  assert.equal(cache.find(a, 0, key), 0)
  assert.equal(cache.find(a, HI, cache.keyOf(2, true)), 0)
})

test('a change of the address space forgets what is not global, wherever in its set it is', () => {
  for (const isFirst of [false, true]) {
    const { cache, key, find } = make()
    const [a, b] = SAME_SET as [number, number]
    cache.remember(a + 4096, HI, 300, key, true)
    if (isFirst) cache.remember(b, HI, 200, key, true)
    cache.remember(a, HI, 100, key, false)
    if (!isFirst) cache.remember(b, HI, 200, key, true)
    assert.equal(cache.forgetLocal(), true)
    assert.deepEqual([find(a), find(a + 4096)], [0, 300])
  }
})

test('forgetting a page forgets its code, and the code that goes on in it, in all quarters', () => {
  const { cache, key, find } = make()
  for (let page = 0x400; page < 0x420; page++) {
    const [at, last] = [page * 4096 + 16, page * 4096 + 0xffe]
    cache.remember(at, HI, 1, key, true)
    cache.remember(last, HI, 2, key, true)
    cache.markCrossing(page + 1)
    cache.forgetPage(page - 1)
    assert.deepEqual([find(at), find(last)], [1, 2])
    cache.forgetPage(page + 1)
    assert.equal(find(last), 0)
    cache.remember(at, HI, 1, key, true)
    cache.forgetPage(page)
    assert.equal(find(at), 0)
  }
})

test('a page at the end of 4 GiB goes on in the first one', () => {
  const { cache, key, find } = make()
  cache.remember(-2, HI, 1, key, true)
  cache.markCrossing(0x100000)
  cache.forgetPage(0)
  assert.equal(find(-2), 0)
})
