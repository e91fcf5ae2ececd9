import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Bug } from '../../base/errors.ts'
import { Registry } from './define.ts'

const meaning = () => {}

test('rows are numbered in the order of registration', () => {
  const registry = new Registry()
  registry.define('CLI', ['FA'], meaning)
  registry.define('STI', ['FB'], meaning)
  registry.define('CLD', ['FC'], meaning)
  assert.deepEqual(
    registry.rows.map(({ id, name }) => [id, name]),
    [
      [0, 'CLI'],
      [1, 'STI'],
      [2, 'CLD'],
    ],
  )
})

test('a malformed row is reported with the name of its instruction', () => {
  assert.throws(() => new Registry().define('ADD', ['00 /r Eb,Gk'], meaning), {
    name: 'Bug',
    message: /^ADD: row '00 \/r Eb,Gk'/,
  })
})

test('an instruction without rows is refused', () => {
  assert.throws(() => new Registry().define('ADD', [], meaning), Bug)
})
