// Floating-point arithmetic on XMM registers: ADD, SUB, MUL, DIV, SQRT, MIN, MAX and CMP in their
// PS, PD, SS and SD forms, COMIS*, UCOMIS*. (SDM vol. 2 and vol. 1, 11.4-11.5.)
//
// WebAssembly computes to nearest and knows neither flags nor x86's NaNs. Its result is used when
// it is surely the processor's, flags included; all else goes through float-exact.ts.

import type { Value } from '../../wasm/value.ts'
import { define } from '../decode/define.ts'
import type { Emitter, Operand } from '../emit/emitter.ts'
import type { HostInstruction } from '../host-instruction.ts'
import * as A from '../softfloat/sse-arithmetic.ts'
import * as C from '../softfloat/sse-compare.ts'
import {
  type Element32,
  type Element64,
  exact,
  exact32,
  exact64,
  isUsualOr,
  runExact,
} from './float-exact.ts'
import { isExact, isExactRoot } from './float-exactness.ts'
import { type FloatBits, FloatLanes } from './float-lanes.ts'

/** The four forms: suffix, mandatory prefix, feature, element, and is it one element. */
export const FLOAT_FORMS = [
  { suffix: 'PS', prefix: 'NP', feature: 'sse', bits: 32, isScalar: false },
  { suffix: 'PD', prefix: '66', feature: 'sse2', bits: 64, isScalar: false },
  { suffix: 'SS', prefix: 'F3', feature: 'sse', bits: 32, isScalar: true },
  { suffix: 'SD', prefix: 'F2', feature: 'sse2', bits: 64, isScalar: true },
] as const

type Form = (typeof FLOAT_FORMS)[number]

/** A row for operands of a form. */
function rowOf({ prefix, feature, suffix, isScalar }: Form, opcode: string, more = ''): string {
  const operands = isScalar ? `V${suffix.toLowerCase()},W${suffix.toLowerCase()}` : 'Vx,Wx'
  return `${prefix} 0F ${opcode} /r ${operands}${more} sse${isScalar ? '' : ' align'} +${feature}`
}

/** The exact instruction for all elements of a form. */
function exactOf(form: Form, on32: Element32, on64: Element64): HostInstruction {
  const count = form.isScalar ? 1 : 128 / form.bits
  return form.bits === 32 ? exact32(on32, count) : exact64(on64, count)
}

/** `fast` if it is right (an i32 says), else what the exact instruction gives. */
export function fastOrExact(
  e: Emitter,
  lanes: FloatLanes,
  isRight: Value,
  fast: Value,
  run: HostInstruction,
  ...operands: Value[]
): Value {
  const slow = () => runExact(e, run, lanes.type, ...operands)
  return e.f.choose(lanes.type, isRight, () => fast, slow, 'likely')
}

// Arithmetic.

/**
 * Elements whose result may come with flags other than PE. Denormal operands set DE. Sums cannot
 * be inexact and tiny at once; products and quotients can, unless they are zero because an
 * operand is. Infinite and NaN operands show in the result.
 */
const DOUBTS = {
  sum: (l: FloatLanes, a: Value, b: Value, r: Value) =>
    l.either(l.isDenormal(a), l.isDenormal(b), l.isSpecial(r)),
  product: (l: FloatLanes, a: Value, b: Value, r: Value) =>
    l.either(DOUBTS.sum(l, a, b, r), l.butNot(l.isTiny(r), l.either(l.isZero(a), l.isZero(b)))),
  quotient: (l: FloatLanes, a: Value, b: Value, r: Value) =>
    l.either(DOUBTS.sum(l, a, b, r), l.butNot(l.isTiny(r), l.isZero(a))),
} as const

