// Packed integer operations on vectors of 16 bytes, and of 8 for MMX, as data: names, opcodes and
// meanings, without operands. MMX and SSE forms (and VEX forms, which share the opcodes) are made
// from the same rows. (SDM vol. 2: PABS* PADD* PAND* PAVG* PCMP* PHADD* PHMINPOSUW PHSUB* PMADD*
// PMAX* PMIN* PMUL* POR PSADBW PSHUFB PSIGN* PSUB* PXOR; packing and unpacking: packed-merge.ts.)

import type { FunctionBuilder } from '../../wasm/function.ts'
import type { PureOp } from '../../wasm/opcodes.ts'
import type { Value } from '../../wasm/value.ts'
import { constantOf, zeroVector } from './vector-operands.ts'

/**
 * What an operation makes of two vectors. `bytes` is how much of them counts: with 8 the upper
 * halves of operands may hold anything, and that of the result does not matter.
 */
export type PackedFunction = (f: FunctionBuilder, a: Value, b: Value, bytes: 8 | 16) => Value

export interface PackedOperation {
  readonly name: string
  /** With escape bytes, e.g. `0F 38 00`. */
  readonly opcode: string
  /** CPUID feature of the MMX form; empty if there is none. */
  readonly mmx: string
  /** CPUID feature of the SSE form. */
  readonly sse: string
  readonly run: PackedFunction
}

type Row = readonly [name: string, opcode: string, run: PureOp | PackedFunction]

/** Operations from rows that share their features. */
export function operations(mmx: string, sse: string, rows: readonly Row[]): PackedOperation[] {
  return rows.map(([name, opcode, run]) => ({
    name,
    opcode,
    mmx,
    sse,
    run: typeof run === 'function' ? run : (f, a, b) => f.op(run, a, b),
  }))
}

/** An operation on the second operand alone. */
const unary =
  (op: PureOp): PackedFunction =>
  (f, _a, b) =>
    f.op(op, b)

/** The elements of `size` bytes at even (0) or odd (1) places of a and then b, side by side. */
export function everySecond(
  f: FunctionBuilder,
  a: Value,
  b: Value,
  size: 2 | 4 | 8,
  odd: 0 | 1,
  bytes: number,
): Value {
  const perVector = bytes / (2 * size)
  const lanes = Array.from({ length: 16 }, (_, i) => {
    const element = Math.floor(i / size) % (2 * perVector)
    const isSecond = element >= perVector
    const at = (2 * (element % perVector) + odd) * size + (i % size)
    return isSecond ? 16 + at : at
  })
  return f.shuffle(lanes, a, b)
}

/** Adds or subtracts neighbours: the even element op the odd one. */
const horizontal =
  (op: PureOp, size: 2 | 4): PackedFunction =>
  (f, a, b, bytes) =>
    f.op(op, everySecond(f, a, b, size, 0, bytes), everySecond(f, a, b, size, 1, bytes))

/** The upper halves of the 16-bit products. */
const multiplyHigh =
  (sign: 's' | 'u'): PackedFunction =>
  (f, a, b) => {
    const low = f.op(`i32x4.extmul_low_i16x8_${sign}`, a, b)
    return everySecond(f, low, f.op(`i32x4.extmul_high_i16x8_${sign}`, a, b), 2, 1, 16)
  }

/** 64-bit products of the even 32-bit elements. */
const multiplyEven =
  (sign: 's' | 'u'): PackedFunction =>
  (f, a, b) =>
    f.op(
      `i64x2.extmul_low_i32x4_${sign}`,
      everySecond(f, a, a, 4, 0, 16),
      everySecond(f, b, b, 4, 0, 16),
    )

/** PMADDUBSW: unsigned bytes of a times signed ones of b, neighbours added with saturation. */
const multiplyAddBytes: PackedFunction = (f, a, b) => {
  const eight = f.i32(8)
  const even = f.op(
    'i16x8.mul',
    f.op(
      'v128.and',
      a,
      constantOf(f, 2, () => 0xff),
    ),
    f.op('i16x8.shr_s', f.op('i16x8.shl', b, eight), eight),
  )
  const odd = f.op('i16x8.mul', f.op('i16x8.shr_u', a, eight), f.op('i16x8.shr_s', b, eight))
  return f.op('i16x8.add_sat_s', even, odd)
}

