// The field of 256 elements that AES and the Galois field instructions compute in: polynomials
// over GF(2) modulo x^8 + x^4 + x^3 + x + 1. (FIPS 197, 4.)

import type { FunctionBuilder } from '../../wasm/function.ts'
import type { Value } from '../../wasm/value.ts'
import { constantOf } from './vector-operands.ts'

/** FIPS 197, 4.2.1: multiplication by x. */
function timesX(a: number): number {
  return ((a << 1) ^ (a & 0x80 ? 0x11b : 0)) & 0xff
}

/** The inverse of each element; 0 stands for that of 0. */
export const INVERSE = makeInverses()

function makeInverses(): Uint8Array {
  // x + 1 generates all elements but 0: the inverse of its n-th power is its (255 - n)-th.
  const powers = new Uint8Array(256)
  let power = 1
  for (let n = 0; n < 256; n++) {
    powers[n] = power
    power ^= timesX(power)
  }
  const inverses = new Uint8Array(256)
  for (let n = 0; n < 255; n++) inverses[powers[n] as number] = powers[255 - n] as number
  return inverses
}

/** Each byte's entry in a table of 256: sixteen lookups, of which all but one give zero. */
export function substitute(f: FunctionBuilder, bytes: Value, table: Uint8Array): Value {
  const rows = Array.from({ length: 16 }, (_, row) => {
    const entries = f.v128(table.slice(16 * row, 16 * row + 16))
    return f.op(
      'i8x16.swizzle',
      entries,
      f.op(
        'v128.xor',
        bytes,
        constantOf(f, 1, () => 16 * row),
      ),
    )
  })
  return rows.reduce((a, b) => f.op('v128.or', a, b))
}

/** Each byte times x. */
export function vectorTimesX(f: FunctionBuilder, a: Value): Value {
  const carries = f.op(
    'v128.and',
    f.op('i8x16.shr_s', a, f.i32(7)),
    constantOf(f, 1, () => 0x1b),
  )
  return f.op('v128.xor', f.op('i8x16.add', a, a), carries)
}
