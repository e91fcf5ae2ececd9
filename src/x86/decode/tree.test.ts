import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Bug } from '../../base/errors.ts'
import { Registry } from './define.ts'
import { buildTree } from './tree.ts'

function rowsOf(...definitions: readonly (readonly [name: string, ...rows: string[]])[]) {
  const registry = new Registry()
  for (const [name, ...rows] of definitions) registry.define(name, rows, () => {})
  return registry.rows
}

test('two rows that claim the same bytes are refused', () => {
  assert.throws(() => buildTree(rowsOf(['A', '01 /r Ev,Gv'], ['B', '01 /r Gv,Ev']), true), {
    name: 'Bug',
    message: /A '01 \/r Ev,Gv' and B '01 \/r Gv,Ev' claim the same bytes/,
  })
})

test('rows of different modes may share an opcode', () => {
  const rows = rowsOf(['ARPL', '63 /r Ew,Gw i64'], ['MOVSXD', '63 /r Gv,Ed o64'])
  assert.equal(buildTree(rows, true).nodes[0x63]! >= 0, true)
  assert.equal(buildTree(rows, false).nodes[0x63]! >= 0, true)
})

test('an opcode has a ModRM byte in all its rows or in none', () => {
  assert.throws(() => buildTree(rowsOf(['A', '0F 0B'], ['B', 'NP 0F 0B /0']), true), Bug)
})

test('an opcode whose rows agree on prefix and form costs one leaf', () => {
  assert.equal(buildTree(rowsOf(['ADD', '01 /r Ev,Gv lock']), true).leaves.length, 1)
})
