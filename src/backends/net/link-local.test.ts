import assert from 'node:assert/strict'
import { test } from 'node:test'
import { linkLocalOf, linkLocalText } from './link-local.ts'

test('the interface identifier is that of the example in RFC 2464, 4', () => {
  const identifier = [0x36, 0x56, 0x78, 0xff, 0xfe, 0x9a, 0xbc, 0xde]
  assert.deepEqual([...linkLocalOf(0x3456789abcde)].slice(8), identifier)
  assert.equal(linkLocalText(0x3456789abcde), 'fe80::3656:78ff:fe9a:bcde')
})
