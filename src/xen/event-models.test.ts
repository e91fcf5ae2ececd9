// Event channels against a model: random sends, masks, moves and deliveries, with a guest that
// follows the rules of its ABI (a million of them: test/events). Hostile ones: test/hostile.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { runTraffic } from './testing/event-traffic.ts'

for (const [abi, width, ports] of [
  ['2l', 64, 4096],
  ['2l', 32, 1024],
  ['3l', 64, 65_536],
  ['3l', 32, 32_768],
  ['fifo', 64, 8192],
  ['fifo', 32, 2048],
] as const) {
  test(`${abi}, ${width}-bit: no event is lost, invented, delivered while masked or out of order`, () => {
    const counts = runTraffic({
      abi,
      width,
      ports,
      active: 40,
      steps: 20_000,
      seed: 1,
      stepsPerMove: 7000,
    })
    assert.ok(counts.delivered > 2000 && counts.closed > 200, JSON.stringify(counts))
    assert.equal(counts.moves, 2)
  })
}
