// Conversions between binary32, binary64 and integers, in XMM, MMX and general registers: CVT*,
// ROUND*. (SDM vol. 2; invalid conversions give the integer indefinite: vol. 1, 4.9.1.1.)
//
// As in sse-float.ts, WebAssembly's result is used when it is surely right: when the value is
// representable, or when MXCSR is in its usual state and nothing but PE can come.

import type { PureOp } from '../../wasm/opcodes.ts'
import type { Value } from '../../wasm/value.ts'
import { define } from '../decode/define.ts'
import type { Emitter, Operand } from '../emit/emitter.ts'
import type { HostInstruction } from '../host-instruction.ts'
import * as C from '../softfloat/sse-convert.ts'
import * as S from '../state.ts'
import { exact, isUsual, runExact } from './float-exact.ts'
import { type FloatBits, FloatLanes } from './float-lanes.ts'
import { fastOrExact, FLOAT_FORMS } from './sse-float.ts'
import {
  constantOf,
  defineMmx,
  enterMmx,
  fromScalar,
  readMmx,
  toScalar,
  writeMmx,
} from './vector-operands.ts'

// Integers to floating point.

const INTEGER_LIMIT = { 32: 1 << 24, 64: 2 ** 53 } as const

/** CVTSI2SS and CVTSI2SD, from a signed integer widened to 64 bits. */
function fromInteger(e: Emitter, bits: FloatBits, src: Operand): Value {
  const { f } = e
  const lanes = new FloatLanes(f, bits, true)
  const value = e.signExtend(e.read(src), src.bits)
  const fast = lanes.asPattern(f.op(`f${bits}.convert_i64_s`, value))
  if (bits === 64 && src.bits === 32) return fast
  const limit = INTEGER_LIMIT[bits]
  const isExact = f.leU(f.add(value, f.i64(limit)), f.i64(2 * limit))
  const run = bits === 32 ? exactIntegerTo32 : exactIntegerTo64
  return fastOrExact(e, lanes, f.or(isUsual(e), isExact), fast, run, value)
}

const exactIntegerTo32 = exact((ctx, words, at) => {
  words[at] = C.intTo32(ctx, words[at + 1] as number, words[at] as number)
})
const exactIntegerTo64 = exact((ctx, words, at) => {
  C.intTo64(ctx, words[at + 1] as number, words[at] as number)
  words[at] = ctx.lo
  words[at + 1] = ctx.hi
})

define('CVTSI2SS', ['F3 0F 2A /r Vss,Ey sse +sse'], (e, dst, src) =>
  e.write(dst, fromInteger(e, 32, src)))
define('CVTSI2SD', ['F2 0F 2A /r Vsd,Ey sse +sse2'], (e, dst, src) =>
  e.write(dst, fromInteger(e, 64, src)))

/** Four signed integers of 32 bits to binary32. */
function singlesOf(e: Emitter, value: Value): Value {
  const { f } = e
  const lanes = new FloatLanes(f, 32, false)
  const limit = constantOf(f, 4, () => INTEGER_LIMIT[32])
  const isLarge = f.op('v128.any_true', f.op('i32x4.gt_u', f.op('i32x4.abs', value), limit))
  const fast = f.op('f32x4.convert_i32x4_s', value)
  return fastOrExact(e, lanes, f.or(isUsual(e), f.eqz(isLarge)), fast, exactIntegersTo32, value)
}

const exactIntegersTo32 = exact((ctx, words, at) => {
  for (let i = at; i < at + 4; i++) {
    const value = words[i] as number
    words[i] = C.intTo32(ctx, value >> 31, value)
  }
})

define('CVTDQ2PS', ['NP 0F 5B /r Vx,Wx sse align +sse2'], (e, dst, src) =>
  e.write(dst, singlesOf(e, e.read(src))))
define('CVTDQ2PD', ['F3 0F E6 /r Vx,Wq sse +sse2'], (e, dst, src) =>
  e.write(dst, e.f.op('f64x2.convert_low_i32x4_s', fromScalar(e.f, e.read(src)))))

// Floating point to integers.

