// The processor's whole instruction table against iced-x86. What a failure lists as missing is
// either a definition to write or belongs in the table of test/x86/mnemonics.ts, with a reason.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import '../instructions/all.ts'
import { compare, randomSlots, systematicSlots, vexSlots } from '../../../test/x86/iced.ts'
import { instructions } from './define.ts'

const SEED = 20_260
const COUNT = 100_000

for (const bitness of [16, 32, 64] as const) {
  const slots = {
    'every opcode, prefix and form': systematicSlots(bitness),
    'every VEX opcode, prefix and form': vexSlots(),
    [`${COUNT} random byte strings`]: randomSlots(SEED + bitness, COUNT),
  }
  for (const [what, bytes] of Object.entries(slots)) {
    const { differences, missing } = compare(instructions, bytes, bitness)

    test(`iced reads ${what} as we do in ${bitness}-bit mode`, () => {
      assert.deepEqual(
        [...differences].map((pair) => pair.join(': ')),
        [],
      )
    })

    test(`no instruction that iced finds in ${what} is missing in ${bitness}-bit mode`, () => {
      const mnemonics = [...missing].map(([name, { features, bytes }]) => [features, name, bytes])
      assert.deepEqual(mnemonics.map((words) => words.join(' ')).toSorted(), [])
    })
  }
}
