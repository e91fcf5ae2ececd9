// Decimal adjustments, which 64-bit mode does not have. (SDM vol. 2: AAA AAD AAM AAS DAA DAS;
// SALC is undocumented by Intel and in AMD's opcode map.)

import type { Value } from '../../wasm/value.ts'
import { define } from '../decode/define.ts'
import { DE, type Emitter } from '../emit/emitter.ts'
import * as S from '../state.ts'

const AH = 4

/** Flags of a byte result with given CF and AF; OF cleared (it is undefined). */
function setFlags(e: Emitter, byte: Value, cf: Value, af: Value): void {
  const { f } = e
  const al = f.and(byte, f.i32(0xff))
  e.flags.assign({
    cf,
    af,
    pf: f.and(f.not(f.popcnt(al)), f.i32(1)),
    zf: f.eqz(al),
    sf: f.shrU(al, f.i32(7)),
    of: f.i32(0),
  })
}

/** i32: the low digit is none, or AF says that it passed nine. */
function needsAdjustment(e: Emitter, al: Value): Value {
  const { f } = e
  return f.or(f.gtU(f.and(al, f.i32(15)), f.i32(9)), e.flags.adjust())
}

for (const [name, row, step] of [
  ['AAA', '37 i64', 0x106],
  ['AAS', '3F i64', -0x106],
] as const) {
  define(name, [row], (e) => {
    const { f } = e
    const ax = e.read(e.gpr(S.RAX, 16))
    const adjusts = needsAdjustment(e, ax)
    const changed = f.add(ax, f.select(adjusts, f.i32(step), f.i32(0)))
    const result = f.and(changed, f.i32(0xff0f))
    e.write(e.gpr(S.RAX, 16), result)
    setFlags(e, result, adjusts, adjusts)
  })
}

define('AAM', ['D4 Ib i64'], (e, base) => {
  const { f } = e
  const divisor = e.read(base)
  e.raiseIf(f.eqz(divisor), DE)
  const al = e.read(e.gpr(S.RAX, 8))
  const low = f.remU(al, divisor)
  e.write(e.gpr(S.RAX, 16), f.or(low, f.shl(f.divU(al, divisor), f.i32(8))))
  e.flags.logic(8, low)
})

define('AAD', ['D5 Ib i64'], (e, base) => {
  const { f } = e
  const high = f.mul(e.read(e.gpr(AH, 8)), e.read(base))
  const sum = f.and(f.add(e.read(e.gpr(S.RAX, 8)), high), f.i32(0xff))
  e.write(e.gpr(S.RAX, 16), sum)
  e.flags.logic(8, sum)
})

for (const [name, row, sign] of [
  ['DAA', '27 i64', 1],
  ['DAS', '2F i64', -1],
] as const) {
  define(name, [row], (e) => {
    const { f } = e
    const al = e.read(e.gpr(S.RAX, 8))
    const adjustsLow = needsAdjustment(e, al)
    const adjustsHigh = f.or(f.gtU(al, f.i32(0x99)), e.flags.carry())
    const low = f.select(adjustsLow, f.i32(6 * sign), f.i32(0))
    const high = f.select(adjustsHigh, f.i32(0x60 * sign), f.i32(0))
    const result = f.add(f.add(al, low), high)
    // Taking 6 from less than 6 borrows, although the high digit was good.
    const borrows = sign < 0 ? f.and(adjustsLow, f.ltU(al, f.i32(6))) : f.i32(0)
    e.write(e.gpr(S.RAX, 8), result)
    setFlags(e, result, f.or(adjustsHigh, borrows), adjustsLow)
  })
}

define('SALC', ['D6 i64'], (e) => e.write(e.gpr(S.RAX, 8), e.f.neg(e.flags.carry())))