/** Numbers rounded to integers, as WebAssembly has it, and the tests that need them. */
function rounded(e: Emitter, lanes: FloatLanes, value: Value, bits: 32 | 64, truncates: boolean) {
  const integral = lanes.compute(truncates ? 'trunc' : 'nearest', value)
  const isExact = e.f.eqz(lanes.any(lanes.compute('ne', integral, value)))
  const isOutside = lanes.any(lanes.isAtLeast(integral, bits - 1))
  return { integral, isRight: e.f.and(e.f.or(isExact, isUsual(e)), e.f.eqz(isOutside)) }
}

/** The exact conversion of `count` elements to integers of `bits` bits. */
function exactToInteger(
  from: FloatBits,
  bits: 32 | 64,
  count: number,
  truncates: boolean,
): HostInstruction {
  return exact((ctx, words, at) => {
    for (let i = 0; i < count; i++) {
      if (from === 32) C.intFrom32(ctx, words[at + i] as number, bits, truncates)
      else {
        const [lo, hi] = [words[at + 2 * i] as number, words[at + 2 * i + 1] as number]
        C.intFrom64(ctx, hi, lo, bits, truncates)
      }
      words[at + i] = ctx.lo
      if (bits === 64) words[at + 1] = ctx.hi
    }
    if (from === 64 && count === 2) words.fill(0, at + 2, at + 4)
  })
}

for (const [prefix, from, feature, bits] of [
  ['F3', 'SS', 'sse', 32],
  ['F2', 'SD', 'sse2', 64],
] as const) {
  for (const [name, opcode, truncates] of [
    [`CVTT${from}2SI`, '2C', true],
    [`CVT${from}2SI`, '2D', false],
  ] as const) {
    const runs = {
      32: exactToInteger(bits, 32, 1, truncates),
      64: exactToInteger(bits, 64, 1, truncates),
    } as const
    const row = `${prefix} 0F ${opcode} /r Gy,W${from.toLowerCase()} sse +${feature}`
    define(name, [row], (e, dst, src) => {
      const { f } = e
      const lanes = new FloatLanes(f, bits, true)
      const to = dst.bits === 64 ? 64 : 32
      const value = e.read(src)
      const { integral, isRight } = rounded(e, lanes, value, to, truncates)
      const type = to === 64 ? 'i64' : 'i32'
      const fast = () => f.op(`${type}.trunc_sat_f${bits}_s` as PureOp, lanes.asFloat(integral))
      e.write(
        dst,
        f.choose(type, isRight, fast, () => runExact(e, runs[to], type, value), 'likely'),
      )
    })
  }
}

/** Packed numbers to signed integers of 32 bits; those of binary64 fill the lower half. */
function integersOf(e: Emitter, from: FloatBits, value: Value, truncates: boolean): Value {
  const lanes = new FloatLanes(e.f, from, false)
  const { integral, isRight } = rounded(e, lanes, value, 32, truncates)
  const op = from === 32 ? 'i32x4.trunc_sat_f32x4_s' : 'i32x4.trunc_sat_f64x2_s_zero'
  const run = PACKED_TO_INTEGER[from][truncates ? 1 : 0]
  return fastOrExact(e, lanes, isRight, e.f.op(op, integral), run, value)
}

const PACKED_TO_INTEGER = {
  32: [exactToInteger(32, 32, 4, false), exactToInteger(32, 32, 4, true)],
  64: [exactToInteger(64, 32, 2, false), exactToInteger(64, 32, 2, true)],
} as const

for (const [name, row, from, truncates] of [
  ['CVTPS2DQ', '66 0F 5B', 32, false],
  ['CVTTPS2DQ', 'F3 0F 5B', 32, true],
  ['CVTPD2DQ', 'F2 0F E6', 64, false],
  ['CVTTPD2DQ', '66 0F E6', 64, true],
] as const) {
  define(name, [`${row} /r Vx,Wx sse align +sse2`], (e, dst, src) =>
    e.write(dst, integersOf(e, from, e.read(src), truncates)),
  )
}

// MMX registers. Memory as a source does not touch MMX state, and an MMX destination does so
// before the conversion, which may raise #XM (both as processors of AMD do it).

