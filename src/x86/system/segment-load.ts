// Loading segment registers with selectors. (SDM vol. 2, MOV; vol. 3A, 3.4.2 and 5.2 to 5.6.)

import type { Cpu } from '../cpu.ts'
import { GuestFault } from '../guest-fault.ts'
import { SUPERVISOR } from '../mmu/linear-memory.ts'
import { CR0_PE, EFER_LMA } from '../mmu/walker.ts'
import { FLAG_VM } from '../registers.ts'
import * as S from '../state.ts'
import {
  ATTR_CODE,
  ATTR_CONFORMING,
  ATTR_P,
  ATTR_READABLE,
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
import { REAL_DATA, setSegment } from './segment-access.ts'
import { loadVmSegment } from './virtual-8086.ts'

const NP = 11
const SS_FAULT = 12
const GP = 13

export function isRealOrVm(cpu: Cpu): boolean {
  return !(cpu.cr0 & CR0_PE) || (cpu.getI32(S.RFLAGS) & FLAG_VM) !== 0
}

/** Loads ES, SS, DS, FS or GS, as MOV, POP and far pointer loads do. */
export function loadSegment(cpu: Cpu, segment: number, selector: number): void {
  if (isRealOrVm(cpu)) return loadReal(cpu, segment, selector)
  if ((selector & 0xfffc) === 0) return loadNull(cpu, segment, selector)
  const descriptor = readDescriptor(cpu, selector)
  if (segment === S.SS) checkStack(cpu, selector, descriptor)
  else checkData(cpu, selector, descriptor)
  const present = segment === S.SS ? SS_FAULT : NP
  if (!(descriptor.high & ATTR_P)) throw new GuestFault(present, selector & 0xfffc)
  const marked = markAccessed(cpu, descriptor)
  setSegment(cpu, segment, selector, marked.base, marked.limit, attributesOf(marked))
  cpu.modeChanged()
}

function loadReal(cpu: Cpu, segment: number, selector: number): void {
  if (cpu.getI32(S.RFLAGS) & FLAG_VM) loadVmSegment(cpu, segment, selector)
  else {
    // The limit and the attributes stay: that is what makes "unreal" mode work.
    const attributes = cpu.segmentAttributes(segment)
    const isUsable = !(attributes & ATTR_UNUSABLE)
    const limit = isUsable ? cpu.segmentLimit(segment) : 0xffff
    const base = BigInt(selector * 16)
    setSegment(cpu, segment, selector, base, limit, isUsable ? attributes : REAL_DATA)
  }
  cpu.modeChanged()
}

function loadNull(cpu: Cpu, segment: number, selector: number): void {
  if (segment === S.SS) {
    // Only 64-bit code outside ring 3 may have a null SS, with its own privilege level.
    const isAllowed = cpu.codeSize === 64 && cpu.cpl < 3 && (selector & 3) === cpu.cpl
    if (!isAllowed) throw new GuestFault(GP, 0)
  }
  // AMD keeps base and limit of FS and GS here; Intel clears them, as is done here.
  setSegment(cpu, segment, selector, 0n, 0, ATTR_UNUSABLE)
  cpu.modeChanged()
}

function checkStack(cpu: Cpu, selector: number, descriptor: Descriptor): void {
  const isWritable = (descriptor.high & (ATTR_CODE | ATTR_WRITABLE)) === ATTR_WRITABLE
  const isOwn = (selector & 3) === cpu.cpl && dplOf(descriptor) === cpu.cpl
  if (isSystem(descriptor) || !isWritable || !isOwn) throw new GuestFault(GP, selector & 0xfffc)
}

function checkData(cpu: Cpu, selector: number, descriptor: Descriptor): void {
  const isCode = (descriptor.high & ATTR_CODE) !== 0
  const isReadable = !isCode || (descriptor.high & ATTR_READABLE) !== 0
  const isConforming = isCode && (descriptor.high & ATTR_CONFORMING) !== 0
  const isPrivileged = isConforming || dplOf(descriptor) >= Math.max(cpu.cpl, selector & 3)
  if (isSystem(descriptor) || !isReadable || !isPrivileged) {
    throw new GuestFault(GP, selector & 0xfffc)
  }
}

/** LLDT. */
export function loadLdt(cpu: Cpu, selector: number): void {
  if ((selector & 0xfffc) === 0) {
    setSegment(cpu, S.LDTR, selector, 0n, 0, ATTR_UNUSABLE)
    return
  }
  const descriptor = systemDescriptor(cpu, selector, [2])
  setSegment(cpu, S.LDTR, selector, descriptor.base, descriptor.limit, attributesOf(descriptor))
}

/** LTR: the descriptor becomes busy. */
export function loadTask(cpu: Cpu, selector: number): void {
  if ((selector & 0xfffc) === 0) throw new GuestFault(GP, 0)
  const descriptor = systemDescriptor(cpu, selector, cpu.efer & EFER_LMA ? [9] : [1, 9])
  const busy = descriptor.high | 0x200
  cpu.writeMemory(descriptor.address + 4n, 4, BigInt(busy >>> 0), SUPERVISOR)
  setSegment(cpu, S.TR, selector, descriptor.base, descriptor.limit, busy & 0x00f0ff00)
}

function systemDescriptor(cpu: Cpu, selector: number, types: readonly number[]): Descriptor {
  const code = selector & 0xfffc
  if (selector & 4) throw new GuestFault(GP, code)
  const descriptor = readDescriptor(cpu, selector)
  const type = (descriptor.high >> 8) & 15
  if (!isSystem(descriptor) || !types.includes(type)) throw new GuestFault(GP, code)
  if (!(descriptor.high & ATTR_P)) throw new GuestFault(NP, code)
  return descriptor
}
