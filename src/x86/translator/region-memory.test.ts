import assert from 'node:assert/strict'
import { test } from 'node:test'
import { RegionMemory } from './region-memory.ts'

/** Three batches: of two modules, of one with two regions, of one with one. */
function three(): RegionMemory {
  const memory = new RegionMemory()
  memory.begin()
  memory.add([1, 2], 1000)
  memory.add([3], 500)
  memory.begin()
  memory.add([4, 5], 2000)
  memory.begin()
  memory.add([6], 100)
  return memory
}

test('bytes are taken until the last of the regions made together is no more', () => {
  const memory = three()
  assert.equal(memory.bytes, 3600)
  memory.remove(4)
  assert.equal(memory.bytes, 3600)
  memory.remove(5)
  assert.equal(memory.bytes, 1600)
  for (const place of [1, 2, 3, 6, 6, 99]) memory.remove(place)
  assert.equal(memory.bytes, 0)
})

test('those that were not seen for longest go first, and only as many as need be', () => {
  const memory = three()
  assert.deepEqual(memory.excess(3600, 6), [])
  assert.deepEqual(memory.excess(3599, 6), [1, 2, 3])
  memory.saw(2)
  assert.deepEqual(memory.excess(3599, 6), [4, 5])
  assert.deepEqual(memory.excess(1500, 6), [4, 5, 6])
  assert.deepEqual(memory.excess(3600, 5), [4, 5])
  assert.deepEqual(memory.excess(0, 6), [4, 5, 6, 1, 2, 3])
})

test('a place that is used again belongs to the later regions', () => {
  const memory = three()
  memory.remove(6)
  memory.begin()
  memory.add([6], 50)
  assert.equal(memory.bytes, 3550)
  assert.deepEqual(memory.excess(100, 6), [1, 2, 3, 4, 5])
})

test('nothing is left after all was forgotten', () => {
  const memory = three()
  memory.clear()
  assert.equal(memory.bytes, 0)
  assert.deepEqual(memory.excess(0, 0), [])
  memory.saw(1)
  memory.remove(1)
  assert.equal(memory.bytes, 0)
})
