// PCLMULQDQ: the product of two polynomials over GF(2) of 64 terms. (SDM vol. 2.)
//
// Integer multiplication does it if carries cannot reach the next term of interest: each operand
// is taken apart into four with every fourth bit only, so that at most 16 ones meet in a column
// and carries stay within the three bits between. That gives the lower half of the product; the
// upper is the lower half of the product of the mirrored operands, mirrored. (After T. Pornin,
// "BearSSL: constant-time GHASH".)

import type { FunctionBuilder } from '../../wasm/function.ts'
import type { Value } from '../../wasm/value.ts'
import { define } from '../decode/define.ts'

/** Every fourth bit, from bit 0 on. */
const EVERY_FOURTH = 0x1111111111111111n

function combined(values: Value[], join: (a: Value, b: Value) => Value): Value {
  return values.reduce(join)
}

/** Bits 63:0 of the product of two i64. */
function lowProduct(f: FunctionBuilder, a: Value, b: Value): Value {
  const part = (value: Value, i: number) => f.and(value, f.i64(EVERY_FOURTH << BigInt(i)))
  const parts = [0, 1, 2, 3].map((i) => [part(a, i), part(b, i)] as const)
  const columns = [0, 1, 2, 3].map((column) => {
    const products = [0, 1, 2, 3].map((i) => {
      const [x] = parts[i] as readonly [Value, Value]
      const [, y] = parts[(column - i) & 3] as readonly [Value, Value]
      return f.mul(x, y)
    })
    return part(
      combined(products, (x, y) => f.xor(x, y)),
      column,
    )
  })
  return combined(columns, (x, y) => f.or(x, y))
}

/** An i64 with its bits in reverse order. */
function mirrored(f: FunctionBuilder, value: Value): Value {
  let result = value
  for (const [shift, mask] of [
    [1, 0x5555555555555555n],
    [2, 0x3333333333333333n],
    [4, 0x0f0f0f0f0f0f0f0fn],
    [8, 0x00ff00ff00ff00ffn],
    [16, 0x0000ffff0000ffffn],
  ] as const) {
    const lower = f.shl(f.and(result, f.i64(mask)), f.i64(shift))
    result = f.or(lower, f.and(f.shrU(result, f.i64(shift)), f.i64(mask)))
  }
  return f.rotl(result, f.i64(32))
}

/** The whole product of two i64, as a vector. */
export function carrylessProduct(f: FunctionBuilder, a: Value, b: Value): Value {
  const high = f.shrU(mirrored(f, lowProduct(f, mirrored(f, a), mirrored(f, b))), f.i64(1))
  const low = f.op('i64x2.splat', lowProduct(f, a, b))
  return f.lane('i64x2.replace_lane', 1, low, high)
}

const ROW = '66 0F 3A 44 /r Vx,Wx,Ib sse align +pclmulqdq'
define('PCLMULQDQ', [ROW], (e, dst, src, operand) => {
  const { f } = e
  const second = e.read(src)
  const first = e.read(dst)
  const immediate = e.read(operand)
  const half = (vector: Value, bit: number) =>
    f.select(
      f.and(immediate, f.i32(bit)),
      f.lane('i64x2.extract_lane', 1, vector),
      f.lane('i64x2.extract_lane', 0, vector),
    )
  e.write(dst, carrylessProduct(f, half(first, 1), half(second, 0x10)))
})
