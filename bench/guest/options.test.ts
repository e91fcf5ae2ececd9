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

test('rivals have scales of their own, and patience is in seconds', () => {
  const { rivals, patienceMs } = parseOptions(['--with', 'v86:0.5,bochs', '--patience=60'])
  assert.deepEqual(rivals, [
    { name: 'v86', scale: 0.5 },
    { name: 'bochs', scale: 0.05 },
  ])
  assert.equal(patienceMs, 60_000)
  assert.deepEqual(parseOptions([]).rivals, [])
})

test('what cannot be used is said in three lines', () => {
  for (const args of [
    ['--rounds', '0'],
    ['--rounds=1.5'],
    ['--scale', 'x'],
    ['--programs=no'],
    ['--no'],
    ['--with', 'simics'],
    ['--with', 'v86:fast'],
    ['--with', 'v86,v86:0.5'],
    ['--patience', '0'],
  ]) {
    assert.throws(
      () => parseOptions(args),
      (error) => error instanceof UserError && error.message.split('\n').length === 3,
    )
  }
})
