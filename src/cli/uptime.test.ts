import assert from 'node:assert/strict'
import { test } from 'node:test'
import { duration } from './uptime.ts'

test('durations are written as xl writes them', () => {
  assert.equal(duration(0), ' 0:00:00')
  assert.equal(duration(3725.9), ' 1:02:05')
  assert.equal(duration(86_400 + 36_000), '1 day, 10:00:00')
  assert.equal(duration(3 * 86_400 + 59), '3 days,  0:00:59')
})
