import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BlockTable, type Chained } from './block-table.ts'

interface Entry extends Chained<Entry> {
  readonly name: number
}

function entry(start: number, mode: number, name: number): Entry {
  return { start, mode, name, following: undefined }
}

test('blocks are found by address and mode, among many in the same chains', () => {
  const table = new BlockTable<Entry>()
  const model = new Map<string, Entry>()
  let seed = 1
  const random = (limit: number) => {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0
    return (seed >>> 8) % limit
  }
  for (let i = 0; i < 200_000; i++) {
    // Also addresses above 2 GiB.
    const start = 0xffff0000 - random(100_000)
    const mode = random(2) * 2
    const key = `${start} ${mode}`
    const known = model.get(key)
    assert.equal(table.get(start, mode), known)
    if (known) {
      table.delete(known)
      model.delete(key)
    } else {
      const block = entry(start, mode, i)
      table.add(block)
      model.set(key, block)
    }
  }
})

test('taking out a block that is not there leaves the others', () => {
  const table = new BlockTable<Entry>()
  const kept = entry(0x1000, 2, 1)
  table.add(kept)
  table.delete(entry(0x1000, 2, 2))
  assert.equal(table.get(0x1000, 2), kept)
  table.clear()
  assert.equal(table.get(0x1000, 2), undefined)
})
