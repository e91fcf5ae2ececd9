// x87 arithmetic in emitted code, for what programs mostly compute: operands that are zero or
// normal, a normal result, rounding to nearest, in any precision, with PE masked. What is left
// over (`isRight` is 0 then) goes through softfloat. (SDM vol. 1, 4.8.4 and 8.1.5.)
//
// A result is first a significand of 128 bits, hi:lo with the top bit of hi set; bits that are
// shifted out below count as a sticky 1 in the last of lo, which is all that rounding asks.
// bench/x87.ts: 17 to 40 ns an instruction where softfloat takes 100 to 250.

import type { Local, Value } from '../../wasm/value.ts'
import type { Emitter } from '../emit/emitter.ts'
import { PE } from '../softfloat/context.ts'
import * as S from '../state.ts'
import * as X from '../system/x87-words.ts'
import { digit } from './wide-division.ts'
import { BIAS, type Extended, INTEGER_BIT } from './x87-formats.ts'

export type FastOperation = 'add' | 'sub' | 'mul' | 'div'

const GREATEST_EXPONENT = 0x7ffe
/** Precision control 24 and 53 bits; the other two values are 64. */
const PRECISION_24 = 0
const PRECISION_53 = 0x200

/** i32 values, valid after {@link compute}. */
interface Computed extends Extended {
  readonly isRight: Value
  /** PE and C1 as they are to be set. */
  readonly flags: Value
}

function exponentOf(e: Emitter, x: Extended): Value {
  return e.f.and(x.signExponent, e.f.i32(0x7fff))
}

/** i32: a number with its integer bit set, neither denormal nor infinite nor a NaN. */
function isNormal(e: Emitter, x: Extended): Value {
  const { f } = e
  const isInside = f.ltU(f.sub(exponentOf(e, x), f.i32(1)), f.i32(GREATEST_EXPONENT))
  return f.and(isInside, f.ltS(x.significand, f.i64(0)))
}

function isZero(e: Emitter, x: Extended): Value {
  const { f } = e
  return f.eqz(f.or(x.significand, f.extendU(exponentOf(e, x))))
}

/** i32: normal or zero. */
export function isPlain(e: Emitter, x: Extended): Value {
  return e.f.or(isNormal(e, x), isZero(e, x))
}

/** Where an operation leaves its result before rounding. */
interface Wide {
  readonly hi: Local
  readonly lo: Local
  readonly exponent: Local
}

/** Computes a op b if it can. */
export function compute(e: Emitter, operation: FastOperation, a: Extended, b: Extended): Computed {
  const { f } = e
  const significand = f.local('i64')
  const signExponent = f.local('i32')
  const isRight = f.local('i32')
  const flags = f.local('i32')
  const wide = { hi: f.local('i64'), lo: f.local('i64'), exponent: f.local('i32') }
  const control = e.stateLoad('i32.load', S.FCW)
  const isUsual = f.eq(f.and(control, f.i32(X.ROUNDING | PE)), f.i32(PE))
  const second = operation === 'div' ? isNormal(e, b) : isPlain(e, b)
  f.set(isRight, f.i32(0))
  f.if(
    f.and(f.and(isUsual, isPlain(e, a)), second),
    () => {
      const sign = OPERATIONS[operation](e, a, b, wide)
      const { mantissa, exponent, isInexact, isUp } = round(e, wide, control)
      // A sum of zero, and products and quotients of zero, have a significand of zero.
      const isNothing = f.eqz(f.get(wide.hi))
      const isInRange = f.ltU(f.sub(exponent, f.i32(1)), f.i32(GREATEST_EXPONENT))
      f.set(isRight, f.or(isInRange, isNothing))
      f.set(significand, f.select(isNothing, f.i64(0), mantissa))
      f.set(signExponent, f.or(sign, f.select(isNothing, f.i32(0), exponent)))
      const raised = f.or(f.mul(isInexact, f.i32(PE)), f.mul(isUp, f.i32(X.C1)))
      f.set(flags, f.select(isNothing, f.i32(0), raised))
    },
    undefined,
    'likely',
  )
  return {
    isRight: f.get(isRight),
    significand: f.get(significand),
    signExponent: f.get(signExponent),
    flags: f.get(flags),
  }
}

