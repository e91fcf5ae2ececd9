// What x87 instructions share where they are emitted: the wait for pending errors, the trace of
// the last instruction, and access to the register stack. (SDM vol. 1, 8.1.2, 8.1.8 and 8.7.)

import type { Value } from '../../wasm/value.ts'
import { type Emitter, MF } from '../emit/emitter.ts'
import * as S from '../state.ts'
import { C1, ERROR_PENDING, TOP, TOP_SHIFT } from '../system/x87-words.ts'
import type { Extended } from './x87-formats.ts'

/** i32: the status word. */
export function loadStatus(e: Emitter): Value {
  return e.stateLoad('i32.load', S.FSW)
}

export function storeStatus(e: Emitter, status: Value): void {
  e.stateStore('i32.store', S.FSW, status)
}

/** Raises #MF if an unmasked exception is pending; gives the status word. */
export function waitForErrors(e: Emitter): Value {
  const status = loadStatus(e)
  e.raiseIf(e.f.and(status, e.f.i32(ERROR_PENDING)), MF)
  return status
}

/**
 * Keeps where the last instruction other than a control instruction lies: FIP, FCS and FOP. To be
 * called when nothing can fault any more. `opcode` is its first byte, D8 to DF.
 */
export function leaveTrace(e: Emitter, opcode: number): void {
  const { f } = e
  e.stateStore('i64.store', S.FIP, e.thisRip())
  e.stateStore('i32.store', S.FCS, segmentSelector(e, f.i32(S.CS)))
  e.stateStore('i32.store', S.FOP, f.or(e.modrm(), f.i32((opcode & 7) << 8)))
}

function segmentSelector(e: Emitter, segment: Value): Value {
  const { f } = e
  const at = f.add(e.cpu, f.mul(segment, f.i32(S.SEGMENT_SIZE)))
  return f.load('i32.load16_u', at, S.SEGMENT + S.SEG_SELECTOR)
}

/** A memory operand whose address has been computed. */
export interface Place {
  /** i64: offset in its segment. */
  readonly offset: Value
  /** i64. */
  readonly linear: Value
}

/** Computes the address of a memory operand and checks its segment for `size` bytes. */
export function locate(e: Emitter, size: number, isWrite: boolean): Place {
  const offset = e.effectiveAddress()
  return { offset, linear: e.segmented(offset, size, isWrite) }
}

/** As {@link leaveTrace}, for an instruction with a memory operand: FDP and FDS as well. */
export function leaveMemoryTrace(e: Emitter, opcode: number, { offset }: Place): void {
  leaveTrace(e, opcode)
  e.stateStore('i64.store', S.FDP, offset)
  e.stateStore('i32.store', S.FDS, segmentSelector(e, e.memorySegment()))
}

/** i32: number of the physical register that is ST(0). */
export function topOf(e: Emitter, status: Value): Value {
  const { f } = e
  return f.and(f.shrU(status, f.i32(TOP_SHIFT)), f.i32(7))
}

/** i32: the status word with C1 clear. */
export function withoutC1(e: Emitter, status: Value): Value {
  return e.f.and(status, e.f.i32(~C1))
}

/** i32: the status word with TOP `by` (0 to 7) further: 1 pops, 7 pushes. */
export function rotated(e: Emitter, status: Value, by: number): Value {
  const { f } = e
  if (by === 0) return status
  const top = f.and(f.add(status, f.i32(by << TOP_SHIFT)), f.i32(TOP))
  return f.or(f.and(status, f.i32(~TOP)), top)
}

/** i32: number of the physical register `offset` (i32) above another. */
export function above(e: Emitter, top: Value, offset: Value): Value {
  return e.f.and(e.f.add(top, offset), e.f.i32(7))
}

/** i32: host address, less S.X87, of a physical register. */
export function slotOf(e: Emitter, physical: Value): Value {
  return e.f.add(e.cpu, e.f.shl(physical, e.f.i32(4)))
}

/** i32: 1 if a physical register is not empty. */
export function isValid(e: Emitter, physical: Value): Value {
  const { f } = e
  return f.and(f.shrU(e.stateLoad('i32.load', S.FTW), physical), f.i32(1))
}

/** i64: significand of the register in a slot. */
export function loadSignificand(e: Emitter, slot: Value): Value {
  return e.f.load('i64.load', slot, S.X87)
}

/** i32: sign and exponent of the register in a slot. */
export function loadSignExponent(e: Emitter, slot: Value): Value {
  return e.f.load('i32.load16_u', slot, S.X87 + 8)
}

export function loadRegister(e: Emitter, slot: Value): Extended {
  return { significand: loadSignificand(e, slot), signExponent: loadSignExponent(e, slot) }
}

export function storeRegister(
  e: Emitter,
  slot: Value,
  significand: Value,
  signExponent: Value,
): void {
  e.f.store('i64.store', slot, significand, S.X87)
  e.f.store('i32.store16', slot, signExponent, S.X87 + 8)
}

/** Marks a physical register as not empty. */
export function occupy(e: Emitter, physical: Value): void {
  const { f } = e
  const bit = f.shl(f.i32(1), physical)
  e.stateStore('i32.store', S.FTW, f.or(e.stateLoad('i32.load', S.FTW), bit))
}

/** Marks a physical register as empty. */
export function vacate(e: Emitter, physical: Value): void {
  const { f } = e
  const bit = f.shl(f.i32(1), physical)
  e.stateStore('i32.store', S.FTW, f.and(e.stateLoad('i32.load', S.FTW), f.not(bit)))
}

/** Leaves with a fault if so many bits of memory may not be written; changes nothing. */
export function touchForWrite(e: Emitter, bits: number, linear: Value): void {
  e.memory.modify(bits, linear, (old) => old)
}
