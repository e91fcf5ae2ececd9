// Multiplication and division. (SDM vol. 2: DIV IDIV IMUL MUL; BCD adjustments: bcd.ts.)

import type { Value } from '../../wasm/value.ts'
import { define } from '../decode/define.ts'
import { DE, type Emitter, type Operand } from '../emit/emitter.ts'
import * as S from '../state.ts'
import { type Division, divideWide } from './wide-division.ts'

/** The upper 64 bits of a product of two unsigned 64-bit values, by 32-bit halves. */
export function highProduct(e: Emitter, a: Value, b: Value): Value {
  const { f } = e
  const low = (v: Value) => f.and(v, f.i64(0xffffffffn))
  const high = (v: Value) => f.shrU(v, f.i64(32))
  const [al, ah, bl, bh] = [low(a), high(a), low(b), high(b)]
  const cross = f.add(f.mul(ah, bl), high(f.mul(al, bl)))
  const middle = f.add(f.mul(al, bh), low(cross))
  return f.add(f.add(f.mul(ah, bh), high(cross)), high(middle))
}

/** The upper 64 bits of a signed product. */
function highProductSigned(e: Emitter, a: Value, b: Value): Value {
  const { f } = e
  const correction = f.add(f.and(f.shrS(a, f.i64(63)), b), f.and(f.shrS(b, f.i64(63)), a))
  return f.sub(highProduct(e, a, b), correction)
}

interface Product {
  readonly low: Value
  readonly high: Value
  /** i32: the product does not fit into the low half. */
  readonly overflows: Value
}

/** A full product of two operands of `bits` bits. */
function product(e: Emitter, a: Value, b: Value, bits: number, isSigned: boolean): Product {
  const { f } = e
  if (bits === 64) {
    const low = f.mul(a, b)
    const high = isSigned ? highProductSigned(e, a, b) : highProduct(e, a, b)
    const expected = isSigned ? f.shrS(low, f.i64(63)) : f.i64(0)
    return { low, high, overflows: f.ne(high, expected) }
  }
  const widen = (v: Value) => (isSigned ? e.signExtend(v, bits) : f.extendU(v))
  const full = f.mul(widen(a), widen(b))
  const low = f.wrap(full)
  const back = isSigned ? e.signExtend(low, bits) : f.extendU(e.zeroExtend(low, bits))
  return { low, high: f.wrap(f.shrU(full, f.i64(bits))), overflows: f.ne(back, full) }
}

/** rDX:rAX (AX for bytes) := the product. */
function multiply(e: Emitter, src: Operand, isSigned: boolean): void {
  const { f } = e
  const bits = src.bits as 8 | 16 | 32 | 64
  const { low, high, overflows } = product(
    e,
    e.read(e.gpr(S.RAX, bits)),
    e.read(src),
    bits,
    isSigned,
  )
  if (bits === 8) {
    const both = f.or(e.zeroExtend(low, 8), f.shl(high, f.i32(8)))
    e.write(e.gpr(S.RAX, 16), both)
  } else {
    e.write(e.gpr(S.RAX, bits), low)
    e.write(e.gpr(S.RDX, bits), high)
  }
  e.flags.resultWith(bits, low, overflows, overflows)
}

define('MUL', ['F6 /4 Eb', 'F7 /4 Ev'], (e, src) => multiply(e, src, false))
define('IMUL', ['F6 /5 Eb', 'F7 /5 Ev'], (e, src) => multiply(e, src, true))

define('IMUL', ['0F AF /r Gv,Ev'], (e, dst, src) => multiplyInto(e, dst, dst, src))
define('IMUL', ['69 /r Gv,Ev,Iz', '6B /r Gv,Ev,Ib'], (e, dst, a, b) => multiplyInto(e, dst, a, b))

function multiplyInto(e: Emitter, dst: Operand, a: Operand, b: Operand): void {
  const { low, overflows } = product(e, e.read(a), e.read(b, dst.bits), dst.bits, true)
  e.write(dst, low)
  e.flags.resultWith(dst.bits, low, overflows, overflows)
}

/** A division of i64 that does not trap. */
function divideNumbers(e: Emitter, dividend: Value, divisor: Value, isSigned: boolean): Division {
  const { f } = e
  const quotient = isSigned ? f.divS(dividend, divisor) : f.divU(dividend, divisor)
  // Not i64.rem: that would be a second division.
  return { quotient, remainder: f.sub(dividend, f.mul(quotient, divisor)) }
}

