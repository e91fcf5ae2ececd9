import assert from 'node:assert/strict'
import { test } from 'node:test'
import { UserError } from '../../base/errors.ts'
import { translationMode, type TranslationMode, translatorOptions } from './options.ts'
import { policyOf } from './policy.ts'

const USUAL = { translation: 'hot', hasSites: true, hasLinks: true }

test('what a mode does not name is as usual', () => {
  assert.deepEqual(translatorOptions(), USUAL)
  assert.deepEqual(translatorOptions('off'), { ...USUAL, translation: 'off' })
  assert.deepEqual(translatorOptions({ hasSites: false }), { ...USUAL, hasSites: false })
})

test('a mode is read from its text', () => {
  assert.deepEqual(translationMode('hot'), USUAL)
  assert.deepEqual(translationMode('always,no-sites,no-links,seed=4294967295'), {
    translation: 'always',
    hasSites: false,
    hasLinks: false,
    seed: 4294967295,
  })
})

for (const text of [
  '',
  'often',
  'hot,',
  'hot,fast',
  'hot,seed',
  'hot,seed=-1',
  'hot,seed=4294967296',
])
  test(`"${text}" is no mode`, () => assert.throws(() => translationMode(text), UserError))

test('an object that is no mode is refused', () => {
  for (const seed of [-1, 0.5, Number.NaN, 2 ** 32])
    assert.throws(() => translatorOptions({ seed }), UserError)
  const wrong = { translation: 'sometimes' } as unknown as TranslationMode
  assert.throws(() => translatorOptions(wrong), UserError)
})

test('a seed draws the same policy each time, and another seed another one', () => {
  const drawn = (seed: number) => {
    const { limits, ...policy } = policyOf(seed)
    return { ...policy, regions: Array.from({ length: 20 }, () => limits(true)) }
  }
  assert.deepEqual(drawn(5), drawn(5))
  assert.notDeepEqual(drawn(5), drawn(6))
})

test('policies of seeds can be worked with', () => {
  for (let seed = 0; seed < 2000; seed++) {
    const { limits, again, ...policy } = policyOf(seed)
    assert.ok(again.every((heat, i) => heat > (again[i - 1] ?? policy.hot.user)))
    assert.ok(policy.mostSlice >= policy.leastSlice && policy.leastSlice > 0)
    assert.ok(policy.batch > 0 && policy.mostPlaces > 0)
    // The arena has two halves, and each of them has to have room for some of the largest blocks.
    assert.ok(policy.arenaBytes >= 8 << 20 && policy.arenaBytes % 2 === 0)
    const { nodes, instructions, callee } = limits(seed % 2 === 0)
    assert.ok(nodes > 0 && instructions > 0 && callee > 0)
  }
})
