// What a class of instructions checks before anything else: privilege, and whether the unit it
// needs is there. (SDM vol. 2, the exception tables; CR0.EM and TS, CR4.OSFXSR: vol. 3A, 2.5.)

import type { Row } from '../decode/row.ts'
import { GP, NM, type Emitter, UD } from '../emit/emitter.ts'
import { CR0_EM, CR0_PE, CR0_TS, CR4_OSFXSR } from '../mmu/walker.ts'
import { FLAG_VM } from '../registers.ts'
import * as S from '../state.ts'

const GUARDED = ['cpl0', 'sse', 'mmx', 'x87'] as const

/** Does a row ask for checks. */
export function isGuarded({ vex, attributes }: Row): boolean {
  return vex !== undefined || GUARDED.some((attribute) => attributes.has(attribute))
}

/** Emits the checks that the attributes of a row ask for. */
export function preamble(e: Emitter, row: Row): void {
  const { f } = e
  const has = (attribute: (typeof GUARDED)[number]) => row.attributes.has(attribute)
  if (row.vex && e.shape.codeSize !== 64) raiseOutsideProtected(e)
  if (has('cpl0')) e.raiseIf(e.stateLoad('i32.load', S.CPL), GP, 0)
  if (!has('sse') && !has('mmx') && !has('x87')) return
  if (has('sse') && e.hasSse()) return
  const cr0 = e.stateLoad('i32.load', S.CR0)
  if (has('x87') && !has('sse') && !has('mmx')) {
    e.raiseIf(f.and(cr0, f.i32(CR0_EM | CR0_TS)), NM)
    return
  }
  let invalid = f.and(cr0, f.i32(CR0_EM))
  if (has('sse')) {
    const cr4 = e.stateLoad('i32.load', S.CR4)
    invalid = f.or(invalid, f.and(f.not(cr4), f.i32(CR4_OSFXSR)))
  }
  const isOff = f.and(cr0, f.i32(CR0_TS))
  if (e.canRetreat) {
    // One branch for all of it; the slow form tells the cases apart.
    f.if(f.or(invalid, isOff), () => e.retreat(), undefined, 'unlikely')
    return
  }
  e.raiseIf(invalid, UD)
  e.raiseIf(isOff, NM)
}

/** VEX prefixes are #UD in real and virtual-8086 mode. */
function raiseOutsideProtected(e: Emitter): void {
  const { f } = e
  const isReal = f.eqz(f.and(e.stateLoad('i32.load', S.CR0), f.i32(CR0_PE)))
  e.raiseIf(f.or(isReal, f.and(e.stateLoad('i32.load', S.RFLAGS), f.i32(FLAG_VM))), UD)
}
