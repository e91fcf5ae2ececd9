import assert from 'node:assert/strict'
import { test } from 'node:test'
import { UserError } from '../../src/base/errors.ts'
import { parseOptions } from './options.ts'
import { SUITE } from './suite.ts'

test('without options the whole suite runs three times', () => {
  const { rounds, programs, oursOnly } = parseOptions([])
  assert.deepEqual({ rounds, programs, oursOnly }, { rounds: 3, programs: SUITE, oursOnly: false })
})

test('programs are picked in the order of the suite, with sizes of at least one', () => {
  const { programs } = parseOptions(['--programs', 'sort,crc32', '--scale=0.001', '--rounds=1'])
  assert.deepEqual(
    programs.map(({ name, size }) => [name, size]),
    [
      ['crc32', 1],
      ['sort', 1],
    ],
  )
})

test('what cannot be used is said in three lines', () => {
  for (const args of [
    ['--rounds', '0'],
    ['--rounds=1.5'],
    ['--scale', 'x'],
    ['--programs=no'],
    ['--no'],
  ]) {
    assert.throws(
      () => parseOptions(args),
      (error) => error instanceof UserError && error.message.split('\n').length === 3,
    )
  }
})
