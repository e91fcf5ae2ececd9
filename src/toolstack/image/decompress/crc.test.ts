import assert from 'node:assert/strict'
import { test } from 'node:test'
import { crc32, crc64 } from './crc.ts'

// The check values of the catalogue of CRC algorithms: CRC-32/ISO-HDLC and CRC-64/XZ.
const DIGITS = new TextEncoder().encode('123456789')

test('crc32 gives the check value of its definition', () => {
  assert.equal(crc32(DIGITS), 0xcbf43926)
  assert.equal(crc32(new Uint8Array(0)), 0)
})

test('crc64 gives the check value of its definition', () => {
  assert.deepEqual(crc64(DIGITS), { low: 0xdf1939fa, high: 0x995dc9bb })
})
