import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { GuestProgram } from './suite.ts'
import { geometricMean, median } from '../statistics.ts'
import { means, programRows } from './summary.ts'
import type { SuiteRun } from './timeline.ts'

const PROGRAMS: readonly GuestProgram[] = [
  { name: 'sort', group: 'integer', size: 1 },
  { name: 'nbody', group: 'float', size: 1 },
]

/** A run in which each program takes this long, and half of it by processor time. */
const run = (sortMs: number, nbodyMs: number, checksum = '12ab'): SuiteRun => {
  const took = (ms: number) => ({ ms, cpuMs: ms / 2, instructions: 1_000_000, checksum })
  return {
    startMs: 0,
    boot: undefined,
    mitigations: new Map(),
    programs: new Map([
      ['sort', took(sortMs)],
      ['nbody', took(nbodyMs)],
    ]),
  }
}

test('a median is the middle value, or the mean of the two in the middle', () => {
  assert.equal(median([30, 1, 2]), 2)
  assert.equal(median([4, 1, 30, 2]), 3)
  assert.ok(Number.isNaN(median([])))
})

test('a geometric mean of a number and its inverse is one', () => {
  assert.ok(Math.abs(geometricMean([8, 1 / 8]) - 1) < 1e-12)
  assert.ok(Math.abs(geometricMean([2, 8]) - 4) < 1e-12)
})

test('a ratio is that of the medians, above one where ours is faster', () => {
  const rounds = {
    ours: [run(100, 10), run(900, 10), run(200, 10)],
    qemu: [run(400, 40), run(400, 40), run(1, 40)],
    native: [run(50, 5), run(50, 5), run(50, 5)],
  }
  const rows = programRows(PROGRAMS, rounds)
  const [sort] = rows
  assert.deepEqual(sort, {
    name: 'sort',
    oursMs: 200,
    qemuMs: 400,
    nativeMs: 50,
    ratio: 2,
    cpuRatio: 2,
    slowdown: 4,
    mips: 5,
  })
  const all = means(PROGRAMS, rows)
  assert.deepEqual(
    all.map(({ group, ratio }) => [group, ratio.toFixed(3)]),
    [
      ['integer', '2.000'],
      ['float', '4.000'],
      ['all', Math.sqrt(8).toFixed(3)],
    ],
  )
})

test('checksums that differ are an error that names the sides', () => {
  const rounds = { ours: [run(1, 1, 'aa')], qemu: [run(1, 1, 'bb')], native: [run(1, 1, 'bb')] }
  assert.throws(
    () => programRows(PROGRAMS, rounds),
    /checksums of sort differ: aa \(ours\), bb \(qemu\), bb \(native\)/,
  )
})
