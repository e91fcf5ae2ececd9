// AES-NI. Expected values: FIPS 197, appendices A.1 and B.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { VectorMachine } from '../../../test/x86/vector-machine.ts'

/** The bytes of a state or key as FIPS 197 prints them, as a register has them. */
const register = (text: string) => Uint8Array.fromHex(text).reverse().toHex()

const KEY = '2b7e151628aed2a6abf7158809cf4f3c'
const ROUND_CONSTANTS = [1, 2, 4, 8, 0x10, 0x20, 0x40, 0x80, 0x1b, 0x36]

/** Expands the key in XMM1 into XMM1 to XMM11. */
const EXPANSION = ROUND_CONSTANTS.map((constant, i) => {
  const [from, to] = [`xmm${i + 1}`, `xmm${i + 2}`]
  const step = 'movdqa xmm13, xmm12\npslldq xmm13, 4\npxor xmm12, xmm13\n'
  return (
    `aeskeygenassist xmm15, ${from}, ${constant}\npshufd xmm15, xmm15, 0xff\n` +
    `movdqa xmm12, ${from}\n${step.repeat(3)}pxor xmm12, xmm15\nmovdqa ${to}, xmm12\n`
  )
}).join('')

test('AESKEYGENASSIST expands the key of FIPS 197 A.1', () => {
  const m = new VectorMachine()
  m.setXmm(1, register(KEY))
  m.execute(EXPANSION)
  assert.equal(m.xmm(2), register('a0fafe1788542cb123a339392a6c7605'))
  assert.equal(m.xmm(11), register('d014f9a8c9ee2589e13f0cc8b6630ca6'))
})

test('AESENC encrypts the block of FIPS 197 B, and AESDEC decrypts it again', () => {
  const m = new VectorMachine()
  m.setXmm(0, register('3243f6a8885a308d313198a2e0370734'))
  m.setXmm(1, register(KEY))
  const rounds = [2, 3, 4, 5, 6, 7, 8, 9, 10].map((n) => `aesenc xmm0, xmm${n}`).join('\n')
  m.execute(`${EXPANSION}pxor xmm0, xmm1\n${rounds}\naesenclast xmm0, xmm11`)
  assert.equal(m.xmm(0), register('3925841d02dc09fbdc118597196a0b32'))
  const inverse = [10, 9, 8, 7, 6, 5, 4, 3, 2]
    .map((n) => `aesimc xmm12, xmm${n}\naesdec xmm0, xmm12`)
    .join('\n')
  m.execute(`pxor xmm0, xmm11\n${inverse}\naesdeclast xmm0, xmm1`)
  assert.equal(m.xmm(0), register('3243f6a8885a308d313198a2e0370734'))
})