/** PMULHRSW: unlike WebAssembly's, -1 times -1 (as fractions) is -1. */
const multiplyRound: PackedFunction = (f, a, b) => {
  const product = f.op('i16x8.q15mulr_sat_s', a, b)
  const isOverflow = f.op(
    'i16x8.eq',
    f.op('i16x8.max_s', a, b),
    constantOf(f, 2, () => 0x8000),
  )
  return f.op('v128.xor', product, isOverflow)
}

/** PSADBW: sums of the differences of eight bytes each. */
const sumOfDifferences: PackedFunction = (f, a, b) => {
  const differences = f.op('v128.or', f.op('i8x16.sub_sat_u', a, b), f.op('i8x16.sub_sat_u', b, a))
  const words = f.op('i16x8.extadd_pairwise_i8x16_u', differences)
  const doubles = f.op('i32x4.extadd_pairwise_i16x8_u', words)
  const low = f.op(
    'v128.and',
    doubles,
    constantOf(f, 8, () => 0xffffffffn),
  )
  return f.op('i64x2.add', low, f.op('i64x2.shr_u', doubles, f.i32(32)))
}

/** PSHUFB: an index with its top bit set gives zero. */
const shuffleBytes: PackedFunction = (f, a, b, bytes) =>
  f.op(
    'i8x16.swizzle',
    a,
    f.op(
      'v128.and',
      b,
      constantOf(f, 1, () => 0x80 | (bytes - 1)),
    ),
  )

/** PSIGN: a negated where b is negative, zero where b is zero. */
const sign =
  (shape: 'i8x16' | 'i16x8' | 'i32x4', bits: number): PackedFunction =>
  (f, a, b) => {
    const mask = f.op(`${shape}.shr_s`, b, f.i32(bits - 1))
    const negated = f.op(`${shape}.sub`, f.op('v128.xor', a, mask), mask)
    return f.op('v128.andnot', negated, f.op(`${shape}.eq`, b, zeroVector(f)))
  }

/** PHMINPOSUW: the least word and its place. */
const leastWord: PackedFunction = (f, _a, b) => {
  // The place lies below the value, so that one comparison finds the first of equals.
  const withPlace = (half: 'low' | 'high', first: number) => {
    const wide = f.op('i32x4.shl', f.op(`i32x4.extend_${half}_i16x8_u`, b), f.i32(3))
    return f.op(
      'v128.or',
      wide,
      constantOf(f, 4, (i) => first + i),
    )
  }
  let least = f.op('i32x4.min_u', withPlace('low', 0), withPlace('high', 4))
  const swapped = (lanes: number[]) => f.shuffle(lanes, least, least)
  least = f.op(
    'i32x4.min_u',
    least,
    swapped([8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7]),
  )
  least = f.op('i32x4.min_u', least, swapped([4, 5, 6, 7, 0, 1, 2, 3, 4, 5, 6, 7, 0, 1, 2, 3]))
  const found = f.lane('i32x4.extract_lane', 0, least)
  const place = f.shl(f.and(found, f.i32(7)), f.i32(16))
  const result = f.or(f.shrU(found, f.i32(3)), place)
  return f.lane('i32x4.replace_lane', 0, zeroVector(f), result)
}

