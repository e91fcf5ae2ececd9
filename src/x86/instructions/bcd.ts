// Decimal adjustments, outside 64-bit mode. (SDM vol. 2: AAA AAD AAM AAS DAA DAS; SALC, which the
// manual does not name.)

import type { Value } from '../../wasm/value.ts'
import { define } from '../decode/define.ts'
import { DE, type Emitter } from '../emit/emitter.ts'
import * as S from '../state.ts'

/** AF, or the lower digit of AL is no decimal one. */
function needsAdjust(e: Emitter, al: Value): Value {
  const { f } = e
  return f.or(f.gtU(f.and(al, f.i32(15)), f.i32(9)), e.flags.adjust())
}

/** AAA and AAS: one unpacked digit; `adjustment` of AX carries into or borrows from AH. */
function adjustUnpacked(e: Emitter, adjustment: number): void {
  const { f } = e
  const ax = e.read(e.gpr(S.RAX, 16))
  const adjusts = needsAdjust(e, ax)
  const changed = f.select(adjusts, f.add(ax, f.i32(adjustment)), ax)
  const r = f.and(changed, f.i32(0xff0f))
  e.write(e.gpr(S.RAX, 16), r)
  const { zf, sf, pf, of } = e.flags.bits()
  e.flags.assign({ cf: adjusts, af: adjusts, zf, sf, pf, of })
}

define('AAA', ['37 i64'], (e) => adjustUnpacked(e, 0x106))
define('AAS', ['3F i64'], (e) => adjustUnpacked(e, -0x106))

/** DAA and DAS: two packed digits. */
function adjustPacked(e: Emitter, isSum: boolean): void {
  const { f } = e
  const al = e.read(e.gpr(S.RAX, 8))
  const carry = e.flags.carry()
  const adjustsLow = needsAdjust(e, al)
  const adjustsHigh = f.or(f.gtU(al, f.i32(0x99)), carry)
  const no = f.i32(0)
  const difference = f.add(
    f.select(adjustsLow, f.i32(6), no),
    f.select(adjustsHigh, f.i32(0x60), no),
  )
  const r = e.zeroExtend(isSum ? f.add(al, difference) : f.sub(al, difference), 8)
  // The borrow of the lower digit counts for DAS even if the upper one needs nothing.
  const borrows = f.and(adjustsLow, f.ltU(al, f.i32(6)))
  e.write(e.gpr(S.RAX, 8), r)
  e.flags.logic(8, r)
  const { zf, sf, pf } = e.flags.bits()
  const cf = isSum ? adjustsHigh : f.or(adjustsHigh, borrows)
  e.flags.assign({ cf, af: adjustsLow, zf, sf, pf, of: no })
}

define('DAA', ['27 i64'], (e) => adjustPacked(e, true))
define('DAS', ['2F i64'], (e) => adjustPacked(e, false))

define('AAM', ['D4 Ib i64'], (e, base) => {
  const { f } = e
  const divisor = e.read(base, 8)
  e.raiseIf(f.eqz(divisor), DE)
  const al = e.read(e.gpr(S.RAX, 8))
  const low = f.remU(al, divisor)
  e.write(e.gpr(S.RAX, 16), f.or(f.shl(f.divU(al, divisor), f.i32(8)), low))
  e.flags.logic(8, low)
})

define('AAD', ['D5 Ib i64'], (e, base) => {
  const { f } = e
  const ax = e.read(e.gpr(S.RAX, 16))
  const high = f.shrU(ax, f.i32(8))
  const r = e.zeroExtend(f.add(ax, f.mul(high, e.read(base, 8))), 8)
  e.write(e.gpr(S.RAX, 16), r)
  e.flags.logic(8, r)
})

define('SALC', ['D6 i64'], (e) => e.write(e.gpr(S.RAX, 8), e.f.sub(e.f.i32(0), e.flags.carry())))
