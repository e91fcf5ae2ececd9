// What translating costs stays in proportion to the code.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as S from '../../src/x86/state.ts'
import { alike } from './alike.ts'

test('conditional branches to what follows them anyway cost no more than other ones', () => {
  const pairs = Array.from({ length: 60 }, (_, i) => `add dl, ${i}\ndb ${0x70 + (i & 15)}, 0`)
  const started = performance.now()
  const m = alike({
    code: `mov esi, 10\nagain:\n${pairs.join('\n')}\ndec esi\njnz near again\nhlt`,
  })
  assert.equal(m.cpu.registerLow(S.RSI), 0)
  assert.ok(performance.now() - started < 20_000)
})