define('CVTPI2PS', ['NP 0F 2A /r Vq,Mq sse +sse'], (e, dst, src) =>
  e.write(dst, toScalar(e.f, singlesOf(e, fromScalar(e.f, e.read(src))), 64)))
defineMmx('CVTPI2PS', ['NP 0F 2A /r Vq,Nq sse mmx +sse'], (e, dst, src) => {
  const value = fromScalar(e.f, e.read(src))
  enterMmx(e)
  e.write(dst, toScalar(e.f, singlesOf(e, value), 64))
})
define('CVTPI2PD', ['66 0F 2A /r Vx,Mq sse +sse2'], (e, dst, src) =>
  e.write(dst, e.f.op('f64x2.convert_low_i32x4_s', fromScalar(e.f, e.read(src)))))
defineMmx('CVTPI2PD', ['66 0F 2A /r Vx,Nq sse mmx +sse2'], (e, dst, src) =>
  e.write(dst, e.f.op('f64x2.convert_low_i32x4_s', readMmx(e, src))),
)

for (const [t, opcode] of [
  ['T', '2C'],
  ['', '2D'],
] as const) {
  for (const [name, row, from] of [
    [`CVT${t}PS2PI`, `NP 0F ${opcode} /r Pq,Wq sse mmx +sse`, 32],
    [`CVT${t}PD2PI`, `66 0F ${opcode} /r Pq,Wx sse align mmx +sse2`, 64],
  ] as const) {
    defineMmx(name, [row], (e, dst, src) => {
      const value = fromScalar(e.f, e.read(src))
      enterMmx(e)
      writeMmx(e, dst, integersOf(e, from, value, t === 'T'))
    })
  }
}

// Between the two formats.

/** The exact widening of `count` numbers. */
const exactWiden = (count: number) =>
  exact((ctx, words, at) => {
    for (let i = count - 1; i >= 0; i--) {
      C.widen32(ctx, words[at + i] as number)
      words[at + 2 * i + 1] = ctx.hi
      words[at + 2 * i] = ctx.lo
    }
  })

/** The exact narrowing of `count` numbers; two leave zeros above them. */
const exactNarrow = (count: number) =>
  exact((ctx, words, at) => {
    for (let i = 0; i < count; i++) {
      words[at + i] = C.narrow64(ctx, words[at + 2 * i + 1] as number, words[at + 2 * i] as number)
    }
    if (count === 2) words.fill(0, at + 2, at + 4)
  })

const WIDEN_ONE = exactWiden(1)
const WIDEN_TWO = exactWiden(2)
const NARROW_ONE = exactNarrow(1)
const NARROW_TWO = exactNarrow(2)

/** i32: widening is exact and raises nothing. */
function widensQuietly(e: Emitter, lanes: FloatLanes, value: Value): Value {
  return e.f.eqz(lanes.any(lanes.either(lanes.isDenormal(value), lanes.isNaN(value))))
}

define('CVTSS2SD', ['F3 0F 5A /r Vsd,Wss sse +sse2'], (e, dst, src) => {
  const from = new FloatLanes(e.f, 32, true)
  const to = new FloatLanes(e.f, 64, true)
  const value = e.read(src)
  const fast = to.asPattern(e.f.op('f64.promote_f32', from.asFloat(value)))
  e.write(dst, fastOrExact(e, to, widensQuietly(e, from, value), fast, WIDEN_ONE, value))
})

define('CVTPS2PD', ['NP 0F 5A /r Vx,Wq sse +sse2'], (e, dst, src) => {
  const from = new FloatLanes(e.f, 32, false)
  const to = new FloatLanes(e.f, 64, false)
  const value = fromScalar(e.f, e.read(src))
  const fast = e.f.op('f64x2.promote_low_f32x4', value)
  e.write(dst, fastOrExact(e, to, widensQuietly(e, from, value), fast, WIDEN_TWO, value))
})

define('CVTSD2SS', ['F2 0F 5A /r Vss,Wsd sse +sse2'], (e, dst, src) => {
  const { f } = e
  const from = new FloatLanes(f, 64, true)
  const to = new FloatLanes(f, 32, true)
  const value = e.read(src)
  const fast = to.asPattern(f.op('f32.demote_f64', from.asFloat(value)))
  const isLost = to.butNot(to.isTiny(fast), from.isZero(value))
  const isDoubtful = f.or(f.or(from.isDenormal(value), to.isSpecial(fast)), isLost)
  e.write(dst, fastOrExact(e, to, f.and(isUsual(e), f.eqz(isDoubtful)), fast, NARROW_ONE, value))
})

