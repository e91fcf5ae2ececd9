// Floating point across the elements of a vector, and approximations: ADDSUB*, DP*, HADD*, HSUB*,
// RCP*, RSQRT*; MPSADBW, which sums across elements too. (SDM vol. 2.)

import type { Value } from '../../wasm/value.ts'
import { define } from '../decode/define.ts'
import type { Emitter } from '../emit/emitter.ts'
import { reciprocal32, reciprocalSqrt32 } from '../softfloat/sse-approximate.ts'
import * as A from '../softfloat/sse-arithmetic.ts'
import { exact, exact32, exact64, isUsual, runExact, step } from './float-exact.ts'
import { FloatLanes } from './float-lanes.ts'
import { everySecond } from './packed-integer.ts'
import { shiftedBytes } from './packed-shifts.ts'
import { arithmetic, fastOrExact } from './sse-float.ts'
import { constantOf } from './vector-operands.ts'

const FORMS = [
  { suffix: 'PS', prefix: 'F2', bits: 32 },
  { suffix: 'PD', prefix: '66', bits: 64 },
] as const

for (const { suffix, prefix, bits } of FORMS) {
  const row = (opcode: string) => `${prefix} 0F ${opcode} /r Vx,Wx sse align +sse3`

  // Neighbours: the even element op the odd one.
  for (const [name, opcode, op, on32, on64] of [
    ['HADD', '7C', 'add', A.add32, A.add64],
    ['HSUB', '7D', 'sub', A.sub32, A.sub64],
  ] as const) {
    const run = bits === 32 ? exact32(on32, 4) : exact64(on64, 2)
    define(name + suffix, [row(opcode)], (e, dst, src) => {
      const b = e.read(src)
      const a = e.read(dst)
      const size = bits === 32 ? 4 : 8
      const even = everySecond(e.f, a, b, size, 0, 16)
      const odd = everySecond(e.f, a, b, size, 1, 16)
      e.write(dst, arithmetic(e, new FloatLanes(e.f, bits, false), op, run, even, odd))
    })
  }

  // Even elements are subtracted, odd ones added.
  const run = exact((ctx, words, at) => {
    const words32 = bits / 32
    for (let n = 0; n < 4 / words32; n++) {
      const i = at + n * words32
      const [a, b] = [words[i] as number, words[i + 4] as number]
      if (bits === 32) words[i] = (n % 2 === 0 ? A.sub32 : A.add32)(ctx, a, b)
      else {
        const [aHi, bHi] = [words[i + 1] as number, words[i + 5] as number]
        ;(n === 0 ? A.sub64 : A.add64)(ctx, aHi, a, bHi, b)
        words[i] = ctx.lo
        words[i + 1] = ctx.hi
      }
    }
  })
  define(`ADDSUB${suffix}`, [row('D0')], (e, dst, src) => {
    const lanes = new FloatLanes(e.f, bits, false)
    const b = e.read(src)
    const a = e.read(dst)
    const sign = 1n << BigInt(bits - 1)
    const signs = constantOf(e.f, bits === 32 ? 4 : 8, (i) => (i % 2 === 0 ? sign : 0n))
    const fast = lanes.compute('add', a, e.f.op('v128.xor', b, signs))
    const isDoubtful = lanes.any(
      lanes.either(lanes.isDenormal(a), lanes.isDenormal(b), lanes.isSpecial(fast)),
    )
    const isRight = e.f.and(isUsual(e), e.f.eqz(isDoubtful))
    e.write(dst, fastOrExact(e, lanes, isRight, fast, run, a, b))
  })
}

// Dot products: the immediate's bits 7:4 choose the products, 3:0 where the sum goes.

// The products, each level of sums: exceptions of one step keep the next from being taken.

const dotSingles = exact((ctx, words, at) => {
  const immediate = words[at + 8] as number
  const product = (i: number) =>
    (immediate >> (4 + i)) & 1
      ? A.mul32(ctx, words[at + i] as number, words[at + 4 + i] as number)
      : 0
  let [a, b, c, d] = [0, 0, 0, 0]
  const isMasked =
    step(ctx, () => {
      ;[a, b, c, d] = [product(0), product(1), product(2), product(3)]
    }) &&
    step(ctx, () => {
      ;[a, c] = [A.add32(ctx, a, b), A.add32(ctx, c, d)]
    }) &&
    step(ctx, () => {
      a = A.add32(ctx, a, c)
    })
  for (let i = 0; i < 4; i++) words[at + i] = (immediate >> i) & 1 ? a : 0
  return isMasked
})

