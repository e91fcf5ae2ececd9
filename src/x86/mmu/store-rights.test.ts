import assert from 'node:assert/strict'
import { test } from 'node:test'
import { StoreRights } from './store-rights.ts'

/** Three TLBs, and who was searched for which page since it was asked last. */
function three() {
  const rights = new StoreRights(1 << 20)
  const searched: [number, number][] = []
  const add = (): number => {
    const number: number = rights.add({ protect: (host) => searched.push([number, host]) })
    return number
  }
  return { rights, add, numbers: [add(), add(), add()] as const, seen: () => searched.splice(0) }
}

test('a page that nobody may store to is searched for nowhere', () => {
  const { rights, seen } = three()
  rights.protect(0x5000)
  assert.deepEqual(seen(), [])
})

test('only the TLB that lets a page be stored to is searched, and once', () => {
  const { rights, numbers, seen } = three()
  rights.given(0x5123, numbers[1])
  rights.given(0x5456, numbers[1])
  rights.protect(0x6000)
  assert.deepEqual(seen(), [])
  rights.protect(0x5000)
  assert.deepEqual(seen(), [[numbers[1], 0x5000]])
  rights.protect(0x5000)
  assert.deepEqual(seen(), [])
})

test('where several may have it, all are searched', () => {
  const { rights, numbers, seen } = three()
  rights.given(0x5000, numbers[0])
  rights.given(0x5000, numbers[2])
  rights.given(0x5000, numbers[0])
  rights.protect(0x5000)
  assert.deepEqual(
    seen().map(([number]) => number),
    [...numbers],
  )
})

test('one that has gone is not searched, and the next one has its number', () => {
  const { rights, add, numbers, seen } = three()
  rights.given(0x5000, numbers[1])
  rights.given(0x7000, numbers[1])
  rights.remove(numbers[1])
  rights.protect(0x5000)
  assert.deepEqual(seen(), [])
  assert.equal(add(), numbers[1])
  // It may be searched in vain for what its predecessor had.
  rights.protect(0x7000)
  assert.deepEqual(seen(), [[numbers[1], 0x7000]])
})
