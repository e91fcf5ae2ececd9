// Galois field instructions on bytes: GF2P8MULB, GF2P8AFFINEQB and GF2P8AFFINEINVQB. (SDM vol. 2.)
// The field is that of AES: polynomials modulo x^8 + x^4 + x^3 + x + 1.

import type { FunctionBuilder } from '../../wasm/function.ts'
import type { Value } from '../../wasm/value.ts'
import { define } from '../decode/define.ts'
import { INVERSE, substitute, vectorTimesX } from './galois-field.ts'
import { constantOf } from './vector-operands.ts'

/** Per byte: all ones where bit `n` is set. */
function bitMask(f: FunctionBuilder, value: Value, n: number): Value {
  const moved = n === 7 ? value : f.op('i8x16.shl', value, f.i32(7 - n))
  return f.op('i8x16.shr_s', moved, f.i32(7))
}

/** The products of the bytes of two vectors. */
export function fieldProduct(f: FunctionBuilder, a: Value, b: Value): Value {
  let result = f.op('v128.and', a, bitMask(f, b, 7))
  for (let n = 6; n >= 0; n--) {
    const added = f.op('v128.and', a, bitMask(f, b, n))
    result = f.op('v128.xor', vectorTimesX(f, result), added)
  }
  return result
}

/** Each byte times the matrix of bits in its half of `matrices`, plus a constant (i32). */
export function affine(f: FunctionBuilder, bytes: Value, matrices: Value, constant: Value): Value {
  let result = f.op('i8x16.splat', constant)
  for (let bit = 0; bit < 8; bit++) {
    // Bit i of the result is the parity of the byte and the matrix's row 7 - i.
    const lanes = Array.from({ length: 16 }, (_, i) => (i & 8) + 7 - bit)
    const products = f.op('v128.and', bytes, f.shuffle(lanes, matrices, matrices))
    const ones = f.op('i8x16.popcnt', products)
    const parity = f.op(
      'v128.and',
      ones,
      constantOf(f, 1, () => 1),
    )
    result = f.op('v128.xor', result, f.op('i8x16.shl', parity, f.i32(bit)))
  }
  return result
}

define('GF2P8MULB', ['66 0F 38 CF /r Vx,Wx sse align +gfni'], (e, dst, src) => {
  const b = e.read(src)
  e.write(dst, fieldProduct(e.f, e.read(dst), b))
})

for (const [name, opcode, inverts] of [
  ['GF2P8AFFINEQB', 'CE', false],
  ['GF2P8AFFINEINVQB', 'CF', true],
] as const) {
  const row = `66 0F 3A ${opcode} /r Vx,Wx,Ib sse align +gfni`
  define(name, [row], (e, dst, src, constant) => {
    const matrices = e.read(src)
    const bytes = e.read(dst)
    const operand = inverts ? substitute(e.f, bytes, INVERSE) : bytes
    e.write(dst, affine(e.f, operand, matrices, e.read(constant)))
  })
}
