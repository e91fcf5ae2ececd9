// Shuffles, blends, and single elements in and out. Where the immediate is known when the code is
// made it becomes a constant shuffle, else its lanes are computed. (SDM vol. 2: BLENDPS BLENDPD
// BLENDVPS BLENDVPD EXTRACTPS INSERTPS PALIGNR PBLENDVB PBLENDW PEXTR* PINSR* PSHUFD PSHUFHW
// PSHUFLW PSHUFW SHUFPS SHUFPD.)

import type { FunctionBuilder } from '../../wasm/function.ts'
import type { LaneOp, PureOp } from '../../wasm/opcodes.ts'
import type { Value } from '../../wasm/value.ts'
import { define } from '../decode/define.ts'
import type { Emitter, Operand } from '../emit/emitter.ts'
import { shiftedBytes } from './packed-shifts.ts'
import {
  constantOf,
  defineMmx,
  readMmx,
  readVector,
  sized,
  writeMmx,
  writeVector,
  zeroVector,
} from './vector-operands.ts'

/**
 * Lane numbers of a shuffle of bytes whose elements of `size` bytes are chosen by fields of
 * `bits` bits of the immediate, the first `count` elements of it; the others stay. `first` is
 * the element that number 0 of the fields stands for, and the first that is chosen.
 */
function lanesOf(
  f: FunctionBuilder,
  immediate: Value,
  size: 2 | 4 | 8,
  first: number,
  count: number,
): Value {
  const bits = size === 8 ? 1 : 2
  const shape = size === 2 ? 'i16x8' : 'i32x4'
  // A multiplication moves each field to the same place: the top of eight bits.
  const units = size === 8 ? 2 : 1
  const width = size / units
  const isChosen = (i: number) => i >= first * units && i < (first + count) * units
  const field = (i: number) => Math.floor(i / units) - first
  const factors = constantOf(f, width as 2, (i) =>
    isChosen(i) ? 1 << (8 - bits * (field(i) + 1)) : 0,
  )
  const top = f.op(`${shape}.mul`, f.op(`${shape}.splat`, immediate), factors)
  const fields = f.op(
    'v128.and',
    f.op(`${shape}.shr_u`, top, f.i32(8 - bits)),
    constantOf(f, width as 2, (i) => (isChosen(i) ? (1 << bits) - 1 : 0)),
  )
  const starts = f.op(
    `${shape}.mul`,
    fields,
    constantOf(f, width as 2, () => repeated(size, width)),
  )
  const bases = constantOf(f, 1, (i) => {
    const element = Math.floor(i / size)
    const isFixed = element < first || element >= first + count
    return (isFixed ? element : first) * size + (i % size)
  })
  return f.op('i8x16.add', starts, bases)
}

/** The byte `value` in each of `count` bytes. */
function repeated(value: number, count: number): number {
  return count === 2 ? value * 0x0101 : value * 0x01010101
}

/** The same lanes for a known immediate. */
function constantLanes(immediate: number, size: number, first: number, count: number): number[] {
  const bits = size === 8 ? 1 : 2
  return Array.from({ length: 16 }, (_, i) => {
    const element = Math.floor(i / size)
    const isFixed = element < first || element >= first + count
    const field = (immediate >> (bits * (element - first))) & ((1 << bits) - 1)
    return (isFixed ? element : first + field) * size + (i % size)
  })
}

/** Elements of `a` chosen by the immediate; see lanesOf. */
export function choose(
  f: FunctionBuilder,
  a: Value,
  immediate: Value,
  size: 2 | 4 | 8,
  first: number,
  count: number,
): Value {
  if (typeof immediate.constant === 'number') {
    return f.shuffle(constantLanes(immediate.constant, size, first, count), a, a)
  }
  return f.op('i8x16.swizzle', a, lanesOf(f, immediate, size, first, count))
}

for (const [name, prefix, size, first] of [
  ['PSHUFD', '66', 4, 0],
  ['PSHUFHW', 'F3', 2, 4],
  ['PSHUFLW', 'F2', 2, 0],
] as const) {
  define(name, [`${prefix} 0F 70 /r Vx,Wx,Ib sse align +sse2`], (e, dst, src, immediate) =>
    e.write(dst, choose(e.f, e.read(src), e.read(immediate), size, first, 4)),
  )
}
defineMmx('PSHUFW', ['NP 0F 70 /r Pq,Qq,Ib mmx +sse'], (e, dst, src, immediate) =>
  writeMmx(e, dst, choose(e.f, readMmx(e, src), e.read(immediate), 2, 0, 4)),
)