/** Rounds to nearest in the precision of the control word. */
function round(e: Emitter, wide: Wide, control: Value) {
  const { f } = e
  const hi = f.get(wide.hi)
  const lo = f.get(wide.lo)
  const precision = f.and(control, f.i32(X.PRECISION))
  const narrow = f.select(f.eq(precision, f.i32(PRECISION_53)), f.i64(11), f.i64(0))
  const dropped = f.select(f.eq(precision, f.i32(PRECISION_24)), f.i64(40), narrow)
  // What is dropped, at the top of 64 bits.
  const isWhole = f.eqz(dropped)
  const cut = f.or(f.shl(hi, f.sub(f.i64(0), dropped)), f.extendU(f.ne(lo, f.i64(0))))
  const rest = f.select(isWhole, lo, cut)
  const kept = f.shrU(hi, dropped)
  const half = f.i64(INTEGER_BIT)
  const isOdd = f.and(f.wrap(kept), f.i32(1))
  const isUp = f.or(f.gtU(rest, half), f.and(f.eq(rest, half), isOdd))
  const rounded = f.shl(f.add(kept, f.extendU(isUp)), dropped)
  // All ones rounded up: the carry makes it the next power of two.
  const isCarried = f.eqz(rounded)
  return {
    mantissa: f.select(isCarried, f.i64(INTEGER_BIT), rounded),
    exponent: f.add(f.get(wide.exponent), isCarried),
    isInexact: f.ne(rest, f.i64(0)),
    isUp,
  }
}

/** Leaves a significand in `wide` and gives the sign, in bit 15. Zero: `hi` is 0. */
type Operate = (e: Emitter, a: Extended, b: Extended, wide: Wide) => Value

function signOf(e: Emitter, signExponent: Value): Value {
  return e.f.and(signExponent, e.f.i32(0x8000))
}

const add: Operate = (e, a, b, wide) => {
  const { f } = e
  const [ea, eb] = [exponentOf(e, a), exponentOf(e, b)]
  const isSmaller = f.and(f.eq(ea, eb), f.ltU(a.significand, b.significand))
  const isSwapped = f.or(f.ltU(ea, eb), isSmaller)
  const big = f.select(isSwapped, b.significand, a.significand)
  const small = f.select(isSwapped, a.significand, b.significand)
  const exponent = f.select(isSwapped, eb, ea)
  const distance = f.sub(exponent, f.select(isSwapped, ea, eb))
  const shift = f.extendU(distance)
  const isNear = f.ltU(distance, f.i32(64))
  const hi = f.select(isNear, f.shrU(small, shift), f.i64(0))
  const near = f.select(f.eqz(distance), f.i64(0), f.shl(small, f.sub(f.i64(0), shift)))
  // Further away than 66 places it is the same whether it is there or nearer still.
  const far = f.select(f.gtU(distance, f.i32(65)), f.i64(2), f.extendU(f.eq(distance, f.i32(65))))
  const sticky = f.ne(f.and(small, f.sub(f.shl(f.i64(1), far), f.i64(1))), f.i64(0))
  const lo = f.select(isNear, near, f.or(f.shrU(small, far), f.extendU(sticky)))
  const isDifference = f.and(f.xor(a.signExponent, b.signExponent), f.i32(0x8000))
  f.if(
    isDifference,
    () => {
      const low = f.sub(f.i64(0), lo)
      const high = f.sub(f.sub(big, hi), f.extendU(f.ne(lo, f.i64(0))))
      // Cancelled down to below one unit: then only `low` is left.
      const isBelow = f.eqz(high)
      const top = f.select(isBelow, low, high)
      const rest = f.select(isBelow, f.i64(0), low)
      const places = f.clz(top)
      const carried = f.shrU(f.shrU(rest, f.i64(1)), f.sub(f.i64(63), places))
      f.set(wide.hi, f.or(f.shl(top, places), carried))
      f.set(wide.lo, f.shl(rest, places))
      const lost = f.add(f.wrap(places), f.shl(isBelow, f.i32(6)))
      f.set(wide.exponent, f.sub(exponent, lost))
    },
    () => {
      const sum = f.add(big, hi)
      const isCarried = f.ltU(sum, big)
      const halved = f.or(f.shrU(sum, f.i64(1)), f.i64(INTEGER_BIT))
      const shifted = f.or(f.shrU(lo, f.i64(1)), f.and(lo, f.i64(1)))
      f.set(wide.hi, f.select(isCarried, halved, sum))
      f.set(wide.lo, f.select(isCarried, f.or(shifted, f.shl(sum, f.i64(63))), lo))
      f.set(wide.exponent, f.add(exponent, isCarried))
    },
  )
  const sign = signOf(e, f.select(isSwapped, b.signExponent, a.signExponent))
  // Numbers that cancel give +0; zeros of one sign keep it.
  const isCancelled = f.and(f.eqz(f.get(wide.hi)), f.ne(isDifference, f.i32(0)))
  return f.select(isCancelled, f.i32(0), sign)
}

