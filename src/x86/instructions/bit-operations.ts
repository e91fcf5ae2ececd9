// Bit scans, tests and counts. (SDM vol. 2: BSF BSR BT BTC BTR BTS CRC32 LZCNT POPCNT TZCNT.)

import type { Value } from '../../wasm/value.ts'
import { define } from '../decode/define.ts'
import type { Emitter, Operand } from '../emit/emitter.ts'

/** Number of zeros below the lowest one bit; the width for zero. */
function trailingZeros(e: Emitter, value: Value, bits: number): Value {
  const { f } = e
  if (bits !== 16) return f.ctz(value)
  return f.ctz(f.or(value, f.i32(0x10000)))
}

/** Number of zeros above the highest one bit; the width for zero. */
function leadingZeros(e: Emitter, value: Value, bits: number): Value {
  const { f } = e
  return bits === 16 ? f.sub(f.clz(value), f.i32(16)) : f.clz(value)
}

/** BSF and BSR: the destination keeps its value when the source is zero. */
function scan(e: Emitter, dst: Operand, src: Operand, find: (value: Value) => Value): void {
  const { f } = e
  const value = e.read(src)
  const isZero = f.eqz(value)
  const found = find(value)
  // A 32-bit destination keeps even its upper half, as processors do.
  f.if(f.eqz(isZero), () => e.write(dst, found))
  e.flags.logic(dst.bits, value)
}

define('BSF', ['0F BC /r Gv,Ev'], (e, dst, src) =>
  scan(e, dst, src, (value) => trailingZeros(e, value, dst.bits)))

define('BSR', ['0F BD /r Gv,Ev'], (e, dst, src) =>
  scan(e, dst, src, (value) =>
    e.f.xor(leadingZeros(e, value, dst.bits), e.constant(dst.bits, dst.bits - 1)),
  ))

/** TZCNT and LZCNT: CF if the source is zero, ZF if the result is. */
function count(e: Emitter, dst: Operand, src: Operand, find: (value: Value) => Value): void {
  const value = e.read(src)
  const r = find(value)
  e.write(dst, r)
  e.flags.resultWith(dst.bits, r, e.f.eqz(value), e.f.i32(0))
}

define('TZCNT', ['F3 0F BC /r Gv,Ev +bmi1'], (e, dst, src) => {
  count(e, dst, src, (value) => trailingZeros(e, value, dst.bits))
})

define('LZCNT', ['F3 0F BD /r Gv,Ev +abm'], (e, dst, src) => {
  count(e, dst, src, (value) => leadingZeros(e, value, dst.bits))
})

define('POPCNT', ['F3 0F B8 /r Gv,Ev +popcnt'], (e, dst, src) => {
  const { f } = e
  const value = e.read(src)
  const r = f.popcnt(value)
  e.write(dst, r)
  const no = f.i32(0)
  const zf = f.eqz(value)
  e.flags.assign({ cf: no, pf: no, af: no, zf, sf: no, of: no })
})

const CHANGES = ['', 'or', 'and', 'xor'] as const

/** BT, BTS, BTR, BTC. A register index reaches beyond a memory operand, in units of its width. */
function bitTest(e: Emitter, dst: Operand, index: Operand, change: (typeof CHANGES)[number]): void {
  const { f } = e
  const { bits } = dst
  const position = e.read(index, bits)
  const within = f.and(position, e.constant(bits, bits - 1))
  const one = f.shl(e.constant(bits, 1), within)
  const changed = (a: Value): Value => {
    if (change === 'or') return f.or(a, one)
    return change === 'and' ? f.and(a, f.not(one)) : f.xor(a, one)
  }
  const carryOf = (a: Value): Value => {
    const bit = f.and(f.shrU(a, within), e.constant(bits, 1))
    return bits === 64 ? f.wrap(bit) : bit
  }
  if (dst.kind === 'memory' && index.kind === 'gpr') {
    const units = f.shrS(e.signExtend(position, bits), f.i64(Math.log2(bits)))
    const offset = f.shl(units, f.i64(Math.log2(bits / 8)))
    const start = e.cutAddress(f.add(e.effectiveAddress(), offset))
    const linear = e.segmented(start, bits / 8, change !== '')
    const a = change === '' ? e.memory.load(bits, linear) : e.memory.modify(bits, linear, changed)
    e.flags.setCarry(carryOf(a))
    return
  }
  const a = change === '' ? e.read(dst) : e.modify(dst, changed)
  e.flags.setCarry(carryOf(a))
}

for (const [i, name] of ['BT', 'BTS', 'BTR', 'BTC'].entries()) {
  const lock = i === 0 ? '' : ' lock'
  const opcode = (0xa3 + i * 8).toString(16).toUpperCase()
  define(name, [`0F ${opcode} /r Ev,Gv${lock}`, `0F BA /${4 + i} Ev,Ib${lock}`], (e, dst, index) =>
    bitTest(e, dst, index, CHANGES[i] as 'or'),
  )
}

/** The polynomial 0x11EDC6F41 as CRC32 uses it: reflected, without its highest term. */
const POLYNOMIAL = 0x82f63b78

/** The checksums that `bits` bits lead to, of which only one is set, from the lowest to the top. */
function checksumsOfBits(bits: number): number[] {
  let sum = POLYNOMIAL
  const sums = Array.from({ length: bits }, () => {
    const found = sum
    sum = (sum >>> 1) ^ (sum & 1 ? POLYNOMIAL : 0)
    return found
  })
  return sums.reverse()
}

define('CRC32', ['F2 0F 38 F0 /r Gd,Eb +sse4_2', 'F2 0F 38 F1 /r Gd,Ev +sse4_2'], (e, dst, src) => {
  const { f } = e
  const { bits } = src
  const value = e.read(src)
  const before = e.read(dst)
  const halves = [f.xor(before, bits === 64 ? f.wrap(value) : value)]
  if (bits === 64) halves.push(f.wrap(f.shrU(value, f.i64(32))))
  // A checksum is linear: that of all bits is the sum, without carries, of theirs. No step waits
  // for another, as they would if it were computed bit by bit.
  let sum = bits < 32 ? f.shrU(before, f.i32(bits)) : f.i32(0)
  for (const [i, ofBit] of checksumsOfBits(bits).entries()) {
    const half = halves[i >> 5] as Value
    const isSet = f.shrS(f.shl(half, f.i32(31 - (i & 31))), f.i32(31))
    sum = f.xor(sum, f.and(isSet, f.i32(ofBit | 0)))
  }
  // The destination's upper half is cleared even with REX.W.
  e.write(dst, sum)
})
