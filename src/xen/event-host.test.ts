import assert from 'node:assert/strict'
import { test } from 'node:test'
import { HostEvents } from './event-host.ts'

test('callbacks are called in the order of the events, each once', () => {
  const calls: number[] = []
  const events = new HostEvents()
  for (const port of [1, 2, 3]) events.attach(port, () => calls.push(port))
  for (const port of [2, 1, 2, 3]) events.setPending(port)
  assert.equal(events.deliver(), 3)
  assert.deepEqual(calls, [2, 1, 3])
  assert.equal(events.deliver(), 0)
})

test('what a callback raises is delivered in the same go, and two that answer each other end', () => {
  const events = new HostEvents()
  let calls = 0
  events.attach(1, () => {
    calls++
    events.setPending(2)
  })
  events.attach(2, () => {
    calls++
    events.setPending(1)
  })
  events.setPending(1)
  events.deliver()
  assert.ok(calls > 2 && calls <= 4096)
  assert.equal(events.hasWork, true)
})

test('a patient callback interrupts nobody, and is called in its turn with the others', () => {
  let wanted = 0
  const calls: number[] = []
  const events = new HostEvents(() => wanted++)
  events.attach(1, () => calls.push(1), true)
  events.attach(2, () => calls.push(2))
  events.setPending(1)
  assert.equal(wanted, 0)
  events.setPending(2)
  assert.equal(wanted, 1)
  events.deliver()
  assert.deepEqual(calls, [1, 2])
  // Whoever has the port next is not patient.
  events.detach(1)
  events.attach(1, () => calls.push(1))
  events.setPending(1)
  assert.equal(wanted, 2)
})

test('events without a callback wait for one', () => {
  let wanted = 0
  const events = new HostEvents(() => wanted++)
  events.setPending(7)
  assert.equal(events.deliver(), 0)
  assert.equal(events.hasWork, false)
  let calls = 0
  events.attach(7, () => calls++)
  assert.equal(events.deliver(), 1)
  assert.equal(calls, 1)
  assert.equal(wanted, 2)
  events.setPending(7)
  events.detach(7)
  assert.equal(events.deliver(), 0)
})