const dotDoubles = exact((ctx, words, at) => {
  const immediate = words[at + 8] as number
  const product = (i: number): readonly [hi: number, lo: number] => {
    if (!((immediate >> (4 + i)) & 1)) return [0, 0]
    const word = (n: number) => words[at + 2 * i + n] as number
    A.mul64(ctx, word(1), word(0), word(5), word(4))
    return [ctx.hi, ctx.lo]
  }
  let first = [0, 0] as readonly [number, number]
  let second = first
  const isMasked =
    step(ctx, () => {
      first = product(0)
      second = product(1)
    }) && step(ctx, () => A.add64(ctx, ...first, ...second))
  for (let i = 0; i < 2; i++) {
    const isWanted = (immediate >> i) & 1
    words[at + 2 * i] = isWanted ? ctx.lo : 0
    words[at + 2 * i + 1] = isWanted ? ctx.hi : 0
  }
  return isMasked
})

for (const [name, opcode, run] of [
  ['DPPS', '40', dotSingles],
  ['DPPD', '41', dotDoubles],
] as const) {
  const row = `66 0F 3A ${opcode} /r Vx,Wx,Ib sse align +sse4_1`
  define(name, [row], (e, dst, src, immediate) => {
    const b = e.read(src)
    e.write(dst, runExact(e, run, 'v128', e.read(dst), b, e.read(immediate)))
  })
}

// Approximations, which read no MXCSR and raise nothing.

for (const [name, opcode, approximate] of [
  ['RSQRT', '52', reciprocalSqrt32],
  ['RCP', '53', reciprocal32],
] as const) {
  const all = exact32((_ctx, a) => approximate(a), 4)
  const one = exact32((_ctx, a) => approximate(a), 1)
  define(`${name}PS`, [`NP 0F ${opcode} /r Vx,Wx sse align +sse`], (e, dst, src) =>
    e.write(dst, runExact(e, all, 'v128', e.read(src))),
  )
  define(`${name}SS`, [`F3 0F ${opcode} /r Vss,Wss sse +sse`], (e, dst, src) =>
    e.write(dst, runExact(e, one, 'i32', e.read(src))),
  )
}

// Sums of four absolute differences each, at eight successive places.

/** Byte `n` of each group of four, everywhere; and the bytes from `n` on. */
const SPREAD = [0, 1, 2, 3].map((n) => Array.from({ length: 16 }, () => n))
const FROM = [0, 1, 2, 3].map((n) => Array.from({ length: 16 }, (_, i) => Math.min(i + n, 15)))

define('MPSADBW', ['66 0F 3A 42 /r Vx,Wx,Ib sse align +sse4_1'], (e, dst, src, operand) => {
  const { f } = e
  const b = e.read(src)
  const a = e.read(dst)
  const immediate = e.read(operand)
  const offset = (bit: number, count: number) =>
    f.shl(f.and(f.shrU(immediate, f.i32(bit)), f.i32(count - 1)), f.i32(2))
  e.write(
    dst,
    sumsOfDifferences(e, shiftedBytes(e, a, offset(2, 2)), shiftedBytes(e, b, offset(0, 4))),
  )
})

function sumsOfDifferences(e: Emitter, a: Value, b: Value): Value {
  const { f } = e
  const parts = [0, 1, 2, 3].map((n) => {
    const from = f.shuffle(FROM[n] as number[], a, a)
    const one = f.shuffle(SPREAD[n] as number[], b, b)
    const difference = f.op(
      'v128.or',
      f.op('i8x16.sub_sat_u', from, one),
      f.op('i8x16.sub_sat_u', one, from),
    )
    return f.op('i16x8.extend_low_i8x16_u', difference)
  })
  return parts.reduce((x, y) => f.op('i16x8.add', x, y))
}
