// What translating costs stays in proportion to the code.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as S from '../../src/x86/state.ts'
import { alike } from './alike.ts'

/** Processor time: the machine may have other things to do. */
function secondsSince(before: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(before)
  return (user + system) / 1e6
}

test('conditional branches to what follows them anyway cost no more than other ones', () => {
  const pairs = Array.from({ length: 60 }, (_, i) => `add dl, ${i}\ndb ${0x70 + (i & 15)}, 0`)
  const before = process.cpuUsage()
  const m = alike({
    code: `mov esi, 10\nagain:\n${pairs.join('\n')}\ndec esi\njnz near again\nhlt`,
  })
  assert.equal(m.cpu.registerLow(S.RSI), 0)
  assert.ok(secondsSince(before) < 20)
})

test('flags that are wanted far behind where they are set are found', () => {
  // Nothing between ADD and SETC sets flags, and each place is reached in two ways.
  const steps = Array.from({ length: 55 }, (_, i) => `jrcxz meet${i}\nmeet${i}:`)
  const m = alike({
    code:
      `mov ecx, 3\nagain:\nadd ebx, 0x80000000\n${steps.join('\n')}\n` +
      'setc dl\nadd esi, edx\ndec ecx\njnz near again\nhlt',
  })
  assert.equal(m.cpu.registerLow(S.RCX), 0)
})

test('branches of segmented code, whose targets are looked up, cost no more than other ones', () => {
  const pairs = Array.from(
    { length: 40 },
    (_, i) => `add dl, ${i}\ndb ${0x70 + (i & 15)}, 2\nnop\nnop`,
  )
  const before = process.cpuUsage()
  const m = alike({
    bits: 32,
    code: `xor eax, eax\nmov es, ax\nmov esi, 10\nagain:\n${pairs.join('\n')}\ndec esi\njnz near again\nhlt`,
  })
  assert.equal(m.cpu.registerLow(S.RSI), 0)
  assert.ok(secondsSince(before) < 10)
})
