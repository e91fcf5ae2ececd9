// The transcendental x87 instructions: special cases and status as the processor has them, results
// within one unit in the last place of its own, which are approximations too.

import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import {
  compare,
  compareWithProcessor,
  isNear,
  randomControlWord,
  readRecorded,
} from '../../../test/float-check.ts'
import { FloatOracle } from '../../../test/float-oracle.ts'
import { TRANSCENDENTAL } from '../../../test/float-x87.ts'

const oracle = FloatOracle.open()
const recorded = readRecorded()
after(() => oracle?.close())

for (const [name, operation] of Object.entries(TRANSCENDENTAL)) {
  test(`${name} does what a processor was recorded to do`, () => {
    const vectors = recorded.get(name)
    assert.ok(vectors)
    const differing = compare(name, operation, vectors.records, vectors.results, isNear)
    assert.equal(differing.length, 0, differing.slice(0, 3).join('\n'))
  })

  test(`${name} does what the processor underneath does`, { skip: oracle === undefined }, () => {
    assert.ok(oracle)
    const differing = compareWithProcessor(oracle, name, operation, randomControlWord, isNear)
    assert.equal(differing.length, 0, differing.slice(0, 3).join('\n'))
  })
}
