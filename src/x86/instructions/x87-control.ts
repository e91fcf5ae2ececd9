// The x87 unit's control and status: FNINIT, FNCLEX, FLDCW, FNSTCW, FNSTSW, FWAIT, FNOP, and what
// only moves TOP or marks registers empty. (SDM vol. 1, 8.1; vol. 2A, each page.)
//
// Those that the manuals write with N do not wait: they run with an exception pending. CR0.NE is
// taken to be 1: errors are #MF, never the external interrupt of the PC/AT.

import { define } from '../decode/define.ts'
import { NM } from '../emit/emitter.ts'
import { CR0_MP, CR0_TS } from '../mmu/walker.ts'
import * as S from '../state.ts'
import * as X from '../system/x87-words.ts'
import {
  above,
  leaveTrace,
  loadStatus,
  rotated,
  storeStatus,
  topOf,
  vacate,
  waitForErrors,
  withoutC1,
} from './x87-emit.ts'

define('FNINIT', ['DB /4:3 x87'], (e) => {
  const { f } = e
  e.stateStore('i32.store', S.FCW, f.i32(X.CONTROL_INITIAL))
  for (const field of [S.FSW, S.FTW, S.FOP, S.FCS, S.FDS])
    e.stateStore('i32.store', field, f.i32(0))
  for (const field of [S.FIP, S.FDP]) e.stateStore('i64.store', field, f.i64(0))
})

define('FNCLEX', ['DB /4:2 x87'], (e) => {
  const { f } = e
  e.stateStore('i32.store', S.FSW, f.and(loadStatus(e), f.i32(0x7f00)))
})

define('FLDCW', ['D9 /5:m Mw x87'], (e, src) => {
  const { f } = e
  waitForErrors(e)
  const control = f.or(f.and(e.read(src), f.i32(X.CONTROL_MASK)), f.i32(X.CONTROL_ONES))
  e.stateStore('i32.store', S.FCW, control)
  // A flag that is no longer masked is an error from now on.
  const status = f.and(loadStatus(e), f.i32(~X.SUMMARY))
  const pending = f.and(f.and(status, f.not(control)), f.i32(X.EXCEPTIONS))
  storeStatus(e, f.or(status, f.and(f.neg(f.ne(pending, f.i32(0))), f.i32(X.SUMMARY))))
})

define('FNSTCW', ['D9 /7:m Mw x87'], (e, dst) => e.write(dst, e.stateLoad('i32.load', S.FCW)))
define('FNSTSW', ['DD /7:m Mw x87', 'DF /4:0 AX x87'], (e, dst) => e.write(dst, loadStatus(e)))

define('FWAIT', ['9B'], (e) => {
  const { f } = e
  const stopped = f.i32(CR0_MP | CR0_TS)
  e.raiseIf(f.eq(f.and(e.stateLoad('i32.load', S.CR0), stopped), stopped), NM)
  waitForErrors(e)
})

/** FNENI, FNDISI (8087) and FNSETPM (80287) do nothing since the 80387. */
define('FNENI', ['DB /4:0 x87'], () => {})
define('FNDISI', ['DB /4:1 x87'], () => {})
define('FNSETPM', ['DB /4:4 x87'], () => {})

define('FNOP', ['D9 /2:0 x87'], (e) => {
  waitForErrors(e)
  leaveTrace(e, 0xd9)
})

// Registers without values.

for (const [name, row, by] of [
  ['FINCSTP', 'D9 /6:7 x87', 1],
  ['FDECSTP', 'D9 /6:6 x87', 7],
] as const) {
  define(name, [row], (e) => {
    storeStatus(e, rotated(e, withoutC1(e, waitForErrors(e)), by))
    leaveTrace(e, 0xd9)
  })
}

/** FFREEP, which the manuals do not have, pops as well. */
for (const [name, opcode, pops] of [
  ['FFREE', 0xdd, false],
  ['FFREEP', 0xdf, true],
] as const) {
  define(name, [`${opcode.toString(16).toUpperCase()} /0:r Tt x87`], (e, register) => {
    const status = waitForErrors(e)
    const top = topOf(e, status)
    vacate(e, above(e, top, e.registerNumber(register)))
    if (pops) vacate(e, top)
    storeStatus(e, rotated(e, withoutC1(e, status), pops ? 1 : 0))
    leaveTrace(e, opcode)
  })
}
