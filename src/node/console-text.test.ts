import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { ConsoleText, lastLines, plainText } from './console-text.ts'

const SAMPLES: [string, string][] = [
  ['\x1b[0;32mOK\x1b[0m', 'OK'],
  ['a\r\nb\r', 'a\nb'],
  ['\x1b]0;a title\x07text', 'text'],
  ['\x1b]0;a title\x1b\\text', 'text'],
  ['\x1b7\x1b[?25l\x1b[12;40Hhere\x1b8', 'here'],
  ['\x1b(Bascii', 'ascii'],
  ['\x1bcreset', 'reset'],
]

test('escape sequences and carriage returns are no text', () => {
  for (const [raw, plain] of SAMPLES) assert.equal(plainText(raw), plain)
})

test('text does not depend on where it is cut', () => {
  const raw = `${SAMPLES.map(([text]) => text).join('')}héé €`
  const bytes = new TextEncoder().encode(raw)
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: bytes.length })), (cuts) => {
      const text = new ConsoleText()
      let got = ''
      let from = 0
      for (const to of [...cuts.toSorted((a, b) => a - b), bytes.length]) {
        got += text.add(bytes.subarray(from, to))
        from = to
      }
      assert.equal(got, plainText(raw))
    }),
  )
})

test('a sequence that never ends does not swallow the console', () => {
  const text = new ConsoleText()
  const got = text.add(new TextEncoder().encode(`\x1b]${'x'.repeat(300)}`))
  assert.ok(got.includes('xxx'))
})

test('the last lines leave out blank ones and escape sequences', () => {
  assert.deepEqual(lastLines('one\r\n\r\n\x1b[1mtwo\x1b[0m\r\n# ', 2), ['two', '# '])
  assert.deepEqual(lastLines('', 10), [])
})