/** All that take two operands and change the first; see the head of this file. */
export const PACKED_INTEGER: readonly PackedOperation[] = [
  ...operations('mmx', 'sse2', [
    ['PCMPGTB', '0F 64', 'i8x16.gt_s'],
    ['PCMPGTW', '0F 65', 'i16x8.gt_s'],
    ['PCMPGTD', '0F 66', 'i32x4.gt_s'],
    ['PCMPEQB', '0F 74', 'i8x16.eq'],
    ['PCMPEQW', '0F 75', 'i16x8.eq'],
    ['PCMPEQD', '0F 76', 'i32x4.eq'],
    ['PMULLW', '0F D5', 'i16x8.mul'],
    ['PSUBUSB', '0F D8', 'i8x16.sub_sat_u'],
    ['PSUBUSW', '0F D9', 'i16x8.sub_sat_u'],
    ['PAND', '0F DB', 'v128.and'],
    ['PADDUSB', '0F DC', 'i8x16.add_sat_u'],
    ['PADDUSW', '0F DD', 'i16x8.add_sat_u'],
    ['PANDN', '0F DF', (f, a, b) => f.op('v128.andnot', b, a)],
    ['PMULHW', '0F E5', multiplyHigh('s')],
    ['PSUBSB', '0F E8', 'i8x16.sub_sat_s'],
    ['PSUBSW', '0F E9', 'i16x8.sub_sat_s'],
    ['POR', '0F EB', 'v128.or'],
    ['PADDSB', '0F EC', 'i8x16.add_sat_s'],
    ['PADDSW', '0F ED', 'i16x8.add_sat_s'],
    ['PXOR', '0F EF', 'v128.xor'],
    ['PMADDWD', '0F F5', 'i32x4.dot_i16x8_s'],
    ['PSUBB', '0F F8', 'i8x16.sub'],
    ['PSUBW', '0F F9', 'i16x8.sub'],
    ['PSUBD', '0F FA', 'i32x4.sub'],
    ['PADDB', '0F FC', 'i8x16.add'],
    ['PADDW', '0F FD', 'i16x8.add'],
    ['PADDD', '0F FE', 'i32x4.add'],
  ]),
  ...operations('sse', 'sse2', [
    ['PMINUB', '0F DA', 'i8x16.min_u'],
    ['PMAXUB', '0F DE', 'i8x16.max_u'],
    ['PAVGB', '0F E0', 'i8x16.avgr_u'],
    ['PAVGW', '0F E3', 'i16x8.avgr_u'],
    ['PMULHUW', '0F E4', multiplyHigh('u')],
    ['PMINSW', '0F EA', 'i16x8.min_s'],
    ['PMAXSW', '0F EE', 'i16x8.max_s'],
    ['PSADBW', '0F F6', sumOfDifferences],
  ]),
  ...operations('sse2', 'sse2', [
    ['PADDQ', '0F D4', 'i64x2.add'],
    ['PMULUDQ', '0F F4', multiplyEven('u')],
    ['PSUBQ', '0F FB', 'i64x2.sub'],
  ]),
  ...operations('ssse3', 'ssse3', [
    ['PSHUFB', '0F 38 00', shuffleBytes],
    ['PHADDW', '0F 38 01', horizontal('i16x8.add', 2)],
    ['PHADDD', '0F 38 02', horizontal('i32x4.add', 4)],
    ['PHADDSW', '0F 38 03', horizontal('i16x8.add_sat_s', 2)],
    ['PMADDUBSW', '0F 38 04', multiplyAddBytes],
    ['PHSUBW', '0F 38 05', horizontal('i16x8.sub', 2)],
    ['PHSUBD', '0F 38 06', horizontal('i32x4.sub', 4)],
    ['PHSUBSW', '0F 38 07', horizontal('i16x8.sub_sat_s', 2)],
    ['PSIGNB', '0F 38 08', sign('i8x16', 8)],
    ['PSIGNW', '0F 38 09', sign('i16x8', 16)],
    ['PSIGND', '0F 38 0A', sign('i32x4', 32)],
    ['PMULHRSW', '0F 38 0B', multiplyRound],
    ['PABSB', '0F 38 1C', unary('i8x16.abs')],
    ['PABSW', '0F 38 1D', unary('i16x8.abs')],
    ['PABSD', '0F 38 1E', unary('i32x4.abs')],
  ]),
  ...operations('', 'sse4_1', [
    ['PMULDQ', '0F 38 28', multiplyEven('s')],
    ['PCMPEQQ', '0F 38 29', 'i64x2.eq'],
    ['PMINSB', '0F 38 38', 'i8x16.min_s'],
    ['PMINSD', '0F 38 39', 'i32x4.min_s'],
    ['PMINUW', '0F 38 3A', 'i16x8.min_u'],
    ['PMINUD', '0F 38 3B', 'i32x4.min_u'],
    ['PMAXSB', '0F 38 3C', 'i8x16.max_s'],
    ['PMAXSD', '0F 38 3D', 'i32x4.max_s'],
    ['PMAXUW', '0F 38 3E', 'i16x8.max_u'],
    ['PMAXUD', '0F 38 3F', 'i32x4.max_u'],
    ['PMULLD', '0F 38 40', 'i32x4.mul'],
    ['PHMINPOSUW', '0F 38 41', leastWord],
  ]),
  ...operations('', 'sse4_2', [['PCMPGTQ', '0F 38 37', 'i64x2.gt_s']]),
]
