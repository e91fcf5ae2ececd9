import assert from 'node:assert/strict'
import { test } from 'node:test'
import { addNanoseconds, RealClock, VirtualClock, wallClock } from './time.ts'

const BASE = { seconds: 1_000_000_000, nanoseconds: 999_999_999 }

test('virtual time moves only when told to, and never back', () => {
  const clock = new VirtualClock(BASE)
  assert.equal(clock.now(), 0)
  clock.advance(5)
  clock.skipTo(12)
  clock.skipTo(12)
  assert.equal(clock.now(), 12)
  assert.throws(() => clock.skipTo(11), /cannot go/)
  assert.throws(() => clock.advance(0.5), /cannot go/)
})

test('the wall clock carries nanoseconds into seconds', () => {
  const clock = new VirtualClock(BASE)
  clock.advance(1)
  assert.deepEqual(wallClock(clock), { seconds: 1_000_000_001, nanoseconds: 0 })
  clock.skipTo(3_000_000_000)
  assert.deepEqual(wallClock(clock), { seconds: 1_000_000_003, nanoseconds: 999_999_999 })
})

test('a moment can be moved back', () => {
  const moved = addNanoseconds({ seconds: 10, nanoseconds: 1 }, -2)
  assert.deepEqual(moved, { seconds: 9, nanoseconds: 999_999_999 })
})

test('real time starts at 0, is whole, and stands still while its source steps back', () => {
  let source = 1000.25
  const clock = new RealClock(() => source, BASE)
  assert.equal(clock.now(), 0)
  source = 1002
  assert.equal(clock.now(), 1)
  source = 900
  assert.equal(clock.now(), 1)
  source = 1010.5
  assert.equal(clock.now(), 10)
})

test('a restored real clock goes on from where it was saved', () => {
  let source = 0
  const clock = new RealClock(() => source, BASE)
  source = 500
  const state = clock.save()
  source = 100_000
  const later = new RealClock(() => source, { seconds: 0, nanoseconds: 0 })
  later.restore(state)
  assert.equal(later.now(), 500)
  source += 25
  assert.equal(later.now(), 525)
  assert.deepEqual(later.wallBase, BASE)
})

test('a restored virtual clock shows the saved time and date', () => {
  const clock = new VirtualClock(BASE)
  clock.advance(77)
  const later = new VirtualClock({ seconds: 0, nanoseconds: 0 })
  later.restore(structuredClone(clock.save()))
  assert.equal(later.now(), 77)
  assert.deepEqual(later.wallBase, BASE)
})