const LOW_TO_HIGH = [0, 1, 2, 3, 4, 5, 6, 7, 24, 25, 26, 27, 28, 29, 30, 31]
for (const [name, row, size] of [
  ['SHUFPS', 'NP 0F C6 /r Vx,Wx,Ib sse align +sse', 4],
  ['SHUFPD', '66 0F C6 /r Vx,Wx,Ib sse align +sse2', 8],
] as const) {
  define(name, [row], (e, dst, src, operand) => {
    // The lower half of the result comes from the first operand, the upper from the second.
    const immediate = e.read(operand)
    const b = choose(e.f, e.read(src), immediate, size, 0, 16 / size)
    const a = choose(e.f, e.read(dst), immediate, size, 0, 16 / size)
    e.write(dst, e.f.shuffle(LOW_TO_HIGH, a, b))
  })
}

define('PALIGNR', ['66 0F 3A 0F /r Vx,Wx,Ib sse align +ssse3'], (e, dst, src, operand) => {
  const { f } = e
  const b = e.read(src)
  const count = atMost(f, e.read(operand), 32)
  const high = shiftedBytes(e, e.read(dst), f.sub(count, f.i32(16)))
  e.write(dst, f.op('v128.or', shiftedBytes(e, b, count), high))
})
const LOW_HALVES = [0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23]
defineMmx('PALIGNR', ['NP 0F 3A 0F /r Pq,Qq,Ib mmx +ssse3'], (e, dst, src, operand) => {
  const { f } = e
  const b = readMmx(e, src)
  const both = f.shuffle(LOW_HALVES, b, readMmx(e, dst))
  writeMmx(e, dst, shiftedBytes(e, both, atMost(f, e.read(operand), 16)))
})

function atMost(f: FunctionBuilder, value: Value, limit: number): Value {
  return f.select(f.gtU(value, f.i32(limit)), f.i32(limit), value)
}

// Blends.

/** Elements of `size` bytes of b where the immediate's bits are set, of a elsewhere. */
function blend(f: FunctionBuilder, a: Value, b: Value, immediate: Value, size: 2 | 4 | 8): Value {
  const shape = ({ 2: 'i16x8', 4: 'i32x4', 8: 'i64x2' } as const)[size]
  const bits = f.op(
    'v128.and',
    splat(f, immediate, size),
    constantOf(f, size, (i) => 1 << i),
  )
  return f.op('v128.bitselect', a, b, f.op(`${shape}.eq`, bits, zeroVector(f)))
}

function splat(f: FunctionBuilder, value: Value, size: 1 | 2 | 4 | 8): Value {
  if (size === 8) return f.op('i64x2.splat', f.extendU(value))
  return f.op(({ 1: 'i8x16.splat', 2: 'i16x8.splat', 4: 'i32x4.splat' } as const)[size], value)
}

for (const [name, opcode, size] of [
  ['BLENDPS', '0C', 4],
  ['BLENDPD', '0D', 8],
  ['PBLENDW', '0E', 2],
] as const) {
  const row = `66 0F 3A ${opcode} /r Vx,Wx,Ib sse align +sse4_1`
  define(name, [row], (e, dst, src, immediate) => {
    const b = e.read(src)
    e.write(dst, blend(e.f, e.read(dst), b, e.read(immediate), size))
  })
}

for (const [name, opcode, op, bits] of [
  ['PBLENDVB', '10', 'i8x16.shr_s', 8],
  ['BLENDVPS', '14', 'i32x4.shr_s', 32],
  ['BLENDVPD', '15', 'i64x2.shr_s', 64],
] as const) {
  const row = `66 0F 38 ${opcode} /r Vx,Wx,XMM0 sse align +sse4_1`
  define(name, [row], (e, dst, src, mask) => {
    const b = e.read(src)
    const isSecond = e.f.op(op, e.read(mask), e.f.i32(bits - 1))
    e.write(dst, e.f.op('v128.bitselect', b, e.read(dst), isSecond))
  })
}

// Single elements. The number of one is taken modulo their count.

const EXTRACT = {
  1: 'i8x16.extract_lane_u',
  2: 'i16x8.extract_lane_u',
  4: 'i32x4.extract_lane',
  8: 'i64x2.extract_lane',
} as const satisfies Record<number, LaneOp>
const EQUAL = { 1: 'i8x16.eq', 2: 'i16x8.eq', 4: 'i32x4.eq' } as const satisfies Record<
  number,
  PureOp
>

/** Element `number` of a vector of `count` elements of `size` bytes. */
function extract(e: Emitter, a: Value, number: Value, size: 1 | 2 | 4 | 8, count: number): Value {
  const { f } = e
  if (typeof number.constant === 'number') {
    return f.lane(EXTRACT[size], number.constant & (count - 1), a)
  }
  const offset = f.mul(f.and(number, f.i32(count - 1)), f.i32(size))
  return f.lane(EXTRACT[size], 0, shiftedBytes(e, a, offset))
}

