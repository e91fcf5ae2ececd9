// Every x87 instruction but the transcendental ones, bit by bit with all of its status, against the
// processor underneath (where there is one) and against recorded results of one.

import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import {
  compare,
  compareWithProcessor,
  isSame,
  randomControlWord,
  readRecorded,
} from '../../../test/float-check.ts'
import { FloatOracle } from '../../../test/float-oracle.ts'
import { X87_OPERATIONS } from '../../../test/float-x87.ts'

const oracle = FloatOracle.open()
const recorded = readRecorded()
after(() => oracle?.close())

for (const [name, operation] of Object.entries(X87_OPERATIONS)) {
  test(`${name} does what a processor was recorded to do`, () => {
    const vectors = recorded.get(name)
    assert.ok(vectors)
    const differing = compare(name, operation, vectors.records, vectors.results, isSame)
    assert.equal(differing.length, 0, differing.slice(0, 3).join('\n'))
  })

  test(`${name} does what the processor underneath does`, { skip: oracle === undefined }, () => {
    assert.ok(oracle)
    const differing = compareWithProcessor(oracle, name, operation, randomControlWord, isSame)
    assert.equal(differing.length, 0, differing.slice(0, 3).join('\n'))
  })
}
