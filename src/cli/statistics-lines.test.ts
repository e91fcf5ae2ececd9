import assert from 'node:assert/strict'
import { test } from 'node:test'
import { statisticsLines } from './statistics-lines.ts'

test('figures are aligned, those of a group below its first', () => {
  const stats = {
    instructions: 1234567,
    'instructions translated': 1000000,
    regions: 12,
    'regions live': 9,
    'regions live bytes': 4096,
    'regions ms': 1234.56,
    'xvda reads': 3,
    'xvda writes': 0,
  }
  assert.deepEqual(statisticsLines(stats), [
    'instructions           1,234,567',
    '  translated           1,000,000',
    'regions                       12',
    '  live                         9',
    '  live bytes               4,096',
    '  ms                     1,234.6',
    'xvda reads                     3',
    'xvda writes                    0',
  ])
  assert.deepEqual(statisticsLines({}), [])
})

test('a time is never mistaken for a count', () => {
  assert.match(statisticsLines({ 'regions ms': 1234 })[0] ?? '', / 1,234\.0$/)
})
