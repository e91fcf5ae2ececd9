// SYSCALL and SYSRET of 64-bit code in emitted code: the usual way of both, for the fast forms and
// for regions. What is unusual is left to TypeScript (system/system-calls.ts). All that a change of
// privilege means to emitted code lies in the state block: the key of the jump cache and the TLB.
// (SDM vol. 2.)

import type { Value } from '../../wasm/value.ts'
import type { Emitter } from '../emit/emitter.ts'
import { EFER_SCE } from '../mmu/walker.ts'
import { ARITHMETIC, FLAG_AC, FLAG_IF, FLAG_RF, FLAG_TF, FLAGS_UNUSED } from '../registers.ts'
import * as S from '../state.ts'
import {
  FLAT_CODE,
  FLAT_DATA,
  SYSRET_FLAGS,
  SYSRET_LONG_CODE,
  SYSRET_STACK,
} from '../system/system-calls.ts'
import { ATTR_L } from '../system/current-mode.ts'

const RFLAGS_ONE = 2
/** The bit of a jump cache's key that says: user mode. */
const USER_KEY = 1
const R11 = 11

function retreatIf(e: Emitter, condition: Value): void {
  e.f.if(condition, () => e.retreat(), undefined, 'unlikely')
}

function isOff(e: Emitter): Value {
  const { f } = e
  return f.eqz(f.and(e.stateLoad('i32.load', S.EFER), f.i32(EFER_SCE)))
}

/** The hidden part of a flat segment, as setSegment has it. */
function setFlat(e: Emitter, segment: number, selector: Value, attributes: number): void {
  const { f } = e
  const at = S.SEGMENT + segment * S.SEGMENT_SIZE
  const canWrite = segment === S.SS
  e.stateStore('i64.store', S.SEG_BASE + segment * 8, f.i64(0))
  e.stateStore('i32.store', at + S.SEG_SELECTOR, selector)
  e.stateStore('i32.store', at + S.SEG_LIMIT, f.i32(-1))
  e.stateStore('i32.store', at + S.SEG_ATTRIBUTES, f.i32(attributes))
  e.stateStore('i64.store', at + S.SEG_READ_LIMIT, f.i64(0xffffffffn))
  e.stateStore('i64.store', at + S.SEG_WRITE_LIMIT, f.i64(canWrite ? 0xffffffffn : -1n))
}

/** Loads RFLAGS with what it can hold of an image. */
function setFlags(e: Emitter, image: Value): void {
  const { f } = e
  e.flags.assignImage(image)
  const rest = f.and(image, f.i32(~(ARITHMETIC | FLAGS_UNUSED)))
  e.stateStore('i32.store', S.RFLAGS, f.or(rest, f.i32(RFLAGS_ONE)))
}

/** Ends the path. */
export function syscallQuickly(e: Emitter): void {
  const { f } = e
  const flags = () => e.stateLoad('i32.load', S.RFLAGS)
  retreatIf(e, f.or(isOff(e), f.and(flags(), f.i32(FLAG_TF))))
  const key = f.and(e.stateLoad('i32.load', S.JUMP_KEY), f.i32(~USER_KEY))
  const selector = f.and(e.stateLoad('i32.load', S.STAR + 4), f.i32(0xfffc))
  const target = e.stateLoad('i64.load', S.LSTAR)
  const next = e.nextRip()
  e.jumpTo(
    target,
    () => {
      const before = f.and(e.flags.image(), f.i32(~FLAG_RF))
      const after = f.and(before, f.not(e.stateLoad('i32.load', S.SFMASK)))
      e.write(e.gpr(R11, 64), f.extendU(before))
      e.write(e.gpr(S.RCX, 64), next)
      setFlags(e, after)
      setFlat(e, S.CS, selector, FLAT_CODE | ATTR_L)
      setFlat(e, S.SS, f.add(selector, f.i32(8)), FLAT_DATA)
      e.stateStore('i32.store', S.CPL, f.i32(0))
      e.stateStore('i32.store', S.JUMP_KEY, key)
      const [without, withAc] = [S.TLB_WITHOUT_AC, S.TLB_WITH_AC]
      const tlb = f.select(
        f.and(after, f.i32(FLAG_AC)),
        e.stateLoad('i32.load', withAc),
        e.stateLoad('i32.load', without),
      )
      e.stateStore('i32.store', S.TLB_BASE, tlb)
    },
    key,
  )
}

/** To 64-bit code; the privilege level is 0. Ends the path. */
export function sysretQuickly(e: Emitter): void {
  const { f } = e
  const image = f.and(f.wrap(e.read(e.gpr(R11, 64))), f.i32(SYSRET_FLAGS & ~FLAG_RF))
  const isAwaited = f.ne(e.stateLoad('i32.load', S.ATTENTION), f.i32(0))
  const isLooked = f.and(isAwaited, f.ne(f.and(image, f.i32(FLAG_IF)), f.i32(0)))
  const isUnusual = f.and(f.or(image, e.stateLoad('i32.load', S.RFLAGS)), f.i32(FLAG_TF | FLAG_AC))
  retreatIf(e, f.or(f.or(isOff(e), isLooked), isUnusual))
  const key = f.or(e.stateLoad('i32.load', S.JUMP_KEY), f.i32(USER_KEY))
  const base = f.shrU(e.stateLoad('i32.load', S.STAR + 4), f.i32(16))
  const selector = (offset: number) =>
    f.and(f.or(f.add(base, f.i32(offset)), f.i32(3)), f.i32(0xffff))
  e.jumpTo(
    e.read(e.gpr(S.RCX, 64)),
    () => {
      setFlags(e, image)
      setFlat(e, S.CS, selector(SYSRET_LONG_CODE), FLAT_CODE | ATTR_L | (3 << 13))
      setFlat(e, S.SS, selector(SYSRET_STACK), FLAT_DATA | (3 << 13))
      e.stateStore('i32.store', S.CPL, f.i32(3))
      e.stateStore('i32.store', S.JUMP_KEY, key)
      e.stateStore('i32.store', S.TLB_BASE, e.stateLoad('i32.load', S.TLB_USER))
    },
    key,
  )
}
