import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { TimerHandle } from './timers.ts'
import { Timers } from './timers.ts'

test('timers run in the order of their deadlines, and equals in the order they were set', () => {
  const timers = new Timers()
  const ran: string[] = []
  for (const [name, deadline] of [
    ['c', 30],
    ['a', 10],
    ['b1', 20],
    ['b2', 20],
    ['late', 31],
  ] as const) {
    timers.set(deadline, () => ran.push(name))
  }
  assert.equal(timers.nextDeadline(), 10)
  assert.equal(timers.runExpired(30), 4)
  assert.deepEqual(ran, ['a', 'b1', 'b2', 'c'])
  assert.equal(timers.nextDeadline(), 31)
})

test('an empty queue never has a deadline', () => {
  assert.equal(new Timers().nextDeadline(), Number.POSITIVE_INFINITY)
  assert.equal(new Timers().runExpired(1e15), 0)
})

test('a timer that sets itself for now runs once a call', () => {
  const timers = new Timers()
  let runs = 0
  const again = (): void => {
    runs++
    timers.set(0, again)
  }
  timers.set(0, again)
  assert.equal(timers.runExpired(5), 1)
  assert.equal(timers.runExpired(5), 1)
  assert.equal(runs, 2)
})

test('a callback can cancel a timer that is due in the same call', () => {
  const timers = new Timers()
  const ran: string[] = []
  timers.set(1, () => {
    ran.push('first')
    assert.equal(timers.cancel(second), true)
  })
  const second = timers.set(1, () => ran.push('second'))
  assert.equal(timers.runExpired(1), 1)
  assert.deepEqual(ran, ['first'])
  assert.equal(timers.cancel(second), false)
  assert.equal(timers.size, 0)
})

test('a revived timer keeps its place among timers of the same deadline', () => {
  const timers = new Timers()
  const first = timers.set(7, () => {})
  const second = timers.set(7, () => {})
  const state = timers.save()

  const restored = new Timers()
  restored.restore(state)
  const ran: string[] = []
  restored.revive(second, 7, () => ran.push('second'))
  restored.revive(first, 7, () => ran.push('first'))
  restored.set(7, () => ran.push('third'))
  restored.runExpired(7)
  assert.deepEqual(ran, ['first', 'second', 'third'])
})

// The model: a plain list, searched and sorted every time.
type Step = { set: number } | { cancel: number } | { run: number }
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ set: fc.nat(50) }),
  fc.record({ cancel: fc.nat(40) }),
  fc.record({ run: fc.nat(50) }),
)

test('timers agree with a sorted list', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
      const timers = new Timers()
      const handles: TimerHandle[] = []
      let model: { id: number; deadline: number }[] = []
      const ran: number[] = []
      const expected: number[] = []
      for (const s of steps) {
        if ('set' in s) {
          const id = handles.length
          handles.push(timers.set(s.set, () => ran.push(id)))
          model.push({ id, deadline: s.set })
        } else if ('cancel' in s && handles.length > 0) {
          const id = s.cancel % handles.length
          const was = model.length
          model = model.filter((t) => t.id !== id)
          assert.equal(timers.cancel(handles[id] as TimerHandle), model.length < was)
        } else if ('run' in s) {
          const due = model.filter((t) => t.deadline <= s.run)
          due.sort((a, b) => a.deadline - b.deadline || a.id - b.id)
          expected.push(...due.map((t) => t.id))
          model = model.filter((t) => t.deadline > s.run)
          assert.equal(timers.runExpired(s.run), due.length)
        }
        assert.equal(timers.nextDeadline(), Math.min(...model.map((t) => t.deadline)))
        assert.equal(timers.size, model.length)
        assert.deepEqual(ran, expected)
      }
    }),
  )
})
