// Packing two vectors into one of narrower elements, and interleaving their elements, as data like
// that of packed-integer.ts. (SDM vol. 2: PACKSS* PACKUS* PUNPCKH* PUNPCKL* UNPCKHP* UNPCKLP*.)

import type { PureOp } from '../../wasm/opcodes.ts'
import { operations, type PackedFunction, type PackedOperation } from './packed-integer.ts'

const LOW_HALVES = [0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23]

/** Elements of a, then those of b, at half the width with saturation. */
const pack =
  (op: PureOp): PackedFunction =>
  (f, a, b, bytes) => {
    if (bytes === 16) return f.op(op, a, b)
    const both = f.shuffle(LOW_HALVES, a, b)
    return f.op(op, both, both)
  }

/** Lanes that alternate elements of `size` bytes of a and b, from the lower or upper halves. */
export function interleaved(size: number, isHigh: boolean, bytes: number): number[] {
  return Array.from({ length: 16 }, (_, i) => {
    const element = Math.floor(i / (2 * size)) * size + (isHigh ? bytes / 2 : 0)
    const fromSecond = Math.floor(i / size) % 2 === 1
    return ((element + (i % size)) % 16) + (fromSecond ? 16 : 0)
  })
}

const unpack =
  (size: number, isHigh: boolean): PackedFunction =>
  (f, a, b, bytes) =>
    f.shuffle(interleaved(size, isHigh, bytes), a, b)

/** Their MMX forms read just 32 bits of memory. */
export const UNPACK_LOW: readonly PackedOperation[] = operations('mmx', 'sse2', [
  ['PUNPCKLBW', '0F 60', unpack(1, false)],
  ['PUNPCKLWD', '0F 61', unpack(2, false)],
  ['PUNPCKLDQ', '0F 62', unpack(4, false)],
])

export const PACKED_MERGE: readonly PackedOperation[] = [
  ...operations('mmx', 'sse2', [
    ['PACKSSWB', '0F 63', pack('i8x16.narrow_i16x8_s')],
    ['PACKUSWB', '0F 67', pack('i8x16.narrow_i16x8_u')],
    ['PUNPCKHBW', '0F 68', unpack(1, true)],
    ['PUNPCKHWD', '0F 69', unpack(2, true)],
    ['PUNPCKHDQ', '0F 6A', unpack(4, true)],
    ['PACKSSDW', '0F 6B', pack('i16x8.narrow_i32x4_s')],
  ]),
  ...operations('', 'sse2', [
    ['PUNPCKLQDQ', '0F 6C', unpack(8, false)],
    ['PUNPCKHQDQ', '0F 6D', unpack(8, true)],
    ['UNPCKLPD', '0F 14', unpack(8, false)],
    ['UNPCKHPD', '0F 15', unpack(8, true)],
  ]),
  ...operations('', 'sse4_1', [['PACKUSDW', '0F 38 2B', pack('i16x8.narrow_i32x4_u')]]),
]