/** `a` with its element `number` replaced by a scalar of `size` bytes. */
function insert(
  e: Emitter,
  a: Value,
  value: Value,
  number: Value,
  size: 1 | 2 | 4 | 8,
  count: number,
): Value {
  const { f } = e
  const wanted = f.and(number, f.i32(count - 1))
  const values = size === 8 ? f.op('i64x2.splat', value) : splat(f, value, size)
  const isWanted =
    size === 8
      ? f.op(
          'i64x2.eq',
          constantOf(f, 8, (i) => i),
          splat(f, wanted, 8),
        )
      : f.op(
          EQUAL[size],
          constantOf(f, size, (i) => i),
          splat(f, wanted, size),
        )
  return f.op('v128.bitselect', values, a, isWanted)
}

/** Writes an extracted element: to a general register all of it, to memory its own width. */
function writeElement(e: Emitter, dst: Operand, value: Value): void {
  e.write(
    dst,
    dst.kind === 'gpr' && dst.bits === 64 && value.type === 'i32' ? e.f.extendU(value) : value,
  )
}

for (const [name, rows, size] of [
  ['PEXTRW', ['66 0F C5 /r Gd,Ux,Ib sse +sse2'], 2],
  ['PEXTRB', ['66 0F 3A 14 /r:r Ed,Vx,Ib sse +sse4_1', '66 0F 3A 14 /r:m Eb,Vx,Ib sse +sse4_1'], 1],
  ['PEXTRW', ['66 0F 3A 15 /r:r Ed,Vx,Ib sse +sse4_1', '66 0F 3A 15 /r:m Ew,Vx,Ib sse +sse4_1'], 2],
  ['EXTRACTPS', ['66 0F 3A 17 /r Ed,Vx,Ib sse +sse4_1'], 4],
] as const) {
  define(name, rows, (e, dst, src, number) =>
    writeElement(e, dst, extract(e, e.read(src), e.read(number), size, 16 / size)),
  )
}
define('PEXTRD', ['66 0F 3A 16 /r Ey,Vx,Ib sse +sse4_1'], (e, dst, src, number) => {
  const size = dst.bits === 64 ? 8 : 4
  e.write(dst, extract(e, e.read(src), e.read(number), size, 16 / size))
})
defineMmx('PEXTRW', ['NP 0F C5 /r Gd,Nq,Ib mmx +sse'], (e, dst, src, number) =>
  e.write(dst, extract(e, readMmx(e, src), e.read(number), 2, 4)),
)

for (const [name, rows, size] of [
  ['PINSRW', ['66 0F C4 /r:r Vx,Ey,Ib sse +sse2', '66 0F C4 /r:m Vx,Ew,Ib sse +sse2'], 2],
  ['PINSRB', ['66 0F 3A 20 /r:r Vx,Ey,Ib sse +sse4_1', '66 0F 3A 20 /r:m Vx,Eb,Ib sse +sse4_1'], 1],
] as const) {
  define(name, rows, (e, dst, src, number) => {
    const value = e.resize(e.read(src), src.bits, 32)
    e.write(dst, insert(e, e.read(dst), value, e.read(number), size, 16 / size))
  })
}
define('PINSRD', ['66 0F 3A 22 /r Vx,Ey,Ib sse +sse4_1'], (e, dst, src, number) => {
  const size = src.bits === 64 ? 8 : 4
  const value = e.read(src)
  e.write(dst, insert(e, e.read(dst), value, e.read(number), size, 16 / size))
})
defineMmx(
  'PINSRW',
  ['NP 0F C4 /r:r Pq,Ey,Ib mmx +sse', 'NP 0F C4 /r:m Pq,Ew,Ib mmx +sse'],
  (e, dst, src, number) => {
    const value = e.resize(e.read(src), src.bits, 32)
    writeMmx(e, dst, insert(e, readMmx(e, dst), value, e.read(number), 2, 4))
  },
)

// Bits 7:6 of the immediate choose the source element, 5:4 the destination's, 3:0 clear elements.
define('INSERTPS', ['66 0F 3A 21 /r Vx,Wss,Ib sse +sse4_1'], (e, dst, src, operand) => {
  const { f } = e
  const b = readVector(e, src)
  const immediate = e.read(operand)
  const from = src.kind === 'memory' ? f.i32(0) : f.shrU(immediate, f.i32(6))
  const value = extract(e, b, from, 4, 4)
  const old = e.read(sized(dst, 128))
  const inserted = insert(e, old, value, f.shrU(immediate, f.i32(4)), 4, 4)
  writeVector(e, dst, blend(f, inserted, zeroVector(f), immediate, 4))
})
