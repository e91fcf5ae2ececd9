import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SymbolTable } from './symbol-table.ts'

const TEXT = { start: 0xffffffff81000000n, end: 0xffffffff81002000n }
const INIT = { start: 0xffffffff83000000n, end: 0xffffffff83001000n }

const table = new SymbolTable(
  [
    { address: 0xffffffff81001000n, name: 'schedule' },
    { address: 0xffffffff81000000n, name: '_text' },
    { address: 0xffffffff81000000n, name: 'startup_64' },
    { address: 0xffffffff81000230n, name: 'verify_cpu' },
    { address: 0xffffffff83000100n, name: 'start_kernel' },
  ],
  [TEXT, INIT],
)

test('an address has the name of the function that it lies in, and how far', () => {
  assert.equal(table.nameAt(0xffffffff81000230n), 'verify_cpu')
  assert.equal(table.nameAt(0xffffffff8100022fn), '_text+0x22f')
  assert.equal(table.nameAt(0xffffffff81001fffn), 'schedule+0xfff')
  assert.equal(table.nameAt(0xffffffff83000110n), 'start_kernel+0x10')
})

test('of several names of an address the first is told', () => {
  assert.equal(table.nameAt(TEXT.start), '_text')
  assert.equal(table.size, 4)
})

test('an address outside the code has no name, nor has one before the first symbol', () => {
  for (const address of [0n, TEXT.start - 1n, TEXT.end, INIT.end, 2n ** 64n - 1n]) {
    assert.equal(table.nameAt(address), undefined)
  }
  assert.equal(table.nameAt(INIT.start), undefined)
  assert.equal(new SymbolTable([], [TEXT]).nameAt(TEXT.start), undefined)
})

test('a symbol is found by its name', () => {
  assert.equal(table.addressOf('schedule'), 0xffffffff81001000n)
  assert.equal(table.addressOf('nothing'), undefined)
})
