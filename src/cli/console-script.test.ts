import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ConsoleScript, type ScriptStep } from './console-script.ts'

const expect = (pattern: RegExp): ScriptStep => ({ kind: 'expect', pattern })
const send = (text: string): ScriptStep => ({ kind: 'send', text })

function start(steps: ScriptStep[]) {
  const log: string[] = []
  const script = new ConsoleScript(steps, {
    send: (text) => log.push(text),
    satisfied: () => log.push('satisfied'),
  })
  script.begin()
  const feed = (text: string) => script.feed(new TextEncoder().encode(text))
  return { script, log, feed }
}

test('a text that comes in pieces is found', () => {
  const { log, feed } = start([expect(/login: $/)])
  feed('log')
  assert.deepEqual(log, [])
  feed('in: ')
  assert.deepEqual(log, ['satisfied'])
})

test('one piece may answer several steps, each behind the one before', () => {
  const { log, feed } = start([expect(/a/), send('1'), expect(/b/), send('2'), expect(/a/)])
  feed('b a b')
  assert.deepEqual(log, ['1', '2'])
  feed('a')
  assert.deepEqual(log, ['1', '2', 'satisfied'])
})

test('what stands before the first expected text is typed at once', () => {
  const { log, script } = start([send('x'), expect(/y/)])
  assert.deepEqual(log, ['x'])
  assert.equal(String(script.awaited), '/y/')
})

test('a script that ends with something typed is never satisfied', () => {
  const { log, script, feed } = start([expect(/a/), send('1')])
  feed('a')
  assert.deepEqual(log, ['1'])
  assert.equal(script.awaited, undefined)
})

test('a text longer than the window is found near its end', () => {
  const { log, feed } = start([expect(/needle/)])
  feed('x'.repeat(200_000))
  feed('needle')
  assert.deepEqual(log, ['satisfied'])
})

test('a run without a script waits for nothing', () => {
  const { log, script, feed } = start([])
  feed('anything')
  assert.deepEqual(log, [])
  assert.equal(script.awaited, undefined)
})
