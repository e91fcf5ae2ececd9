import assert from 'node:assert/strict'
import { test } from 'node:test'
import { HypercallCounters } from './hypercall-counters.ts'

test('calls are counted by their number, and errors among them', () => {
  const counters = new HypercallCounters()
  counters.note(62, undefined, 0, 0)
  counters.note(62, undefined, 1, -38)
  assert.deepEqual([...counters.snapshot()], [['hypercall 62', { calls: 2, errors: 1 }]])
})

test('a guest that makes up numbers does not make the counters grow without end', () => {
  const counters = new HypercallCounters()
  for (let number = 0; number < 60_000; number++) counters.note(number, undefined, 0, -38)
  const counts = counters.snapshot()
  assert.equal(counts.size, 1025)
  assert.deepEqual(counts.get('others'), { calls: 60_000 - 1024, errors: 60_000 - 1024 })
  assert.deepEqual(counts.get('hypercall 7'), { calls: 1, errors: 1 })
})
