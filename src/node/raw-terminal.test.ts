import assert from 'node:assert/strict'
import { EventEmitter } from 'node:events'
import { test } from 'node:test'
import { RawTerminal } from './raw-terminal.ts'

function make() {
  const modes: boolean[] = []
  const events = new EventEmitter()
  const terminal = new RawTerminal({ setRawMode: (raw) => modes.push(raw) }, events)
  return { modes, events, terminal }
}

test('leaving twice sets the mode once, and no listener stays', () => {
  const { modes, events, terminal } = make()
  terminal.enter()
  terminal.enter()
  terminal.leave()
  terminal.leave()
  assert.deepEqual(modes, [true, false])
  assert.deepEqual(events.eventNames(), [])
})

test('the exit of the process puts the terminal back', () => {
  const { modes, events, terminal } = make()
  terminal.enter()
  events.emit('exit')
  assert.deepEqual(modes, [true, false])
})

test('after a stop the raw mode is set anew', () => {
  const { modes, events, terminal } = make()
  terminal.enter()
  events.emit('SIGCONT')
  assert.deepEqual(modes, [true, false, true])
})
