// AES-NI: rounds of the Advanced Encryption Standard on vectors. (FIPS 197; SDM vol. 2: AESDEC
// AESDECLAST AESENC AESENCLAST AESIMC AESKEYGENASSIST.)

import type { FunctionBuilder } from '../../wasm/function.ts'
import type { Value } from '../../wasm/value.ts'
import { define } from '../decode/define.ts'
import { INVERSE, substitute, vectorTimesX } from './galois-field.ts'
import { bytesOf, constantOf } from './vector-operands.ts'

/** FIPS 197, 5.1.1: the inverse in the field, then an affine map. */
export const SUBSTITUTION = INVERSE.map((inverse) => affine(inverse))

function affine(a: number): number {
  const rotated = (n: number) => (a << n) | (a >> (8 - n))
  return (a ^ rotated(1) ^ rotated(2) ^ rotated(3) ^ rotated(4) ^ 0x63) & 0xff
}

const INVERSE_SUBSTITUTION = Uint8Array.from({ length: 256 }, (_, i) => SUBSTITUTION.indexOf(i))

/** The state's bytes lie column by column: byte 4 c + r is in row r. */
function shiftRows(f: FunctionBuilder, state: Value, direction: 1 | -1): Value {
  const lanes = bytesOf((i) => (i + 4 * direction * (i % 4)) & 15)
  return f.shuffle([...lanes], state, state)
}

/** Each column rotated by `count` rows. */
function rotated(f: FunctionBuilder, state: Value, count: number): Value {
  const lanes = bytesOf((i) => (i & 12) | ((i + count) & 3))
  return f.shuffle([...lanes], state, state)
}

/** FIPS 197, 5.1.3: columns times {03}x^3 + {01}x^2 + {01}x + {02}. */
function mixColumns(f: FunctionBuilder, a: Value): Value {
  const xor = (x: Value, y: Value) => f.op('v128.xor', x, y)
  const next = rotated(f, a, 1)
  const doubled = vectorTimesX(f, xor(a, next))
  return xor(xor(doubled, next), rotated(f, xor(a, next), 2))
}

/** FIPS 197, 5.3.3: the inverse is MixColumns after a multiplication by {04}x^2 + {05}. */
function inverseMixColumns(f: FunctionBuilder, a: Value): Value {
  const sum = f.op('v128.xor', a, rotated(f, a, 2))
  const quadrupled = vectorTimesX(f, vectorTimesX(f, sum))
  return mixColumns(f, f.op('v128.xor', a, quadrupled))
}

for (const [name, opcode, isEncryption, isLast] of [
  ['AESENC', 'DC', true, false],
  ['AESENCLAST', 'DD', true, true],
  ['AESDEC', 'DE', false, false],
  ['AESDECLAST', 'DF', false, true],
] as const) {
  define(name, [`66 0F 38 ${opcode} /r Vx,Wx sse align +aes`], (e, dst, src) => {
    const { f } = e
    const key = e.read(src)
    const shifted = shiftRows(f, e.read(dst), isEncryption ? 1 : -1)
    const state = substitute(f, shifted, isEncryption ? SUBSTITUTION : INVERSE_SUBSTITUTION)
    const mix = isEncryption ? mixColumns : inverseMixColumns
    e.write(dst, f.op('v128.xor', isLast ? state : mix(f, state), key))
  })
}

define('AESIMC', ['66 0F 38 DB /r Vx,Wx sse align +aes'], (e, dst, src) =>
  e.write(dst, inverseMixColumns(e.f, e.read(src))))

/** Words 1 and 3, each as it is and rotated by a byte. */
const KEY_WORDS = [4, 5, 6, 7, 5, 6, 7, 4, 12, 13, 14, 15, 13, 14, 15, 12]

define('AESKEYGENASSIST', ['66 0F 3A DF /r Vx,Wx,Ib sse align +aes'], (e, dst, src, operand) => {
  const { f } = e
  const words = substitute(f, e.read(src), SUBSTITUTION)
  const constants = f.op(
    'v128.and',
    f.op('i32x4.splat', e.read(operand)),
    constantOf(f, 4, (i) => (i % 2 === 1 ? 0xff : 0)),
  )
  e.write(dst, f.op('v128.xor', f.shuffle(KEY_WORDS, words, words), constants))
})
