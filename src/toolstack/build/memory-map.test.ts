import assert from 'node:assert/strict'
import { test } from 'node:test'
import { pvhMemoryMap, SPECIAL_PAGES } from './memory-map.ts'

const MiB = 2 ** 20
const RAM = 1
const RESERVED = 2
const ACPI = 3

// What a 256 MiB domain of Xen 4.17 sees: the tables reach from 0xFC000000 to 0xFC00803F.
const TABLES = [
  { address: 0xfc008000, bytes: new Uint8Array(0x40) },
  { address: 0xfc000000, bytes: new Uint8Array(0x7123) },
]

test('a small domain has the map that Xen 4.17 gives it', () => {
  assert.deepEqual(pvhMemoryMap(256 * MiB, TABLES), [
    { address: 0, size: 256 * MiB, type: RAM },
    { address: 0xfc000000, size: 0x8040, type: ACPI },
    { address: 0xfeff8000, size: 0x8000, type: RESERVED },
  ])
})

test('memory that does not fit below the tables continues at 4 GiB', () => {
  const map = pvhMemoryMap(6144 * MiB, [])
  assert.deepEqual(map[0], { address: 0, size: 0xfc000000, type: RAM })
  assert.deepEqual(map.at(-1), { address: 2 ** 32, size: 6144 * MiB - 0xfc000000, type: RAM })
})

test('tables far apart are two ranges', () => {
  const tables = [
    { address: 0xfc000010, bytes: new Uint8Array(8) },
    { address: 0xfd000000, bytes: new Uint8Array(8) },
  ]
  assert.deepEqual(
    pvhMemoryMap(MiB, tables).filter((range) => range.type === ACPI),
    [
      { address: 0xfc000000, size: 0x18, type: ACPI },
      { address: 0xfd000000, size: 8, type: ACPI },
    ],
  )
})

test('the special pages are where Xen 4.17 puts them', () => {
  assert.equal(SPECIAL_PAGES.console, 0xfefff)
  assert.equal(SPECIAL_PAGES.xenstore, 0xfeffc)
})
