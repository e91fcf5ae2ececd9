import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { Scrollback } from '../backends/console/scrollback.ts'
import { ConsoleWindow } from './console-window.ts'

const bytes = (text: string) => new TextEncoder().encode(text)

function windowOf(size: number, ...pieces: string[]): ConsoleWindow {
  const window = new ConsoleWindow(size)
  for (const piece of pieces) window.add(bytes(piece))
  return window
}

test('a match may lie in several pieces, and all before it is behind us', () => {
  const window = windowOf(100, 'lo', 'gin: log', 'in: ')
  assert.equal(window.take(/login: /)?.[0], 'login: ')
  assert.equal(window.take(/login: /)?.index, 0)
  assert.equal(window.take(/login: /), undefined)
  window.add(bytes('login: '))
  assert.ok(window.take(/login: /g))
})

test('what came longest ago is forgotten, in single characters as well', () => {
  const text = `start ${'x'.repeat(5000)} end`
  for (const pieces of [[text], text.split('')]) {
    assert.equal(windowOf(5000, ...pieces).take(/start/), undefined)
    assert.ok(windowOf(5010, ...pieces).take(/start x+ end/))
  }
})

test('a guest that writes single characters takes no more memory than their number', () => {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  const used = () => {
    collect()
    const { heapUsed, arrayBuffers } = process.memoryUsage()
    return heapUsed + arrayBuffers
  }
  const window = new ConsoleWindow(1 << 20)
  const scrollback = new Scrollback(1 << 20)
  const before = used()
  for (let i = 0; i < 1_000_000; i++) {
    const byte = Uint8Array.of(0x20 + (i % 64))
    window.add(byte)
    scrollback.append(byte)
  }
  const grown = used() - before
  assert.ok(grown < 6 << 20, `${grown} bytes`)
  assert.equal(scrollback.dropped, 0)
  assert.ok(window.take(/!"#/))
})
