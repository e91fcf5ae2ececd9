import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Silence } from './silence.ts'

test('silence is noticed after five seconds, then at twice the time', () => {
  const silence = new Silence(1_000)
  assert.equal(silence.notice(5_999), undefined)
  assert.equal(silence.notice(6_000), 5)
  assert.equal(silence.notice(7_000), undefined)
  assert.equal(silence.notice(10_999), undefined)
  assert.equal(silence.notice(11_500), 10)
  assert.equal(silence.notice(21_999), undefined)
  assert.equal(silence.notice(22_000), 21)
})

test('what is heard starts the count anew', () => {
  const silence = new Silence(0)
  assert.equal(silence.notice(6_000), 6)
  silence.broken(7_000)
  assert.equal(silence.notice(11_999), undefined)
  assert.equal(silence.notice(12_000), 5)
})