const EVEN_WORDS = [0, 1, 2, 3, 8, 9, 10, 11, 0, 1, 2, 3, 8, 9, 10, 11]

define('CVTPD2PS', ['66 0F 5A /r Vx,Wx sse align +sse2'], (e, dst, src) => {
  const { f } = e
  const from = new FloatLanes(f, 64, false)
  const to = new FloatLanes(f, 32, false)
  const value = e.read(src)
  const fast = f.op('f32x4.demote_f64x2_zero', value)
  const isZero = from.isZero(value)
  // Results lie in the lower half; the zeros above them are no results.
  const lost = toScalar(f, to.butNot(to.isTiny(fast), f.shuffle(EVEN_WORDS, isZero, isZero)), 64)
  const isDoubtful = f.or(
    f.or(from.any(from.isDenormal(value)), to.any(to.isSpecial(fast))),
    f.ne(lost, f.i64(0)),
  )
  e.write(dst, fastOrExact(e, to, f.and(isUsual(e), f.eqz(isDoubtful)), fast, NARROW_TWO, value))
})

// Rounding to integers that stay floating-point numbers.

/** Rounding by mode: 0 to nearest, 1 down, 2 up, 3 towards zero. */
function roundBy(e: Emitter, lanes: FloatLanes, mode: Value, value: Value): Value {
  const { f } = e
  const ops = ['nearest', 'floor', 'ceil'] as const
  const from = (n: number): Value => {
    const op = ops[n]
    if (op === undefined) return lanes.compute('trunc', value)
    return f.choose(
      lanes.type,
      f.eq(mode, f.i32(n)),
      () => lanes.compute(op, value),
      () => from(n + 1),
    )
  }
  return from(0)
}

for (const [suffix, opcode] of [
  ['PS', '08'],
  ['PD', '09'],
  ['SS', '0A'],
  ['SD', '0B'],
] as const) {
  const form = FLOAT_FORMS.find((each) => each.suffix === suffix) as (typeof FLOAT_FORMS)[number]
  const { bits, isScalar } = form
  const count = isScalar ? 1 : 128 / bits
  const run = exact((ctx, words, at) => {
    const immediate = words[at + 4] as number
    for (let n = 0; n < count; n++) {
      if (bits === 32) words[at + n] = C.round32(ctx, words[at + n] as number, immediate)
      else {
        C.round64(ctx, words[at + 2 * n + 1] as number, words[at + 2 * n] as number, immediate)
        words[at + 2 * n] = ctx.lo
        words[at + 2 * n + 1] = ctx.hi
      }
    }
  })
  const operands = isScalar
    ? `V${suffix.toLowerCase()},W${suffix.toLowerCase()},Ib sse`
    : 'Vx,Wx,Ib sse align'
  define(
    `ROUND${suffix}`,
    [`66 0F 3A ${opcode} /r ${operands} +sse4_1`],
    (e, dst, src, operand) => {
      const { f } = e
      const lanes = new FloatLanes(f, bits, isScalar)
      const value = e.read(src)
      const immediate = e.read(operand)
      const control = f.and(f.shrU(e.stateLoad('i32.load', S.MXCSR), f.i32(13)), f.i32(3))
      const mode = f.select(f.and(immediate, f.i32(4)), control, f.and(immediate, f.i32(3)))
      const fast = roundBy(e, lanes, mode, value)
      // Bit 3 asks for no PE.
      const isSilent = f.ne(f.and(immediate, f.i32(8)), f.i32(0))
      const isExact = f.eqz(lanes.any(lanes.compute('ne', fast, value)))
      const mayRound = f.or(f.or(isSilent, isExact), isUsual(e))
      const isRight = f.and(mayRound, widensQuietly(e, lanes, value))
      e.write(dst, fastOrExact(e, lanes, isRight, fast, run, value, immediate))
    },
  )
}
