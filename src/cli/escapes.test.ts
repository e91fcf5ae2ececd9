import assert from 'node:assert/strict'
import { test } from 'node:test'
import { UsageError } from './arguments.ts'
import { unescapeText } from './escapes.ts'

test('each escape stands for its character', () => {
  assert.equal(unescapeText(String.raw`a\r\n\t\e[A\0\x1d\\n`, '--send'), 'a\r\n\t\x1b[A\0\x1d\\n')
})

test('an unknown escape is refused with the spelling of a plain backslash', () => {
  for (const text of ['\\q', '\\xZZ', 'end\\']) {
    assert.throws(() => unescapeText(text, '--send'), UsageError)
  }
  assert.throws(() => unescapeText('C:\\dir', '--send'), /"C:\\\\dir" types it as it stands/)
})
