// Shifts and rotations. Counts are cut to 5 bits (6 for 64-bit operands); a count of zero
// changes no flag. (SDM vol. 2: RCL/RCR/ROL/ROR, SAL/SAR/SHL/SHR, SHLD, SHRD, RORX, SARX/SHLX/SHRX.)

import type { Value } from '../../wasm/value.ts'
import { define } from '../decode/define.ts'
import type { Emitter, Operand } from '../emit/emitter.ts'

/** Encodings of the shift group: by 1, by CL, by an immediate. */
function shiftRows(index: number): string[] {
  return [
    `D0 /${index} Eb,1`,
    `D1 /${index} Ev,1`,
    `D2 /${index} Eb,CL`,
    `D3 /${index} Ev,CL`,
    `C0 /${index} Eb,Ib`,
    `C1 /${index} Ev,Ib`,
  ]
}

/** The count as i32, cut to what the operand's width uses. */
function countOf(e: Emitter, count: Operand, bits: number): Value {
  return e.f.and(e.read(count, 8), e.f.i32(bits === 64 ? 63 : 31))
}

/** As a value of the operand's type. */
function wide(e: Emitter, count: Value, bits: number): Value {
  return bits === 64 ? e.f.extendU(count) : count
}

/** Bit `position` (i32) of a value, as an i32 of 0 or 1; 0 beyond the value's width. */
function bitAt(e: Emitter, value: Value, position: Value, bits: number): Value {
  const { f } = e
  const moved = f.shrU(value, wide(e, position, bits))
  return f.and(bits === 64 ? f.wrap(moved) : moved, f.i32(1))
}

/** The sign bit of a value of `bits` bits. */
function signOf(e: Emitter, value: Value, bits: number): Value {
  const { f } = e
  const moved = f.shrU(value, e.constant(bits, bits - 1))
  return f.and(bits === 64 ? f.wrap(moved) : moved, f.i32(1))
}

/** Runs `set` unless the count is zero. */
function unlessZero(e: Emitter, count: Value, set: () => void): void {
  if (count.constant !== undefined) {
    if (count.constant !== 0) set()
  } else {
    e.f.if(count, set)
  }
}

define('SHL', [...shiftRows(4), ...shiftRows(6)], (e, dst, by) => {
  const { f } = e
  const { bits } = dst
  const count = countOf(e, by, bits)
  e.modify(dst, (a) => {
    // Narrow operands are shifted within 32 bits: what passes the top is still there.
    const r = f.shl(a, wide(e, count, bits))
    unlessZero(e, count, () => {
      const cf =
        bits < 32
          ? f.and(f.shrU(r, f.i32(bits)), f.i32(1))
          : bitAt(e, a, f.sub(f.i32(bits), count), bits)
      e.flags.resultWith(bits, r, cf, f.xor(cf, signOf(e, r, bits)))
    })
    return r
  })
})

define('SHR', shiftRows(5), (e, dst, by) => {
  const { f } = e
  const { bits } = dst
  const count = countOf(e, by, bits)
  e.modify(dst, (a) => {
    const r = f.shrU(a, wide(e, count, bits))
    unlessZero(e, count, () => {
      const cf = bitAt(e, a, f.sub(count, f.i32(1)), bits)
      // OF is defined for a count of 1 only; processors give the top two bits' difference.
      const of = f.xor(signOf(e, r, bits), signAfterLeft(e, r, bits))
      e.flags.resultWith(bits, r, cf, of)
    })
    return r
  })
})

/** Bit `bits - 2` of a value: its sign after a shift left by one. */
function signAfterLeft(e: Emitter, value: Value, bits: number): Value {
  const { f } = e
  const moved = f.shrU(value, e.constant(bits, bits - 2))
  return f.and(bits === 64 ? f.wrap(moved) : moved, f.i32(1))
}

define('SAR', shiftRows(7), (e, dst, by) => {
  const { f } = e
  const { bits } = dst
  const count = countOf(e, by, bits)
  e.modify(dst, (a) => {
    const extended = bits < 32 ? f.wrap(e.signExtend(a, bits)) : a
    const r = f.shrS(extended, wide(e, count, bits))
    unlessZero(e, count, () => {
      const last = f.shrS(extended, wide(e, f.sub(count, f.i32(1)), bits))
      const cf = f.and(bits === 64 ? f.wrap(last) : last, f.i32(1))
      e.flags.resultWith(bits, r, cf, f.i32(0))
    })
    return r
  })
})

/** Rotation of a value of `bits` bits to the left by an i32 count. */
function rotateLeft(e: Emitter, a: Value, count: Value, bits: number): Value {
  const { f } = e
  if (bits >= 32) return f.rotl(a, wide(e, count, bits))
  const n = f.and(count, f.i32(bits - 1))
  return f.or(f.shl(a, n), f.shrU(a, f.sub(f.i32(bits), n)))
}

define('ROL', shiftRows(0), (e, dst, by) => {
  const { f } = e
  const { bits } = dst
  const count = countOf(e, by, bits)
  e.modify(dst, (a) => {
    const r = rotateLeft(e, a, count, bits)
    unlessZero(e, count, () => {
      const cf = f.and(bits === 64 ? f.wrap(r) : r, f.i32(1))
      e.flags.setCarryOverflow(cf, f.xor(cf, signOf(e, r, bits)))
    })
    return r
  })
})

