// Bit manipulation with three operands, in VEX encodings. (SDM vol. 2: ANDN BEXTR BLSI BLSMSK BLSR
// BZHI MULX PDEP PEXT RORX SARX SHLX SHRX.)

import type { Value } from '../../wasm/value.ts'
import { define } from '../decode/define.ts'
import type { Emitter, Operand } from '../emit/emitter.ts'
import * as S from '../state.ts'
import { highProduct } from './multiply-divide.ts'

/** An i32 or i64 as an i32. */
function narrow(e: Emitter, value: Value): Value {
  return value.type === 'i64' ? e.f.wrap(value) : value
}

define('ANDN', ['VEX.LZ.NP.0F38.WIG F2 /r Gy,By,Ey +bmi1'], (e, dst, inverted, src) => {
  const { f } = e
  const r = f.and(f.not(e.read(inverted)), e.read(src))
  e.write(dst, r)
  e.flags.logic(dst.bits, r)
})

/** BLSI, BLSMSK, BLSR: something about the lowest one bit. CF: `carry` of the source. */
function lowestBit(
  e: Emitter,
  dst: Operand,
  src: Operand,
  compute: (a: Value, minusOne: Value) => Value,
  carry: (a: Value) => Value,
): void {
  const { f } = e
  const a = e.read(src)
  const r = compute(a, f.sub(a, e.constant(src.bits, 1)))
  e.write(dst, r)
  e.flags.resultWith(dst.bits, r, carry(a), f.i32(0))
}

define('BLSR', ['VEX.LZ.NP.0F38.WIG F3 /1 By,Ey +bmi1'], (e, dst, src) =>
  lowestBit(
    e,
    dst,
    src,
    (a, less) => e.f.and(a, less),
    (a) => e.f.eqz(a),
  ))

define('BLSMSK', ['VEX.LZ.NP.0F38.WIG F3 /2 By,Ey +bmi1'], (e, dst, src) =>
  lowestBit(
    e,
    dst,
    src,
    (a, less) => e.f.xor(a, less),
    (a) => e.f.eqz(a),
  ))

define('BLSI', ['VEX.LZ.NP.0F38.WIG F3 /3 By,Ey +bmi1'], (e, dst, src) =>
  lowestBit(
    e,
    dst,
    src,
    (a, less) => e.f.and(a, e.f.not(less)),
    (a) => e.f.eqz(e.f.eqz(a)),
  ))

/** The lowest `count` (i32, 0 to 255) bits of a value. */
function lowBits(e: Emitter, value: Value, count: Value, bits: number): Value {
  const { f } = e
  const wide = bits === 64 ? f.extendU(count) : count
  const mask = f.sub(f.shl(e.constant(bits, 1), wide), e.constant(bits, 1))
  return f.select(f.ltU(count, f.i32(bits)), f.and(value, mask), value)
}

define('BEXTR', ['VEX.LZ.NP.0F38.WIG F7 /r Gy,Ey,By +bmi1'], (e, dst, src, control) => {
  const { f } = e
  const { bits } = dst
  const value = e.read(src)
  const word = narrow(e, e.read(control))
  const start = f.and(word, f.i32(255))
  const length = f.and(f.shrU(word, f.i32(8)), f.i32(255))
  const moved = f.shrU(value, bits === 64 ? f.extendU(start) : start)
  const inside = f.select(f.ltU(start, f.i32(bits)), moved, e.constant(bits, 0))
  const r = lowBits(e, inside, length, bits)
  e.write(dst, r)
  const no = f.i32(0)
  e.flags.assign({ cf: no, pf: no, af: no, zf: f.eqz(r), sf: no, of: no })
})

define('BZHI', ['VEX.LZ.NP.0F38.WIG F5 /r Gy,Ey,By +bmi2'], (e, dst, src, index) => {
  const { f } = e
  const { bits } = dst
  const value = e.read(src)
  const count = f.and(narrow(e, e.read(index)), f.i32(255))
  const r = lowBits(e, value, count, bits)
  e.write(dst, r)
  e.flags.resultWith(bits, r, f.gtU(count, f.i32(bits - 1)), f.i32(0))
})

define('MULX', ['VEX.LZ.F2.0F38.WIG F6 /r Gy,By,Ey +bmi2'], (e, high, low, src) => {
  const { f } = e
  const a = e.read(e.gpr(S.RDX, src.bits as 32))
  const b = e.read(src)
  // The upper half is written last: it wins when both go to one register.
  if (src.bits === 64) {
    const top = highProduct(e, a, b)
    e.write(low, f.mul(a, b))
    e.write(high, top)
    return
  }
  const full = f.mul(f.extendU(a), f.extendU(b))
  e.write(low, f.wrap(full))
  e.write(high, f.wrap(f.shrU(full, f.i64(32))))
})

/** PDEP and PEXT: walks over the one bits of the mask, from the lowest up. */
function alongMask(
  e: Emitter,
  dst: Operand,
  maskOperand: Operand,
  step: (lowest: Value, place: Value) => Value,
): void {
  const { f } = e
  const { bits } = dst
  const one = e.constant(bits, 1)
  const mask = f.local(bits === 64 ? 'i64' : 'i32')
  const result = f.local(mask.type)
  const place = f.local(mask.type)
  f.set(mask, e.read(maskOperand))
  f.set(result, e.constant(bits, 0))
  f.set(place, e.constant(bits, 0))
  f.block((end) => {
    f.loop((again) => {
      const left = f.get(mask)
      f.brIf(end, f.eqz(left))
      const less = f.sub(left, one)
      f.set(result, f.or(f.get(result), step(f.and(left, f.not(less)), f.get(place))))
      f.set(place, f.add(f.get(place), one))
      f.set(mask, f.and(left, less))
      f.br(again)
    })
  })
  e.write(dst, f.get(result))
}

define('PDEP', ['VEX.LZ.F2.0F38.WIG F5 /r Gy,By,Ey +bmi2'], (e, dst, src, mask) => {
  const { f } = e
  const value = e.read(src)
  alongMask(e, dst, mask, (lowest, place) => {
    const bit = f.and(f.shrU(value, place), e.constant(dst.bits, 1))
    return f.mul(lowest, bit)
  })
})

define('PEXT', ['VEX.LZ.F3.0F38.WIG F5 /r Gy,By,Ey +bmi2'], (e, dst, src, mask) => {
  const { f } = e
  const value = e.read(src)
  alongMask(e, dst, mask, (lowest, place) => {
    const isSet = f.eqz(f.eqz(f.and(value, lowest)))
    return f.shl(dst.bits === 64 ? f.extendU(isSet) : isSet, place)
  })
})

define('RORX', ['VEX.LZ.F2.0F3A.WIG F0 /r Gy,Ey,Ib +bmi2'], (e, dst, src, count) =>
  // WebAssembly takes counts modulo the width, as it should be here.
  e.write(dst, e.f.rotr(e.read(src), e.read(count, dst.bits))))

define('SHLX', ['VEX.LZ.66.0F38.WIG F7 /r Gy,Ey,By +bmi2'], (e, dst, src, count) =>
  e.write(dst, e.f.shl(e.read(src), e.read(count))))
define('SARX', ['VEX.LZ.F3.0F38.WIG F7 /r Gy,Ey,By +bmi2'], (e, dst, src, count) =>
  e.write(dst, e.f.shrS(e.read(src), e.read(count))))
define('SHRX', ['VEX.LZ.F2.0F38.WIG F7 /r Gy,Ey,By +bmi2'], (e, dst, src, count) =>
  e.write(dst, e.f.shrU(e.read(src), e.read(count))))
