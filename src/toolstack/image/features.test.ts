import assert from 'node:assert/strict'
import { test } from 'node:test'
import { featureNames, parseFeatures } from './features.ts'

test('parseFeatures knows the names of public/features.h', () => {
  const { supported } = parseFeatures('writable_descriptor_tables|auto_translated_physmap|dom0', 0n)
  assert.equal(supported, (1 << 1) | (1 << 2) | (1 << 11))
})

test('names of Object.prototype are not features', () => {
  assert.deepEqual(parseFeatures('constructor|__proto__', 0n).unknown, ['constructor', '__proto__'])
})

test('featureNames names Debian’s SUPPORTED_FEATURES', () => {
  assert.deepEqual(featureNames(0x8801), [
    'writable_page_tables',
    'dom0',
    'linux_rsdp_unrestricted',
  ])
  assert.deepEqual(featureNames(0x80000000), ['bit 31'])
})
