// The series against the digits that published tables (and any arbitrary-precision calculator)
// give: 45 decimals, of which 160 bits hold all.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { atan, cos, expMinus1, logPlus1, sin } from './series.ts'

const BITS = 170
const DIGITS = 45

/** A fraction in tenths of tenths ... as a fixed-point number. */
function fixed(numerator: number, denominator: number): bigint {
  return (BigInt(numerator) << BigInt(BITS)) / BigInt(denominator)
}

/** The decimals of a fixed-point number between -1 and 1, cut. */
function decimals(value: bigint): string {
  const magnitude = value < 0n ? -value : value
  const digits = (magnitude * 10n ** BigInt(DIGITS)) >> BigInt(BITS)
  return `${value < 0n ? '-' : ''}0.${digits.toString().padStart(DIGITS, '0')}`
}

const KNOWN = [
  ['sin(1/2)', sin(fixed(1, 2), BITS), '0.479425538604203000273287935215571388081803367'],
  ['cos(1/2)', cos(fixed(1, 2), BITS), '0.877582561890372716116281582603829651991645197'],
  ['atan(1/2)', atan(fixed(1, 2), BITS), '0.463647609000806116214256231461214402028537054'],
  ['atan(1)', atan(fixed(1, 1), BITS), '0.785398163397448309615660845819875721049292349'],
  ['exp(1/2) - 1', expMinus1(fixed(1, 2), BITS), '0.648721270700128146848650787814163571653776100'],
  [
    'exp(-3/4) - 1',
    expMinus1(fixed(-3, 4), BITS),
    '-0.527633447258985292861953449056732087029796420',
  ],
  ['ln(5/4)', logPlus1(fixed(1, 4), BITS), '0.223143551314209755766295090309834503374601085'],
  [
    'ln(1 - 2^-11)',
    logPlus1(fixed(-1, 2048), BITS),
    '-0.000488400498108874464984963559896910983460775',
  ],
] as const

for (const [name, value, digits] of KNOWN) {
  test(`${name} has the digits of the tables`, () => {
    assert.equal(decimals(value), digits)
  })
}

test('a tiny argument lies strictly above its sine and its arc tangent', () => {
  const t = 1n << 160n
  assert.ok(sin(t, 5000) < t)
  assert.ok(atan(t, 5000) < t)
  assert.ok(logPlus1(t, 5000) < t)
})
