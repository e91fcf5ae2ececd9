// Conversions between floating-point numbers and integers in XMM, MMX and general registers.
// (SDM vol. 2: CVT*DQ CVTDQ* CVT*PI CVTPI* CVT*SI CVTSI* and CVTT*; what no integer can hold gives
// the integer indefinite: vol. 1, 4.9.1.1.)
//
// As in sse-float.ts, WebAssembly's result is used when it is surely right: when the value is
// representable, or when MXCSR is in its usual state and nothing but PE can come.

import type { PureOp } from '../../wasm/opcodes.ts'
import type { Value } from '../../wasm/value.ts'
import { define } from '../decode/define.ts'
import type { Emitter, Operand } from '../emit/emitter.ts'
import type { HostInstruction } from '../host-instruction.ts'
import * as C from '../softfloat/sse-convert.ts'
import { exact, isUsual, runExact } from './float-exact.ts'
import { type FloatBits, FloatLanes } from './float-lanes.ts'
import { fastOrExact } from './sse-float.ts'
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
