import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BlockHints } from './block-hints.ts'

test('a hint holds for its address and mode, above 2 GiB too, until the block is no more', () => {
  const hints = new BlockHints()
  for (const host of [0x1000, 0xf0001234]) {
    assert.equal(hints.find(host, 2), 0)
    hints.remember(host, 2, 640)
    assert.equal(hints.find(host, 2), 640)
    assert.equal(hints.find(host, 4), 0)
    assert.equal(hints.find(host + 1, 2), 0)
    hints.forget(host)
    assert.equal(hints.find(host, 2), 0)
  }
})

test('what shares a place pushes the other out, and forgetting one never leaves a wrong hint', () => {
  const hints = new BlockHints()
  const live = new Map<number, number>()
  let seed = 7
  const random = (limit: number) => {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0
    return (seed >>> 8) % limit
  }
  let found = 0
  for (let i = 0; i < 300_000; i++) {
    const host = random(200_000)
    const known = hints.find(host, 0)
    if (known !== 0) {
      found++
      assert.equal(known, live.get(host))
    }
    if (random(4) === 0) {
      live.delete(host)
      hints.forget(host)
    } else {
      live.set(host, i + 1)
      hints.remember(host, 0, i + 1)
    }
  }
  assert.ok(found > 1000)
  hints.forgetAll()
  for (const host of live.keys()) assert.equal(hints.find(host, 0), 0)
})
