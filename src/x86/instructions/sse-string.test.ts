// The string comparisons of SSE4.2. Expected values: SDM vol. 1, 12.10.3 (tables of aggregation
// and polarity), worked out by hand.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FLAG_CF, FLAG_OF, FLAG_SF, FLAG_ZF } from '../registers.ts'
import * as S from '../state.ts'
import { VectorMachine } from '../../../test/x86/vector-machine.ts'

const FLAGS = FLAG_CF | FLAG_OF | FLAG_SF | FLAG_ZF

const text = (value: string) =>
  Uint8Array.from({ length: 16 }, (_, i) => (i < value.length ? value.charCodeAt(i) : 0))
    .reverse()
    .toHex()

/** RCX and the flags after a comparison of two texts. */
function compare(instruction: string, a: string, b: string, immediate: number) {
  const m = new VectorMachine()
  m.setXmm(1, text(a))
  m.setXmm(2, text(b))
  m.cpu.writeRegister(S.RAX, BigInt(a.length))
  m.cpu.writeRegister(S.RDX, BigInt(b.length))
  m.cpu.writeRegister(S.RCX, 0xffffffffffffffffn)
  m.execute(`${instruction} xmm1, xmm2, ${immediate}`)
  return { index: Number(m.cpu.readRegister(S.RCX)), flags: m.cpu.rflags & FLAGS, mask: m.xmm(0) }
}

test('PCMPISTRI finds the first character of a set, and says that both texts end', () => {
  const found = compare('pcmpistri', 'xyz', 'some text', 0x00)
  assert.deepEqual([found.index, found.flags], [7, FLAG_CF | FLAG_SF | FLAG_ZF])
})

test('PCMPISTRI gives the number of elements when nothing is found', () => {
  const found = compare('pcmpistri', 'xyz', 'nothing here!!!!', 0x00)
  assert.deepEqual([found.index, found.flags], [16, FLAG_SF])
})

test('PCMPISTRI with ranges and negative polarity finds the first character outside of them', () => {
  const found = compare('pcmpistri', 'azAZ', 'letters4all', 0x14)
  assert.deepEqual([found.index, found.flags], [7, FLAG_CF | FLAG_SF | FLAG_ZF])
})

test('PCMPISTRI with ordered equality finds a text that begins before the end of the vector', () => {
  assert.equal(compare('pcmpistri', 'needle', 'a haystack + nee', 0x0c).index, 13)
  assert.equal(compare('pcmpistri', 'needle', 'a needle of hay', 0x0c).index, 2)
})

test('PCMPESTRI takes lengths from registers: zeros are characters as others', () => {
  const found = compare('pcmpestri', 'ab\0c', 'ab\0d', 0x18)
  assert.deepEqual([found.index, found.flags], [3, FLAG_CF | FLAG_SF | FLAG_ZF])
})

test('PCMPISTRM gives bits, or elements that are all ones', () => {
  assert.equal(compare('pcmpistrm', 'l', 'hello', 0x00).mask, '0'.repeat(31) + 'c')
  assert.equal(compare('pcmpistrm', 'l', 'hello', 0x40).mask, `${'0'.repeat(24)}ffff0000`)
})

test('PCMPISTRI on words tells of the last of several when bit 6 of the immediate is set', () => {
  const wide = (value: string) => value.replaceAll(/./g, '$&\0')
  assert.equal(compare('pcmpistri', wide('a'), wide('banana'), 0x41).index, 5)
})