const sub: Operate = (e, a, b, wide) =>
  add(e, a, { ...b, signExponent: e.f.xor(b.signExponent, e.f.i32(0x8000)) }, wide)

function signOfProduct(e: Emitter, a: Extended, b: Extended): Value {
  return signOf(e, e.f.xor(a.signExponent, b.signExponent))
}

const mul: Operate = (e, a, b, wide) => {
  const { f } = e
  const low = (value: Value) => f.and(value, f.i64(0xffffffffn))
  const high = (value: Value) => f.shrU(value, f.i64(32))
  const [al, ah] = [low(a.significand), high(a.significand)]
  const [bl, bh] = [low(b.significand), high(b.significand)]
  const [ll, lh, hl] = [f.mul(al, bl), f.mul(al, bh), f.mul(ah, bl)]
  const middle = f.add(f.add(high(ll), low(lh)), low(hl))
  const hi = f.add(f.add(f.mul(ah, bh), high(lh)), f.add(high(hl), high(middle)))
  const lo = f.or(f.shl(middle, f.i64(32)), low(ll))
  const isTwo = f.ltS(hi, f.i64(0))
  const doubled = f.or(f.shl(hi, f.i64(1)), f.shrU(lo, f.i64(63)))
  f.set(wide.hi, f.select(isTwo, hi, doubled))
  f.set(wide.lo, f.select(isTwo, lo, f.shl(lo, f.i64(1))))
  const sum = f.add(exponentOf(e, a), exponentOf(e, b))
  f.set(wide.exponent, f.add(f.sub(sum, f.i32(BIAS)), isTwo))
  return signOfProduct(e, a, b)
}

const div: Operate = (e, a, b, wide) => {
  const { f } = e
  const isOne = f.geU(a.significand, b.significand)
  const dividend = f.select(isOne, f.shrU(a.significand, f.i64(1)), a.significand)
  const next = f.select(isOne, f.shl(a.significand, f.i64(63)), f.i64(0))
  const first = digit(e, dividend, f.shrU(next, f.i64(32)), b.significand)
  const second = digit(e, first.rest, f.and(next, f.i64(0xffffffffn)), b.significand)
  f.set(wide.hi, f.add(f.shl(first.digit, f.i64(32)), second.digit))
  // The rest compared with half the divisor.
  const { rest } = second
  const isHalfOrMore = f.or(f.ltS(rest, f.i64(0)), f.geU(f.shl(rest, f.i64(1)), b.significand))
  const isHalf = f.and(f.geS(rest, f.i64(0)), f.eq(f.shl(rest, f.i64(1)), b.significand))
  const sticky = f.and(f.ne(rest, f.i64(0)), f.eqz(isHalf))
  const top = f.shl(f.extendU(isHalfOrMore), f.i64(63))
  f.set(wide.lo, f.or(top, f.extendU(sticky)))
  const difference = f.sub(exponentOf(e, a), exponentOf(e, b))
  f.set(wide.exponent, f.add(f.add(difference, f.i32(BIAS - 1)), isOne))
  return signOfProduct(e, a, b)
}

const OPERATIONS: Readonly<Record<FastOperation, Operate>> = { add, sub, mul, div }

/** Order of two plain numbers: the bits CF, PF and ZF as FCOMI sets them; never unordered. */
export function orderOf(e: Emitter, a: Extended, b: Extended): Value {
  const { f } = e
  const [ea, eb] = [exponentOf(e, a), exponentOf(e, b)]
  const isSame = f.and(f.eq(ea, eb), f.eq(a.significand, b.significand))
  const isShorter = f.or(f.ltU(ea, eb), f.and(f.eq(ea, eb), f.ltU(a.significand, b.significand)))
  const isNegative = f.shrU(signOf(e, a.signExponent), f.i32(15))
  const isOpposed = f.and(f.xor(a.signExponent, b.signExponent), f.i32(0x8000))
  const isLess = f.select(isOpposed, isNegative, f.xor(isShorter, isNegative))
  const isBothZero = f.and(isZero(e, a), isZero(e, b))
  const isEqual = f.or(isBothZero, f.and(isSame, f.eqz(isOpposed)))
  return f.select(isEqual, f.i32(0x40), isLess)
}
