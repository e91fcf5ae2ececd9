// Floating point that stays floating point: between binary32 and binary64 (CVTPD2PS CVTPS2PD
// CVTSD2SS CVTSS2SD), and rounded to integers (ROUND*). (SDM vol. 2.) When WebAssembly's result is
// used, and when not, is as in sse-float.ts.

import type { Value } from '../../wasm/value.ts'
import { define } from '../decode/define.ts'
import type { Emitter } from '../emit/emitter.ts'
import * as C from '../softfloat/sse-convert.ts'
import * as S from '../state.ts'
import { exact, isUsual, isUsualOr } from './float-exact.ts'
import { FloatLanes } from './float-lanes.ts'
import { fastOrExact, FLOAT_FORMS } from './sse-float.ts'
import { fromScalar, toScalar } from './vector-operands.ts'

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
  const isQuiet = isUsualOr(e, () =>
    f.op('f64.eq', f.op('f64.promote_f32', to.asFloat(fast)), from.asFloat(value)),
  )
  e.write(dst, fastOrExact(e, to, f.and(isQuiet, f.eqz(isDoubtful)), fast, NARROW_ONE, value))
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
  const isQuiet = isUsualOr(e, () =>
    f.eqz(from.any(from.compute('ne', f.op('f64x2.promote_low_f32x4', fast), value))),
  )
  e.write(dst, fastOrExact(e, to, f.and(isQuiet, f.eqz(isDoubtful)), fast, NARROW_TWO, value))
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
