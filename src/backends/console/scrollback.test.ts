import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Scrollback } from './scrollback.ts'

const bytes = (text: string) => new TextEncoder().encode(text)
const text = (of: Uint8Array) => new TextDecoder().decode(of)

test('the start and the end are kept, whatever the pieces, and the sum of them is bounded', () => {
  const pieces = fc.array(fc.string({ unit: 'binary-ascii', maxLength: 60 }), { maxLength: 40 })
  fc.assert(
    fc.property(pieces, (list) => {
      const all = list.join('')
      const scrollback = new Scrollback(100)
      for (const piece of list) scrollback.append(bytes(piece))
      assert.equal(text(scrollback.head), all.slice(0, 25))
      assert.equal(text(scrollback.tail), all.slice(25).slice(-75))
      assert.equal(scrollback.total, all.length)
      assert.equal(scrollback.dropped, Math.max(0, all.length - 100))
    }),
  )
})

test('text says how much is missing where something is', () => {
  const scrollback = new Scrollback(8)
  scrollback.append(bytes('ab'))
  scrollback.append(bytes('cdefgh'))
  assert.equal(scrollback.text(), 'abcdefgh')
  scrollback.append(bytes('ij'))
  assert.equal(scrollback.text(), 'ab\n[2 bytes of output are not kept]\nefghij')
})

test('a character whose bytes come in two pieces is whole in the text', () => {
  const scrollback = new Scrollback(4)
  const [first, ...rest] = bytes('ü')
  scrollback.append(Uint8Array.of(first ?? 0))
  scrollback.append(Uint8Array.from(rest))
  assert.equal(scrollback.text(), 'ü')
})

test('a scrollback survives being saved', () => {
  const scrollback = new Scrollback(8)
  scrollback.append(bytes('0123456789'))
  const restored = new Scrollback(8)
  restored.restore(structuredClone(scrollback.save()))
  scrollback.append(bytes('ab'))
  restored.append(bytes('ab'))
  assert.equal(restored.text(), scrollback.text())
})