/** DIV and IDIV of 8, 16 and 32 bits: a 64-bit division does it. */
function divideNarrow(e: Emitter, src: Operand, isSigned: boolean): void {
  const { f } = e
  const bits = src.bits as 8 | 16 | 32
  const divisor = e.read(src)
  e.raiseIf(f.eqz(divisor), DE)
  const wideDivisor = isSigned ? e.signExtend(divisor, bits) : f.extendU(divisor)
  const dividend = dividendOf(e, bits, isSigned)
  // The one quotient that a 64-bit division itself cannot hold.
  if (isSigned && bits === 32) {
    const worst = f.and(f.eq(dividend, f.i64(-(1n << 63n))), f.eq(divisor, f.i32(-1)))
    e.raiseIf(worst, DE)
  }
  const { quotient, remainder } = divideNumbers(e, dividend, wideDivisor, isSigned)
  const back = isSigned
    ? e.signExtend(f.wrap(quotient), bits)
    : f.extendU(e.zeroExtend(f.wrap(quotient), bits))
  e.raiseIf(f.ne(back, quotient), DE)
  if (bits === 8) {
    const both = f.or(e.zeroExtend(f.wrap(quotient), 8), f.shl(f.wrap(remainder), f.i32(8)))
    e.write(e.gpr(S.RAX, 16), both)
  } else {
    e.write(e.gpr(S.RAX, bits), f.wrap(quotient))
    e.write(e.gpr(S.RDX, bits), f.wrap(remainder))
  }
}

/** AX, DX:AX or EDX:EAX as an i64. */
function dividendOf(e: Emitter, bits: 8 | 16 | 32, isSigned: boolean): Value {
  const { f } = e
  if (bits === 8) {
    const ax = e.read(e.gpr(S.RAX, 16))
    return isSigned ? e.signExtend(ax, 16) : f.extendU(ax)
  }
  const low = f.extendU(e.read(e.gpr(S.RAX, bits)))
  const high = e.read(e.gpr(S.RDX, bits))
  const top = isSigned ? e.signExtend(high, bits) : f.extendU(high)
  return f.or(f.shl(top, f.i64(bits)), low)
}

/** 128 by 64 bits. The upper half of the dividend mostly just extends the lower. */
function divide64(e: Emitter, src: Operand, isSigned: boolean): void {
  const { f } = e
  const divisor = e.read(src)
  const low = e.read(e.gpr(S.RAX, 64))
  const high = e.read(e.gpr(S.RDX, 64))
  const quotient = f.local('i64')
  const remainder = f.local('i64')
  const settle = (found: Division) => {
    f.set(quotient, found.quotient)
    f.set(remainder, found.remainder)
  }
  // Not below the divisor: the quotient takes more than 64 bits, or the divisor is 0.
  e.raiseIf(isSigned ? f.eqz(divisor) : f.geU(high, divisor), DE)
  // A division of the least number by -1 would trap.
  const isNarrow = isSigned
    ? f.and(f.eq(high, f.shrS(low, f.i64(63))), f.ne(divisor, f.i64(-1)))
    : f.eqz(high)
  f.if(
    isNarrow,
    () => settle(divideNumbers(e, low, divisor, isSigned)),
    () =>
      settle(
        isSigned ? divideWideSigned(e, high, low, divisor) : divideWide(e, high, low, divisor),
      ),
    'likely',
  )
  e.write(e.gpr(S.RAX, 64), f.get(quotient))
  e.write(e.gpr(S.RDX, 64), f.get(remainder))
}

/** As divideWide on signed values, cut towards zero. Raises #DE if the quotient does not fit. */
function divideWideSigned(e: Emitter, high: Value, low: Value, divisor: Value): Division {
  const { f } = e
  const signOf = (value: Value) => f.shrS(value, f.i64(63))
  /** Negates where the sign is -1. */
  const withSign = (value: Value, sign: Value) => f.sub(f.xor(value, sign), sign)
  const [sign, signOfDivisor] = [signOf(high), signOf(divisor)]
  const carry = f.and(f.extendU(f.eqz(low)), f.neg(sign))
  const magnitude = f.add(f.xor(high, sign), carry)
  const by = withSign(divisor, signOfDivisor)
  e.raiseIf(f.geU(magnitude, by), DE)
  const { quotient, remainder } = divideWide(e, magnitude, withSign(low, sign), by)
  const signOfQuotient = f.xor(sign, signOfDivisor)
  const greatest = f.sub(f.i64((1n << 63n) - 1n), signOfQuotient)
  e.raiseIf(f.gtU(quotient, greatest), DE)
  return {
    quotient: withSign(quotient, signOfQuotient),
    remainder: withSign(remainder, sign),
  }
}

define('DIV', ['F6 /6 Eb', 'F7 /6 Ev'], (e, src) =>
  src.bits === 64 ? divide64(e, src, false) : divideNarrow(e, src, false))
define('IDIV', ['F6 /7 Eb', 'F7 /7 Ev'], (e, src) =>
  src.bits === 64 ? divide64(e, src, true) : divideNarrow(e, src, true))
