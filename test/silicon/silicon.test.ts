// Our processor against the one underneath: 50,000 cases, or XENOLITH_SILICON_CASES of them
// (1,000,000 in the long test), from the seed in XENOLITH_SILICON_SEED.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { NativeProcessor, whyNoNative } from './native.ts'
import { runSuite } from './suite.ts'

const CASES = Number(process.env['XENOLITH_SILICON_CASES'] ?? 50_000)
const SEED = Number(process.env['XENOLITH_SILICON_SEED'] ?? 1)

/** Rows whose results processors are free to choose, within an error bound. */
const APPROXIMATIONS = /^(RCP|RSQRT)[PS]S /

test('every instruction does what the processor underneath does', (t) => {
  const why = whyNoNative()
  if (why !== undefined) {
    console.log(`not compared with the processor underneath: ${why}`)
    t.skip(why)
    return
  }
  const native = new NativeProcessor()
  t.after(() => native.dispose())
  const { cases, variants, failures } = runSuite(native, { cases: CASES, seed: SEED })
  console.log(`${cases} cases, ${variants} variants, seed ${SEED}`)
  const unexpected = failures.filter(({ row }) => !APPROXIMATIONS.test(row))
  assert.deepEqual(
    unexpected.map(({ row, count, found }) => `${row}: ${count} differ, e.g. ${found.join('; ')}`),
    [],
  )
})