/** a op b to nearest, exact flags included. */
export function arithmetic(
  e: Emitter,
  lanes: FloatLanes,
  op: 'add' | 'sub' | 'mul' | 'div',
  run: HostInstruction,
  a: Value,
  b: Value,
): Value {
  const kind = op === 'mul' ? 'product' : op === 'div' ? 'quotient' : 'sum'
  const fast = lanes.compute(op, a, b)
  const isDoubtful = lanes.any(DOUBTS[kind](lanes, a, b, fast))
  const isQuiet = isUsualOr(e, () => isExact(lanes, op, a, b, fast))
  return fastOrExact(e, lanes, e.f.and(isQuiet, e.f.eqz(isDoubtful)), fast, run, a, b)
}

for (const form of FLOAT_FORMS) {
  const lanesOf = (e: Emitter) => new FloatLanes(e.f, form.bits, form.isScalar)
  for (const [name, opcode, op, on32, on64] of [
    ['ADD', '58', 'add', A.add32, A.add64],
    ['MUL', '59', 'mul', A.mul32, A.mul64],
    ['SUB', '5C', 'sub', A.sub32, A.sub64],
    ['DIV', '5E', 'div', A.div32, A.div64],
  ] as const) {
    const run = exactOf(form, on32, on64)
    define(name + form.suffix, [rowOf(form, opcode)], (e, dst, src) => {
      const b = e.read(src)
      e.write(dst, arithmetic(e, lanesOf(e), op, run, e.read(dst), b))
    })
  }

  const root = exactOf(form, A.sqrt32, A.sqrt64)
  define(`SQRT${form.suffix}`, [rowOf(form, '51')], (e, dst, src) => {
    const lanes = lanesOf(e)
    const a = e.read(src)
    const fast = lanes.compute('sqrt', a)
    const isDoubtful = lanes.any(lanes.either(lanes.isDenormal(a), lanes.isSpecial(fast)))
    const isQuiet = isUsualOr(e, () => isExactRoot(lanes, a, fast))
    const isRight = e.f.and(isQuiet, e.f.eqz(isDoubtful))
    e.write(dst, fastOrExact(e, lanes, isRight, fast, root, a))
  })

  for (const [name, opcode, sign] of [
    ['MIN', '5D', 0],
    ['MAX', '5F', 1],
  ] as const) {
    const run = exactOf(
      form,
      (ctx, a, b) => C.select32(ctx, a, b, sign),
      (ctx, aHi, aLo, bHi, bLo) => C.select64(ctx, aHi, aLo, bHi, bLo, sign),
    )
    define(name + form.suffix, [rowOf(form, opcode)], (e, dst, src) => {
      const lanes = lanesOf(e)
      const b = e.read(src)
      const a = e.read(dst)
      e.write(
        dst,
        fastOrExact(e, lanes, isOrdinary(e, lanes, a, b), lesser(lanes, sign, a, b), run, a, b),
      )
    })
  }
}

/** i32: no element is denormal or NaN, so that comparing raises nothing. */
function isOrdinary(e: Emitter, lanes: FloatLanes, ...values: Value[]): Value {
  const doubts = values.flatMap((value) => [lanes.isDenormal(value), lanes.isNaN(value)])
  return e.f.eqz(lanes.any(lanes.either(...doubts)))
}

/** The lesser of a and b (`sign` 0) or the greater; b if they are equal. */
function lesser(lanes: FloatLanes, sign: 0 | 1, a: Value, b: Value): Value {
  const { f } = lanes
  if (lanes.isScalar) return f.select(lanes.compute(sign === 0 ? 'lt' : 'gt', a, b), a, b)
  return lanes.compute(sign === 0 ? 'pmin' : 'pmax', b, a)
}

// Comparisons.

