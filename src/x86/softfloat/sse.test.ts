// Every SSE instruction that rounds, compares or converts, with its flags and its trap, against the
// processor underneath (where there is one) and against recorded results of one.

import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import {
  compare,
  compareWithProcessor,
  isSame,
  randomMxcsr,
  readRecorded,
} from '../../../test/float-check.ts'
import { FloatOracle } from '../../../test/float-oracle.ts'
import { SSE_OPERATIONS } from '../../../test/float-sse.ts'

const oracle = FloatOracle.open()
const recorded = readRecorded()
after(() => oracle?.close())

for (const [name, operation] of Object.entries(SSE_OPERATIONS)) {
  test(`${name} does what a processor was recorded to do`, () => {
    const vectors = recorded.get(name)
    assert.ok(vectors)
    const differing = compare(name, operation, vectors.records, vectors.results, isSame)
    assert.equal(differing.length, 0, differing.slice(0, 3).join('\n'))
  })

  test(`${name} does what the processor underneath does`, { skip: oracle === undefined }, () => {
    assert.ok(oracle)
    const differing = compareWithProcessor(oracle, name, operation, randomMxcsr, isSame)
    assert.equal(differing.length, 0, differing.slice(0, 3).join('\n'))
  })
}
