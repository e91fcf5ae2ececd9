// How fast the interpreter is, over the six kernels of bench/interpreter, beside Debian's Bochs in
// the same run. The bounds leave room for a machine that is busy with other tests.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { compare } from '../../bench/interpreter/compare.ts'
import { geometricMean } from '../../bench/statistics.ts'

const MIPS = 100
const TIMES_BOCHS = 1.5
const START_MS = 500
const ROUNDS = 3

const rows = await compare(ROUNDS)

test(`six kernels run at ${MIPS} million instructions a second`, () => {
  const mips = geometricMean(rows.map(({ oursByCpu }) => oursByCpu))
  assert.ok(mips >= MIPS, `${mips.toFixed(0)} MIPS in the geometric mean`)
})

test(`six kernels run ${TIMES_BOCHS} times as fast as on Bochs`, () => {
  const ratio = geometricMean(rows.map(({ ours, bochs }) => ours / bochs))
  assert.ok(ratio >= TIMES_BOCHS, `${ratio.toFixed(2)} times in the geometric mean`)
})

test(`a guest's first instruction runs within ${START_MS} ms`, () => {
  for (const { name, startMs } of rows) {
    assert.ok(startMs < START_MS, `${name} started after ${startMs.toFixed(0)} ms`)
  }
})
