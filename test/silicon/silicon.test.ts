// Our processor against the one underneath: 50,000 cases, or XENOLITH_SILICON_CASES of them
// (1,000,000 in the long test), from the seed in XENOLITH_SILICON_SEED. Everywhere: against the
// recorded outcomes of vectors.br.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { translationMode } from '../../src/x86/translator/options.ts'
import { FPU, GPR, VECTOR } from './layout.ts'
import { NativeProcessor, whyNoNative } from './native.ts'
import { type Failure, runSuite, runVectors } from './suite.ts'
import { caseFromText, caseToText } from './text.ts'
import { decodeVectors, encodeVectors, recordVectors, VECTORS_FILE } from './vectors.ts'

const CASES = Number(process.env['XENOLITH_SILICON_CASES'] ?? 50_000)
const TRANSLATED_CASES = CASES / 5
/** In one mode alone, if one is wanted. */
const MODE = process.env['XENOLITH_TRANSLATE'] || undefined
const SEED = Number(process.env['XENOLITH_SILICON_SEED'] ?? 1)

/** Failures as text, each with a case for run.ts. */
function describe(failures: readonly Failure[]): string[] {
  return failures.map(
    ({ row, count, found, record }) =>
      `${row}: ${count} differ, e.g. ${found.join('; ')}; --case '${caseToText(record)}'`,
  )
}

/** What is compared: modes, with how many cases. */
const RUNS: readonly (readonly [mode: string, cases: number])[] =
  MODE === undefined
    ? [
        ['off', CASES],
        ['always', TRANSLATED_CASES],
      ]
    : [[MODE, TRANSLATED_CASES]]

for (const [i, [mode, wanted]] of RUNS.entries()) {
  test(`every instruction does what the processor underneath does, in mode ${mode}`, (t) => {
    const why = whyNoNative()
    if (why !== undefined) {
      console.log(`not compared with the processor underneath: ${why}`)
      t.skip(why)
      return
    }
    const native = new NativeProcessor()
    t.after(() => native.dispose())
    const plan = { cases: wanted, seed: SEED + i, mode: translationMode(mode) }
    const { cases, variants, failures } = runSuite(native, plan)
    console.log(`${cases} cases, ${variants} variants, seed ${plan.seed}, ${mode}`)
    assert.deepEqual(describe(failures), [])
  })
}

test('every instruction does what was recorded of a processor', () => {
  const vectors = decodeVectors(readFileSync(VECTORS_FILE))
  assert.ok(vectors.cases.count >= 20_000)
  const mode = MODE === undefined ? 'off' : translationMode(MODE)
  assert.deepEqual(describe(runVectors(vectors, mode).failures), [])
})

test('vectors are the same after they were written and read', (t) => {
  const why = whyNoNative()
  if (why !== undefined) {
    t.skip(why)
    return
  }
  const native = new NativeProcessor()
  t.after(() => native.dispose())
  const vectors = recordVectors(native, 100, 3)
  const again = decodeVectors(encodeVectors(vectors))
  assert.deepEqual(again.cases.u8, vectors.cases.u8)
  assert.deepEqual(again.outcomes.u8, vectors.outcomes.u8)
  assert.deepEqual(again.features, vectors.features)
})

test('a difference is found, and replaying names it', () => {
  const vectors = decodeVectors(readFileSync(VECTORS_FILE))
  const ended = Array.from({ length: 100 }, (_, i) => i).find(
    (i) => vectors.outcomes.word(i, VECTOR) === 3,
  )
  const outcome = vectors.outcomes.record(ended as number)
  const RBX = GPR + 3 * 8
  outcome[RBX] = (outcome[RBX] as number) ^ 1
  const [only, ...others] = describe(runVectors(vectors).failures)
  assert.match(only as string, /1 differ, e\.g\. RBX: processor 0x/)
  assert.deepEqual(others, [])
})

test('a case reads back from its text', () => {
  const { cases } = decodeVectors(readFileSync(VECTORS_FILE))
  for (let i = 0; i < 200; i++) {
    const record = cases.record(i).slice()
    // The number of a case is not part of its text, nor what FXSAVE leaves unused.
    record.fill(0, 0, 4)
    const again = caseFromText(caseToText(record))
    assert.equal(caseToText(again), caseToText(record))
    assert.deepEqual(again.subarray(0, FPU), record.subarray(0, FPU))
  }
})
