import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Sampler } from './sampler.ts'

/** Executes `turns` turns of `length` instructions; weights of the slices that ended. */
function ended(sampler: Sampler, turns: number, length: number): number[] {
  const weights: number[] = []
  for (let turn = 0; turn < turns; turn++) {
    for (let left = length; left > 0; ) {
      left -= sampler.next(left)
      if (sampler.drift === 0) continue
      weights.push(sampler.weight)
      sampler.sampled(true)
    }
  }
  return weights
}

test('slices stand for all that is executed, in long turns and in short ones', () => {
  for (const [turns, length] of [
    [20, 1_000_000],
    [20_000, 1_000],
    [2_000_000, 10],
  ] as const) {
    const weights = ended(new Sampler(), turns, length)
    const sum = weights.reduce((total, weight) => total + weight, 0)
    assert.ok(weights.length > 50, `${turns} turns: ${weights.length} slices`)
    assert.ok(sum > 19_000_000 && sum <= 20_000_000, `${turns} turns: ${sum}`)
  }
})

test('what a turn did not execute stays in the slice', () => {
  const sampler = new Sampler()
  let executed = 0
  let weights = 0
  for (let i = 0; i < 100_000; i++) {
    const given = sampler.next(1000)
    if (sampler.drift !== 0) {
      weights += sampler.weight
      sampler.sampled(false)
    }
    // Halted after half of it.
    const run = (given + 1) >> 1
    sampler.giveBack(given - run)
    executed += run
  }
  assert.ok(weights > executed * 0.99 && weights <= executed, `${weights} of ${executed}`)
})
