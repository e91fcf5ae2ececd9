// What far returns and IRET have in common: the code and stack segments that they load, the
// checks of them, and the segments that an outer level loses. (SDM vol. 2, RET and IRET.)

import type { Cpu } from '../cpu.ts'
import { GuestFault } from '../guest-fault.ts'
import { EFER_LMA } from '../mmu/walker.ts'
import * as S from '../state.ts'
import {
  ATTR_CODE,
  ATTR_CONFORMING,
  ATTR_DB,
  ATTR_L,
  ATTR_P,
  ATTR_UNUSABLE,
  ATTR_WRITABLE,
} from './current-mode.ts'
import {
  attributesOf,
  type Descriptor,
  dplOf,
  isSystem,
  markAccessed,
  readDescriptor,
} from './descriptors.ts'
import { setSegment } from './segment-access.ts'
import { setStackPointer } from './stack-segment.ts'

const NP = 11
const SS_FAULT = 12
const GP = 13

/** Checks RIP against the code segment that is about to be loaded. */
export function checkTarget(cpu: Cpu, descriptor: Descriptor, rip: bigint): void {
  const is64 = (cpu.efer & EFER_LMA) !== 0 && (descriptor.high & ATTR_L) !== 0
  const isCanonical = BigInt.asUintN(64, BigInt.asIntN(48, rip)) === rip
  if (is64 ? !isCanonical : rip > BigInt(descriptor.limit)) throw new GuestFault(GP, 0)
}

/** Goes on at `rip` of a code segment, at privilege level `cpl`. */
export function setCode(
  cpu: Cpu,
  selector: number,
  cpl: number,
  cs: Descriptor,
  rip: bigint,
): void {
  const marked = markAccessed(cpu, cs)
  setSegment(cpu, S.CS, (selector & ~3) | cpl, marked.base, marked.limit, attributesOf(marked))
  cpu.set32(S.CPL, cpl)
  cpu.rip = rip
  cpu.modeChanged()
}

/** The same in real and virtual-8086 mode, where limit and attributes stay. */
export function setRealCode(cpu: Cpu, selector: number, rip: bigint): void {
  const attributes = cpu.segmentAttributes(S.CS)
  setSegment(cpu, S.CS, selector, BigInt(selector * 16), cpu.segmentLimit(S.CS), attributes)
  cpu.rip = rip
  cpu.modeChanged()
}

/** The code segment that a return names, checked. */
export function returnSegment(cpu: Cpu, selector: number): Descriptor {
  const code = selector & 0xfffc
  if (code === 0) throw new GuestFault(GP, 0)
  const rpl = selector & 3
  const target = readDescriptor(cpu, selector)
  const isConforming = (target.high & ATTR_CONFORMING) !== 0
  const isPrivileged = isConforming ? dplOf(target) <= rpl : dplOf(target) === rpl
  const isCode = !isSystem(target) && (target.high & ATTR_CODE) !== 0
  if (!isCode || rpl < cpu.cpl || !isPrivileged) throw new GuestFault(GP, code)
  const isLong = (cpu.efer & EFER_LMA) !== 0
  if (isLong && target.high & ATTR_L && target.high & ATTR_DB) throw new GuestFault(GP, code)
  if (!(target.high & ATTR_P)) throw new GuestFault(NP, code)
  return target
}

/** The stack segment that a return to another level names, or undefined for a null one. */
export function returnStack(
  cpu: Cpu,
  selector: number,
  cpl: number,
  toLong: boolean,
): Descriptor | undefined {
  const code = selector & 0xfffc
  if (code === 0) {
    const isLong = (cpu.efer & EFER_LMA) !== 0 && toLong
    if (!isLong || cpl === 3 || (selector & 3) !== cpl) throw new GuestFault(GP, 0)
    return undefined
  }
  const descriptor = readDescriptor(cpu, selector)
  const isWritable =
    !isSystem(descriptor) && (descriptor.high & (ATTR_CODE | ATTR_WRITABLE)) === ATTR_WRITABLE
  if (!isWritable || (selector & 3) !== cpl || dplOf(descriptor) !== cpl) {
    throw new GuestFault(GP, code)
  }
  if (!(descriptor.high & ATTR_P)) throw new GuestFault(SS_FAULT, code)
  return markAccessed(cpu, descriptor)
}

/** Where a return goes that loads the stack as well. */
export interface Outer {
  readonly selector: number
  readonly target: Descriptor
  readonly rip: bigint
  readonly ss: number
  /** The descriptor of `ss`; undefined for a null selector. */
  readonly segment: Descriptor | undefined
  readonly rsp: bigint
}

/** Loads CS, RIP, SS and RSP, and drops segments that an outer level may not use. */
export function returnToOuter(cpu: Cpu, { selector, target, rip, ss, segment, rsp }: Outer): void {
  const newCpl = selector & 3
  const isOuter = newCpl > cpu.cpl
  setCode(cpu, selector, newCpl, target, rip)
  if (segment) setSegment(cpu, S.SS, ss, segment.base, segment.limit, attributesOf(segment))
  else setSegment(cpu, S.SS, ss, 0n, 0, ATTR_UNUSABLE | (newCpl << 13))
  cpu.modeChanged()
  setStackPointer(cpu, rsp)
  if (isOuter) dropSegments(cpu)
}

/** After a return to an outer level, segments that only inner levels may use become null. */
export function dropSegments(cpu: Cpu): void {
  for (const segment of [S.ES, S.DS, S.FS, S.GS]) {
    const attributes = cpu.segmentAttributes(segment)
    if (attributes & ATTR_UNUSABLE) continue
    const conforming = ATTR_CODE | ATTR_CONFORMING
    const isConforming = (attributes & conforming) === conforming
    if (!isConforming && ((attributes >> 13) & 3) < cpu.cpl) {
      setSegment(cpu, segment, 0, 0n, 0, ATTR_UNUSABLE)
    }
  }
  cpu.modeChanged()
}