define('ROR', shiftRows(1), (e, dst, by) => {
  const { f } = e
  const { bits } = dst
  const count = countOf(e, by, bits)
  e.modify(dst, (a) => {
    const r = rotateLeft(e, a, f.sub(f.i32(bits), count), bits)
    unlessZero(e, count, () => {
      const cf = signOf(e, r, bits)
      e.flags.setCarryOverflow(cf, f.xor(cf, signAfterLeft(e, r, bits)))
    })
    return r
  })
})

/** Rotation through carry by one place at a time; counts are small. */
function rotateThroughCarry(e: Emitter, dst: Operand, by: Operand, isLeft: boolean): void {
  const { f } = e
  const { bits } = dst
  const masked = countOf(e, by, bits)
  const count = bits < 32 ? f.remU(masked, f.i32(bits + 1)) : masked
  const before = e.flags.carry()
  e.modify(dst, (a) => {
    const value = f.local(a.type)
    const carry = f.local('i32')
    const left = f.local('i32')
    f.set(value, a)
    f.set(carry, before)
    f.set(left, count)
    f.block((end) => {
      f.loop((again) => {
        f.brIf(end, f.eqz(f.get(left)))
        f.set(left, f.sub(f.get(left), f.i32(1)))
        const v = f.get(value)
        const c = f.get(carry)
        if (isLeft) {
          f.set(carry, signOf(e, v, bits))
          f.set(value, f.or(f.shl(v, e.constant(bits, 1)), wide(e, c, bits)))
        } else {
          f.set(carry, f.and(bits === 64 ? f.wrap(v) : v, f.i32(1)))
          const top = f.shl(wide(e, c, bits), e.constant(bits, bits - 1))
          f.set(value, f.or(f.shrU(mask(e, v, bits), e.constant(bits, 1)), top))
        }
        f.br(again)
      })
    })
    const r = f.get(value)
    const cf = f.get(carry)
    unlessZero(e, masked, () => {
      const of = isLeft
        ? f.xor(cf, signOf(e, r, bits))
        : f.xor(signOf(e, r, bits), signAfterLeft(e, r, bits))
      e.flags.setCarryOverflow(cf, of)
    })
    return r
  })
}

function mask(e: Emitter, value: Value, bits: number): Value {
  return bits === 64 ? value : e.zeroExtend(value, bits)
}

define('RCL', shiftRows(2), (e, dst, by) => rotateThroughCarry(e, dst, by, true))
define('RCR', shiftRows(3), (e, dst, by) => rotateThroughCarry(e, dst, by, false))

/** SHLD and SHRD: bits from the second operand fill the place that the shift leaves. */
function doubleShift(e: Emitter, dst: Operand, src: Operand, by: Operand, isLeft: boolean): void {
  const { f } = e
  const { bits } = dst
  const count = countOf(e, by, bits)
  const fill = e.read(src)
  e.modify(dst, (a) => {
    const r = bits === 16 ? doubleShift16(e, a, fill, count, isLeft) : shifted(e, a, fill, count)
    unlessZero(e, count, () => {
      const cf = isLeft
        ? bits === 16
          ? bitAt(e, f.or(f.shl(a, f.i32(16)), fill), f.sub(f.i32(32), count), 32)
          : bitAt(e, a, f.sub(f.i32(bits), count), bits)
        : bits === 16
          ? bitAt(e, f.or(f.shl(fill, f.i32(16)), a), f.sub(count, f.i32(1)), 32)
          : bitAt(e, a, f.sub(count, f.i32(1)), bits)
      // As if the last place were shifted by itself: defined for a count of 1 only.
      const before = isLeft ? cf : signAfterLeft(e, r, bits)
      e.flags.resultWith(bits, r, cf, f.xor(signOf(e, r, bits), before))
    })
    return r
  })

  function shifted(em: Emitter, a: Value, b: Value, n: Value): Value {
    const by = wide(em, n, bits)
    const rest = wide(em, f.sub(f.i32(bits), n), bits)
    const r = isLeft ? f.or(f.shl(a, by), f.shrU(b, rest)) : f.or(f.shrU(a, by), f.shl(b, rest))
    // WebAssembly takes shift counts modulo the width: a count of zero would not clear.
    return f.select(n, r, a)
  }
}

/** Counts above 16 are undefined; AMD's processors fill with the second operand, twice. */
function doubleShift16(e: Emitter, a: Value, b: Value, count: Value, isLeft: boolean): Value {
  const { f } = e
  const wideA = f.extendU(a)
  const wideB = f.extendU(b)
  const at = (v: Value, n: number) => f.shl(v, f.i64(n))
  const line = isLeft
    ? f.or(at(wideA, 32), f.or(at(wideB, 16), wideB))
    : f.or(at(wideB, 32), f.or(at(wideB, 16), wideA))
  const n = f.extendU(count)
  return f.wrap(isLeft ? f.shrU(f.shl(line, n), f.i64(32)) : f.shrU(line, n))
}

define('SHLD', ['0F A4 /r Ev,Gv,Ib', '0F A5 /r Ev,Gv,CL'], (e, dst, src, by) =>
  doubleShift(e, dst, src, by, true))
define('SHRD', ['0F AC /r Ev,Gv,Ib', '0F AD /r Ev,Gv,CL'], (e, dst, src, by) =>
  doubleShift(e, dst, src, by, false))
