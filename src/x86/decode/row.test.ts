import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Bug } from '../../base/errors.ts'
import { parseRow } from './row.ts'

test('a row without prefix, form and operands is one opcode byte', () => {
  const row = parseRow('F4')
  assert.equal(row.prefix, 'any')
  assert.equal(row.map, 0)
  assert.equal(row.opcode, 0xf4)
  assert.equal(row.hasModrm, false)
  assert.deepEqual(row.operands, [])
})

test('66 before an opcode is a mandatory prefix', () => {
  const row = parseRow('66 0F 3A 0F /r Vx,Wx,Ib sse align +ssse3')
  assert.equal(row.prefix, '66')
  assert.equal(row.map, 3)
  assert.equal(row.opcode, 0x0f)
  assert.deepEqual(
    row.operands.map(({ kind, size }) => kind + size),
    ['Vx', 'Wx', 'Ib'],
  )
  assert.deepEqual([...row.attributes], ['sse', 'align'])
  assert.deepEqual(row.features, ['ssse3'])
})

test('0F escapes to the second map and 0F 38 to the third', () => {
  assert.deepEqual([parseRow('0F A2').map, parseRow('0F A2').opcode], [1, 0xa2])
  assert.deepEqual(
    [parseRow('0F 38 C8 /r Vx,Wx').map, parseRow('0F 38 C8 /r Vx,Wx').opcode],
    [2, 0xc8],
  )
})

test('attributes may follow the form directly', () => {
  const row = parseRow('NP 0F 01 /7:0 o64 cpl0')
  assert.equal(row.prefix, 'NP')
  assert.deepEqual([row.reg, row.mod, row.rm], [7, 'register', 0])
  assert.deepEqual([...row.attributes], ['o64', 'cpl0'])
  assert.deepEqual(row.operands, [])
})

test('operand kinds decide whether rm is memory or a register', () => {
  assert.equal(parseRow('8D /r Gv,M').mod, 'memory')
  assert.equal(parseRow('0F D7 /r Gd,Nq mmx').mod, 'register')
  assert.equal(parseRow('D8 /0:r ST0,T x87').mod, 'register')
  assert.equal(parseRow('01 /r Ev,Gv').mod, 'any')
  assert.equal(parseRow('0F AE /0:m M').mod, 'memory')
})

test('MOV to and from control registers ignores ModRM.mod', () => {
  const row = parseRow('0F 20 /r Ry,Cy f64 cpl0')
  assert.equal(row.ignoresMod, true)
  assert.equal(row.mod, 'any')
})

test('fixed operands carry their register file and number', () => {
  const [rax, ib] = parseRow('05 rAX,Iz').operands
  assert.deepEqual(rax, {
    text: 'rAX',
    kind: 'fixed',
    size: 'v',
    fixed: { class: 'gpr', number: 0 },
  })
  assert.deepEqual(ib, { text: 'Iz', kind: 'I', size: 'z' })
  assert.deepEqual(parseRow('1E DS i64').operands[0]?.fixed, { class: 'segment', number: 3 })
  assert.deepEqual(parseRow('D1 /4 Ev,1').operands[1]?.fixed, { class: 'constant', number: 1 })
})

test('a feature may be written as in Linux and is known by its name in Xen', () => {
  assert.deepEqual(parseRow('F3 0F BD /r Gv,Ev +lzcnt').features, ['abm'])
  assert.deepEqual(parseRow('66 0F 38 DC /r Vx,Wx sse align +aes').features, ['aesni'])
})

const MALFORMED: readonly (readonly [row: string, complaint: RegExp])[] = [
  ['', /single spaces/],
  ['01  /r Ev,Gv', /single spaces/],
  ['1', /two upper-case/],
  ['0f 01', /two upper-case/],
  ['0F', /two upper-case/],
  ['0F 01 D0', /too many opcode bytes/],
  ['01 Ev,Gv', /Ev|E operand without/],
  ['51+r Zv', /multiple of 8/],
  ['50 Zv', /go together/],
  ['50+r', /go together/],
  ['01 /9 Ev', /none of/],
  ['01 /r:x Ev', /none of/],
  ['01 /r Ev,Hv', /unknown kind/],
  ['01 /r Ev,Gk', /unknown size/],
  ['69 /r Gv,Ev,Iq', /no size of an immediate/],
  ['01 /0 Ev,Gv', /both an opcode extension and an operand/],
  ['8D /r:r Gv,M', /both memory and register/],
  ['06 ES i64 o64', /exclude/],
  ['0F B8 /r Gv,Ev +popcount', /no CPUID feature is named '\+popcount'/],
  ['01 /r Ev,Gv locked', /unknown attribute 'locked'/],
]

for (const [text, complaint] of MALFORMED) {
  test(`the malformed row '${text}' is refused and quoted`, () => {
    assert.throws(
      () => parseRow(text),
      (error) =>
        error instanceof Bug &&
        error.message.includes(`'${text}'`) &&
        complaint.test(error.message),
    )
  })
}