/** CMPPS and its like: all bits of an element where the predicate (bits 2:0) holds. */
function compare(e: Emitter, lanes: FloatLanes, a: Value, b: Value, predicate: Value): Value {
  const { f } = e
  // 0 equal, 1 less, 2 less or equal, 3 unordered; bit 2 inverts.
  const kind = f.and(predicate, f.i32(3))
  const wanted = (kinds: number) => f.neg(f.and(f.shrU(f.i32(kinds), kind), f.i32(1)))
  const inverted = f.neg(f.and(f.shrU(predicate, f.i32(2)), f.i32(1)))
  const isEqual = lanes.compute('eq', a, b)
  const isLess = lanes.compute('lt', a, b)
  if (lanes.isScalar) {
    const holds = f.or(f.and(isEqual, wanted(0b0101)), f.and(isLess, wanted(0b0110)))
    const mask = f.xor(f.neg(holds), inverted)
    return lanes.bits === 32 ? mask : f.extendS(mask)
  }
  const all = (mask: Value) => f.op('i32x4.splat', mask)
  const holds = f.op(
    'v128.or',
    f.op('v128.and', isEqual, all(wanted(0b0101))),
    f.op('v128.and', isLess, all(wanted(0b0110))),
  )
  return f.op('v128.xor', holds, all(inverted))
}

/** The exact comparison; the predicate is the third operand. */
function exactCompare(form: Form): HostInstruction {
  const step = form.bits / 32
  const words = form.isScalar ? step : 4
  return exact((ctx, memory, at) => {
    const predicate = (memory[at + 8] as number) & 7
    for (let i = at; i < at + words; i += step) {
      const [a, b] = [memory[i] as number, memory[i + 4] as number]
      const holds =
        step === 1
          ? C.predicate32(ctx, a, b, predicate)
          : C.predicate64(ctx, memory[i + 1] as number, a, memory[i + 5] as number, b, predicate)
      memory.fill(holds ? -1 : 0, i, i + step)
    }
  })
}

for (const form of FLOAT_FORMS) {
  const run = exactCompare(form)
  define(`CMP${form.suffix}`, [rowOf(form, 'C2', ',Ib')], (e, dst, src, operand) => {
    const lanes = new FloatLanes(e.f, form.bits, form.isScalar)
    const b = e.read(src)
    const a = e.read(dst)
    const predicate = e.read(operand)
    const fast = compare(e, lanes, a, b, predicate)
    e.write(dst, fastOrExact(e, lanes, isOrdinary(e, lanes, a, b), fast, run, a, b, predicate))
  })
}

/** COMISS and its like: ZF, PF and CF from the comparison, the other flags cleared. */
function compareToFlags(
  e: Emitter,
  bits: FloatBits,
  run: HostInstruction,
  dst: Operand,
  src: Operand,
) {
  const { f } = e
  const lanes = new FloatLanes(f, bits, true)
  const b = e.read(src)
  const a = e.read(dst)
  const ordered = () => f.or(f.shl(lanes.compute('eq', a, b), f.i32(6)), lanes.compute('lt', a, b))
  const image = f.choose(
    'i32',
    isOrdinary(e, lanes, a, b),
    ordered,
    () => runExact(e, run, 'i32', a, b),
    'likely',
  )
  const bit = (n: number) => f.and(f.shrU(image, f.i32(n)), f.i32(1))
  const no = f.i32(0)
  e.flags.assign({ cf: bit(0), pf: bit(2), zf: bit(6), af: no, sf: no, of: no })
}

for (const [prefix, suffix, feature, bits] of [
  ['NP', 'ss', 'sse', 32],
  ['66', 'sd', 'sse2', 64],
] as const) {
  for (const [name, opcode, isSignalling] of [
    ['UCOMI', '2E', false],
    ['COMI', '2F', true],
  ] as const) {
    const row = `${prefix} 0F ${opcode} /r V${suffix},W${suffix} sse +${feature}`
    const run = exact((ctx, words, at) => {
      const [a, b] = [words[at] as number, words[at + 4] as number]
      words[at] =
        bits === 32
          ? C.compare32(ctx, a, b, isSignalling)
          : C.compare64(ctx, words[at + 1] as number, a, words[at + 5] as number, b, isSignalling)
    })
    define(name + suffix.toUpperCase(), [row], (e, dst, src) =>
      compareToFlags(e, bits, run, dst, src),
    )
  }
}
