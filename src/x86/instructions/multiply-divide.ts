// Multiplication and division. (SDM vol. 2: DIV IDIV IMUL MUL; BCD adjustments: bcd.ts.)

import type { Value } from '../../wasm/value.ts'
import { define } from '../decode/define.ts'
import { DE, type Emitter, type Operand } from '../emit/emitter.ts'
import type { Cpu } from '../cpu.ts'
import { GuestFault } from '../guest-fault.ts'
import * as S from '../state.ts'

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
  const quotient = isSigned ? f.divS(dividend, wideDivisor) : f.divU(dividend, wideDivisor)
  const remainder = isSigned ? f.remS(dividend, wideDivisor) : f.remU(dividend, wideDivisor)
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

/** 128 by 64 bits: in TypeScript unless RDX just extends RAX. */
function divide64(e: Emitter, src: Operand, isSigned: boolean): void {
  const { f } = e
  const divisor = e.read(src)
  e.raiseIf(f.eqz(divisor), DE)
  const low = e.read(e.gpr(S.RAX, 64))
  const high = e.read(e.gpr(S.RDX, 64))
  const extension = isSigned ? f.shrS(low, f.i64(63)) : f.i64(0)
  const isMinusOne = isSigned ? f.eq(divisor, f.i64(-1)) : f.i32(0)
  f.if(
    f.and(f.eq(high, extension), f.eqz(isMinusOne)),
    () => {
      const quotient = isSigned ? f.divS(low, divisor) : f.divU(low, divisor)
      const remainder = isSigned ? f.remS(low, divisor) : f.remU(low, divisor)
      e.write(e.gpr(S.RAX, 64), quotient)
      e.write(e.gpr(S.RDX, 64), remainder)
    },
    () => {
      e.host(isSigned ? divideSigned : divideUnsigned, low, high, divisor)
      const quotient = e.hostResult(0)
      const remainder = e.hostResult(1)
      e.write(e.gpr(S.RAX, 64), quotient)
      e.write(e.gpr(S.RDX, 64), remainder)
    },
  )
}

function divideUnsigned(cpu: Cpu): void {
  const dividend = (cpu.argument(1) << 64n) | cpu.argument(0)
  const divisor = cpu.argument(2)
  const quotient = dividend / divisor
  if (quotient >> 64n !== 0n) throw new GuestFault(DE)
  cpu.setResult(quotient)
  cpu.setResult(dividend % divisor, 1)
}

function divideSigned(cpu: Cpu): void {
  const dividend = BigInt.asIntN(128, (cpu.argument(1) << 64n) | cpu.argument(0))
  const divisor = BigInt.asIntN(64, cpu.argument(2))
  const quotient = dividend / divisor
  if (BigInt.asIntN(64, quotient) !== quotient) throw new GuestFault(DE)
  cpu.setResult(quotient)
  cpu.setResult(dividend % divisor, 1)
}

define('DIV', ['F6 /6 Eb', 'F7 /6 Ev'], (e, src) =>
  src.bits === 64 ? divide64(e, src, false) : divideNarrow(e, src, false))
define('IDIV', ['F6 /7 Eb', 'F7 /7 Ev'], (e, src) =>
  src.bits === 64 ? divide64(e, src, true) : divideNarrow(e, src, true))
