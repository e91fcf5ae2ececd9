import assert from 'node:assert/strict'
import { test } from 'node:test'
import { E820Type, pvhMemoryMap, pvhRamRanges } from './e820.ts'

const MIB = 2 ** 20
const GIB = 2 ** 30
const ACPI = { address: 0xfc000000, bytes: 0x8040 }

test('a guest of 256 MiB has the map that Linux printed on Xen 4.17', () => {
  const map = pvhMemoryMap(256 * MIB, ACPI)
  const lines = map.map(({ address, bytes, type }) => {
    return `${address.toString(16)}-${(address + bytes - 1).toString(16)} ${type}`
  })
  assert.deepEqual(lines, ['0-fffffff 1', 'fc000000-fc00803f 3', 'feff8000-feffffff 2'])
})

test('RAM that does not fit below the ACPI tables goes on at 4 GiB', () => {
  assert.deepEqual(pvhRamRanges(6 * GIB), [
    { address: 0, bytes: 0xfc000000 },
    { address: 4 * GIB, bytes: 6 * GIB - 0xfc000000 },
  ])
  assert.equal(pvhRamRanges(0xfc000000).length, 1)
  assert.deepEqual(pvhRamRanges(0xfc001000)[1], { address: 4 * GIB, bytes: 4096 })
})

test('the ranges of a map ascend, do not overlap, and hold all of the RAM', () => {
  for (const bytes of [4 * MIB, 3 * GIB, 0xfc000000, 4 * GIB, 64 * GIB]) {
    const map = pvhMemoryMap(bytes, ACPI)
    for (const [i, entry] of map.entries()) {
      const next = map[i + 1]
      if (next) assert.ok(entry.address + entry.bytes <= next.address)
    }
    const ram = map.filter((entry) => entry.type === E820Type.ram)
    assert.equal(
      ram.reduce((sum, entry) => sum + entry.bytes, 0),
      bytes,
    )
  }
})

test('a guest without ACPI has no range for it', () => {
  assert.ok(pvhMemoryMap(64 * MIB).every((entry) => entry.type !== E820Type.acpi))
})
