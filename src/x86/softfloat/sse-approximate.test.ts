// RCPSS and RSQRTSS: the manual's bound on the error, and its tables of special cases.
// (Intel SDM vol. 2B, RCPPS and RSQRTPS.)

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Random } from '../../../test/float-operands.ts'
import { reciprocal32, reciprocalSqrt32 } from './sse-approximate.ts'

const BOUND = 1.5 * 2 ** -12

const cell = new DataView(new ArrayBuffer(4))

function numberOf(bits: number): number {
  cell.setInt32(0, bits)
  return cell.getFloat32(0)
}

test('the reciprocal errs by at most 1.5 * 2^-12 of itself', () => {
  const random = new Random(5)
  for (let i = 0; i < 100_000; i++) {
    // Normal numbers whose reciprocal is normal too.
    const bits = (random.below(2) << 31) | (0x00800000 + random.below(0x7e800000 - 0x00800000))
    const error = numberOf(reciprocal32(bits)) * numberOf(bits) - 1
    assert.ok(Math.abs(error) <= BOUND, `${bits.toString(16)}: ${error}`)
  }
})

test('the reciprocal square root errs by at most 1.5 * 2^-12 of itself', () => {
  const random = new Random(6)
  for (let i = 0; i < 100_000; i++) {
    const bits = 0x00800000 + random.below(0x7f800000 - 0x00800000)
    const error = numberOf(reciprocalSqrt32(bits)) * Math.sqrt(numberOf(bits)) - 1
    assert.ok(Math.abs(error) <= BOUND, `${bits.toString(16)}: ${error}`)
  }
})

// Operand, reciprocal, reciprocal square root; also what an AMD processor answers.
const SPECIAL = [
  ['zero', 0x00000000, 0x7f800000, 0x7f800000],
  ['minus zero', 0x80000000, 0xff800000, 0xff800000],
  ['a denormal', 0x00400000, 0x7f800000, 0x7f800000],
  ['a negative denormal', 0x80000001, 0xff800000, 0xff800000],
  ['infinity', 0x7f800000, 0x00000000, 0x00000000],
  ['minus infinity', 0xff800000, 0x80000000, 0xffc00000],
  ['a quiet NaN', 0xffc00123, 0xffc00123, 0xffc00123],
  ['a signalling NaN', 0x7f800001, 0x7fc00001, 0x7fc00001],
  ['a number whose reciprocal is denormal', 0x7f000000, 0x00000000, undefined],
] as const

for (const [name, operand, reciprocal, squareRoot] of SPECIAL) {
  test(`the approximations of ${name} are as the manual's tables say`, () => {
    assert.equal(reciprocal32(operand) >>> 0, reciprocal)
    if (squareRoot !== undefined) assert.equal(reciprocalSqrt32(operand) >>> 0, squareRoot)
  })
}

test('the reciprocal square root of a negative number is the default NaN', () => {
  assert.equal(reciprocalSqrt32(0xbf800000) >>> 0, 0xffc00000)
})
