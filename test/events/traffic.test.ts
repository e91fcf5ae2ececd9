// A million random operations over each form of event channels, the model beside, with as many ports
// as the form has, and everything saved and restored into another host in the middle of the traffic.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { runTraffic } from '../../src/xen/testing/event-traffic.ts'

const STEPS = 1_000_000

for (const [abi, width, ports] of [
  ['2l', 64, 4096],
  ['2l', 32, 1024],
  ['3l', 64, 262_144],
  ['3l', 32, 32_768],
  ['fifo', 64, 131_072],
] as const) {
  test(`${abi}, ${width}-bit guest, ${ports - 1} ports: a million operations agree with the model`, () => {
    const counts = runTraffic({
      abi,
      width,
      ports,
      active: 200,
      steps: STEPS,
      seed: 20_130_221,
      stepsPerMove: 150_000,
    })
    assert.ok(counts.sent > STEPS / 3 && counts.delivered > STEPS / 4, JSON.stringify(counts))
    assert.equal(counts.moves, 6)
  })
}
