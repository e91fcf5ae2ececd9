import assert from 'node:assert/strict'
import { test } from 'node:test'
import { lastScreen } from './last-screen.ts'

const bytes = (text: string) => new TextEncoder().encode(text)
const screen = (text: string, rows: number, head = '') =>
  new TextDecoder().decode(lastScreen(bytes(head), bytes(text), rows))

test('the last lines are replayed, the one that the cursor stands in included', () => {
  assert.equal(screen('one\ntwo\nthree\nprompt# ', 2), 'three\nprompt# ')
  assert.equal(screen('one\ntwo\n', 2), 'two\n')
  assert.equal(screen('one\ntwo', 24), 'one\ntwo')
  assert.equal(screen('', 24), '')
  assert.equal(screen('one', 0), '')
})

test('what stood there before the screen was cleared is not replayed', () => {
  for (const clear of ['\x1b[2J', '\x1b[H\x1b[J', '\x1b[H\x1b[2J', '\x1bc']) {
    const shown = screen(`old\n${clear}new\n`, 24)
    assert.ok(shown.endsWith('new\n') && !shown.includes('old'), JSON.stringify(clear))
  }
})

test('the kept beginning counts while the rest is short', () => {
  assert.equal(screen('three', 24, 'one\ntwo\n'), 'one\ntwo\nthree')
})
