// PCLMULQDQ. Expected values: Intel, "Carry-Less Multiplication Instruction and its Usage for
// Computing the GCM Mode", the examples of the instruction; and one long multiplication.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { VectorMachine } from '../../../test/x86/vector-machine.ts'

const FIRST = '7b5b54657374566563746f725d53475d'
const SECOND = '48692853686179295b477565726f6e5d'

for (const [immediate, product] of [
  ['0x00', '1d4d84c85c3440c0929633d5d36f0451'],
  ['0x10', '1bd17c8d556ab5a17fa540ac2a281315'],
  ['0x01', '1a2bf6db3a30862fbabf262df4b7d5c9'],
  ['0x11', '1d1e1f2c592e7c45d66ee03e410fd4ed'],
] as const) {
  test(`PCLMULQDQ with the immediate ${immediate} gives Intel's product`, () => {
    const m = new VectorMachine()
    m.setXmm(1, FIRST)
    m.setXmm(2, SECOND)
    m.execute(`pclmulqdq xmm1, xmm2, ${immediate}`)
    assert.equal(m.xmm(1), product)
  })
}

test('PCLMULQDQ of 64 ones by 64 ones has every second bit: the square of a sum', () => {
  const m = new VectorMachine()
  m.setXmm(1, 'f'.repeat(16))
  m.execute('pclmulqdq xmm1, xmm1, 0')
  assert.equal(m.xmm(1), '5'.repeat(32))
})
