// Far JMP, CALL and RET, and IRET. (SDM vol. 2, the instructions' operation sections; vol. 3A,
// 5.8.) Left out: task switches and 16-bit call gates' parameters beyond copying (QUIRKS.md).

import { UserError } from '../../base/errors.ts'
import type { Cpu } from '../cpu.ts'
import { GuestFault } from '../guest-fault.ts'
import { SUPERVISOR } from '../mmu/linear-memory.ts'
import { EFER_LMA } from '../mmu/walker.ts'
import {
  FLAG_AC,
  FLAG_ID,
  FLAG_IF,
  FLAG_IOPL,
  FLAG_NT,
  FLAG_RF,
  FLAG_TF,
  FLAG_VIF,
  FLAG_VIP,
  FLAG_VM,
} from '../registers.ts'
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
  typeOf,
} from './descriptors.ts'
import { setSegment } from './segment-access.ts'
import { isRealOrVm } from './segment-load.ts'

const NP = 11
const SS_FAULT = 12
const GP = 13

/** The stack as far transfers read it: 16-, 32- or 64-bit words above the stack pointer. */
class StackReader {
  readonly #cpu: Cpu
  readonly #bytes: number
  offset = 0

  constructor(cpu: Cpu, bits: number) {
    this.#cpu = cpu
    this.#bytes = bits / 8
  }

  next(): bigint {
    const linear = stackAddress(this.#cpu, this.offset)
    this.offset += this.#bytes
    return this.#cpu.readMemory(linear, this.#bytes)
  }
}

/** Linear address `offset` bytes above the stack pointer. */
function stackAddress(cpu: Cpu, offset: number): bigint {
  const rsp = cpu.readRegister(S.RSP)
  if (cpu.codeSize === 64) return BigInt.asUintN(64, rsp + BigInt(offset))
  const mask = stackMask(cpu)
  return (cpu.segmentBase(S.SS) + ((rsp + BigInt(offset)) & mask)) & 0xffffffffn
}

function stackMask(cpu: Cpu): bigint {
  if (cpu.codeSize === 64) return 0xffffffffffffffffn
  return cpu.segmentAttributes(S.SS) & ATTR_DB ? 0xffffffffn : 0xffffn
}

/** Sets the stack pointer at the stack's width. */
function setStackPointer(cpu: Cpu, value: bigint): void {
  const mask = stackMask(cpu)
  const old = cpu.readRegister(S.RSP)
  cpu.writeRegister(S.RSP, mask === 0xffffn ? (old & ~mask) | (value & mask) : value & mask)
}

function moveStackPointer(cpu: Cpu, bytes: number): void {
  setStackPointer(cpu, cpu.readRegister(S.RSP) + BigInt(bytes))
}

function isCanonical(address: bigint): boolean {
  return BigInt.asUintN(64, BigInt.asIntN(48, address)) === address
}

/** Checks RIP against the code segment that is about to be loaded. */
function checkTarget(cpu: Cpu, descriptor: Descriptor, rip: bigint): void {
  const is64 = (cpu.efer & EFER_LMA) !== 0 && (descriptor.high & ATTR_L) !== 0
  if (is64 ? !isCanonical(rip) : rip > BigInt(descriptor.limit)) throw new GuestFault(GP, 0)
}

function setCode(cpu: Cpu, selector: number, cpl: number, cs: Descriptor, rip: bigint): void {
  const marked = markAccessed(cpu, cs)
  setSegment(cpu, S.CS, (selector & ~3) | cpl, marked.base, marked.limit, attributesOf(marked))
  cpu.set32(S.CPL, cpl)
  cpu.rip = rip
  cpu.modeChanged()
}

function setRealCode(cpu: Cpu, selector: number, rip: bigint): void {
  const attributes = cpu.segmentAttributes(S.CS)
  setSegment(cpu, S.CS, selector, BigInt(selector * 16), cpu.segmentLimit(S.CS), attributes)
  cpu.rip = rip
  cpu.modeChanged()
}

/** JMP far and CALL far (`isCall`) to selector:offset; `bits` is the operand size. */
export function farJump(
  cpu: Cpu,
  selector: number,
  offset: bigint,
  bits: number,
  isCall: boolean,
): void {
  const next = cpu.nextRip
  if (isRealOrVm(cpu)) {
    if (isCall) pushReturn(cpu, cpu.selector(S.CS), next, bits)
    return setRealCode(cpu, selector, bits === 16 ? offset & 0xffffn : offset)
  }
  const code = selector & 0xfffc
  if (code === 0) throw new GuestFault(GP, 0)
  const target = readDescriptor(cpu, selector)
  if (isSystem(target)) return throughGate(cpu, selector, target, isCall)
  if (!(target.high & ATTR_CODE)) throw new GuestFault(GP, code)
  const isLong = (cpu.efer & EFER_LMA) !== 0
  if (isLong && target.high & ATTR_L && target.high & ATTR_DB) throw new GuestFault(GP, code)
  const isConforming = (target.high & ATTR_CONFORMING) !== 0
  const isAllowed = isConforming
    ? dplOf(target) <= cpu.cpl
    : (selector & 3) <= cpu.cpl && dplOf(target) === cpu.cpl
  if (!isAllowed) throw new GuestFault(GP, code)
  if (!(target.high & ATTR_P)) throw new GuestFault(NP, code)
  const rip = bits === 16 ? offset & 0xffffn : bits === 32 ? offset & 0xffffffffn : offset
  checkTarget(cpu, target, rip)
  if (isCall) pushReturn(cpu, cpu.selector(S.CS), next, bits)
  setCode(cpu, selector, cpu.cpl, target, rip)
}

/** Pushes CS and RIP onto the current stack; nothing changes if that faults. */
function pushReturn(cpu: Cpu, selector: number, rip: bigint, bits: number): void {
  const bytes = bits / 8
  cpu.writeMemory(stackAddress(cpu, -2 * bytes), bytes, rip)
  cpu.writeMemory(stackAddress(cpu, -bytes), bytes, BigInt(selector))
  moveStackPointer(cpu, -2 * bytes)
}

const TASK_TYPES: readonly number[] = [1, 3, 5, 9, 11]

/** A far transfer through a call gate. */
function throughGate(cpu: Cpu, selector: number, gate: Descriptor, isCall: boolean): void {
  const code = selector & 0xfffc
  const type = typeOf(gate)
  const isLong = (cpu.efer & EFER_LMA) !== 0
  if (!isLong && TASK_TYPES.includes(type)) throw unsupported('a task switch')
  if (type !== 12 && (type !== 4 || isLong)) throw new GuestFault(GP, code)
  if (dplOf(gate) < Math.max(cpu.cpl, selector & 3)) throw new GuestFault(GP, code)
  if (!(gate.high & ATTR_P)) throw new GuestFault(NP, code)
  const targetSelector = gate.low >>> 16
  if ((targetSelector & 0xfffc) === 0) throw new GuestFault(GP, 0)
  const target = readDescriptor(cpu, targetSelector)
  const targetCode = targetSelector & 0xfffc
  const bad = isSystem(target) || !(target.high & ATTR_CODE) || dplOf(target) > cpu.cpl
  if (bad || (isLong && !(target.high & ATTR_L))) throw new GuestFault(GP, targetCode)
  if (!(target.high & ATTR_P)) throw new GuestFault(NP, targetCode)
  let offset = BigInt(((gate.low & 0xffff) | (gate.high & 0xffff0000)) >>> 0)
  if (type === 4) offset &= 0xffffn
  if (isLong) offset |= (cpu.readMemory(gate.address + 8n, 8, SUPERVISOR) & 0xffffffffn) << 32n
  const bits = isLong ? 64 : type === 12 ? 32 : 16
  const isInner = isCall && !(target.high & ATTR_CONFORMING) && dplOf(target) < cpu.cpl
  if (!isCall && !(target.high & ATTR_CONFORMING) && dplOf(target) !== cpu.cpl) {
    throw new GuestFault(GP, targetCode)
  }
  if (isInner) throw unsupported('a call gate to an inner privilege level')
  if (isCall) pushReturn(cpu, cpu.selector(S.CS), cpu.nextRip, bits)
  setCode(cpu, targetSelector, cpu.cpl, target, offset)
}

function unsupported(what: string): UserError {
  return new UserError(
    `The guest used ${what}.`,
    'This processor does not implement it.',
    'See QUIRKS.md for what is left out.',
  )
}

/** RET far; `extra` bytes of parameters are released as well. */
export function farReturn(cpu: Cpu, bits: number, extra: number): void {
  const stack = new StackReader(cpu, bits)
  const rip = stack.next()
  const selector = Number(stack.next()) & 0xffff
  if (isRealOrVm(cpu)) {
    moveStackPointer(cpu, stack.offset + extra)
    return setRealCode(cpu, selector, rip)
  }
  const target = returnSegment(cpu, selector)
  checkTarget(cpu, target, rip)
  const newCpl = selector & 3
  if (newCpl === cpu.cpl) {
    moveStackPointer(cpu, stack.offset + extra)
    return setCode(cpu, selector, newCpl, target, rip)
  }
  stack.offset += extra
  const rsp = stack.next()
  const ss = Number(stack.next()) & 0xffff
  toOuter(cpu, selector, target, rip, ss, rsp, extra)
}

/** The code segment that a return names, checked. */
function returnSegment(cpu: Cpu, selector: number): Descriptor {
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

/** Loads CS, RIP, SS and RSP of an outer level, and drops segments that it may not use. */
function toOuter(
  cpu: Cpu,
  selector: number,
  target: Descriptor,
  rip: bigint,
  ss: number,
  rsp: bigint,
  extra = 0,
): void {
  const newCpl = selector & 3
  const stack = returnStack(cpu, ss, newCpl, (target.high & ATTR_L) !== 0)
  setCode(cpu, selector, newCpl, target, rip)
  setReturnStack(cpu, ss, stack)
  setStackPointer(cpu, rsp + BigInt(extra))
  cpu.modeChanged()
  dropSegments(cpu)
}

/** The stack segment that a return to another level names, or undefined for a null one. */
function returnStack(
  cpu: Cpu,
  selector: number,
  cpl: number,
  toLong: boolean,
): Descriptor | undefined {
  const code = selector & 0xfffc
  if (code === 0) {
    const isAllowed = (cpu.efer & EFER_LMA) !== 0 && toLong && cpl < 3 && (selector & 3) === cpl
    if (!isAllowed) throw new GuestFault(GP, 0)
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

function setReturnStack(cpu: Cpu, selector: number, descriptor: Descriptor | undefined): void {
  if (!descriptor) return setSegment(cpu, S.SS, selector, 0n, 0, ATTR_UNUSABLE)
  const { base, limit } = descriptor
  setSegment(cpu, S.SS, selector, base, limit, attributesOf(descriptor))
}

/** After a return to an outer level, segments that only inner levels may use become null. */
function dropSegments(cpu: Cpu): void {
  for (const segment of [S.ES, S.DS, S.FS, S.GS]) {
    const attributes = cpu.segmentAttributes(segment)
    if (attributes & ATTR_UNUSABLE) continue
    const isConforming = (attributes & (ATTR_CODE | ATTR_CONFORMING)) === (ATTR_CODE | ATTR_CONFORMING)
    if (!isConforming && ((attributes >> 13) & 3) < cpu.cpl) {
      setSegment(cpu, segment, 0, 0n, 0, ATTR_UNUSABLE)
    }
  }
  cpu.modeChanged()
}

/** IRET with an operand size of `bits`. */
export function interruptReturn(cpu: Cpu, bits: number): void {
  cpu.isNmiBlocked = false
  cpu.set32(S.ATTENTION, 1)
  const stack = new StackReader(cpu, bits)
  const rip = stack.next()
  const selector = Number(stack.next()) & 0xffff
  const flags = Number(stack.next() & 0xffffffffn) | 0
  if (!isRealOrVm(cpu) && cpu.getI32(S.RFLAGS) & FLAG_NT) {
    if (cpu.efer & EFER_LMA) throw new GuestFault(GP, 0)
    throw unsupported('IRET from a nested task')
  }
  if (isRealOrVm(cpu)) {
    moveStackPointer(cpu, stack.offset)
    setRealCode(cpu, selector, rip)
    return popFlags(cpu, flags, bits)
  }
  if (flags & FLAG_VM && bits === 32 && cpu.cpl === 0 && !(cpu.efer & EFER_LMA)) {
    throw unsupported('virtual-8086 mode')
  }
  const target = returnSegment(cpu, selector)
  checkTarget(cpu, target, rip)
  const newCpl = selector & 3
  const isLong = cpu.codeSize === 64
  if (newCpl === cpu.cpl && !isLong) {
    moveStackPointer(cpu, stack.offset)
    popFlags(cpu, flags, bits)
    return setCode(cpu, selector, newCpl, target, rip)
  }
  const rsp = stack.next()
  const ss = Number(stack.next()) & 0xffff
  const descriptor = returnStack(cpu, ss, newCpl, (target.high & ATTR_L) !== 0)
  const isOuter = newCpl > cpu.cpl
  // The flags depend on the old level, the stack on the new mode.
  popFlags(cpu, flags, bits)
  setCode(cpu, selector, newCpl, target, rip)
  setReturnStack(cpu, ss, descriptor)
  cpu.modeChanged()
  setStackPointer(cpu, rsp)
  if (isOuter) dropSegments(cpu)
}

/** Flags that anyone may change. */
const USER_FLAGS = 0xcd5 | FLAG_TF | FLAG_NT | FLAG_AC | FLAG_ID

/** Loads RFLAGS as POPF and IRET do, at the current privilege level. */
export function popFlags(cpu: Cpu, value: number, bits: number, withRf = true): void {
  const old = cpu.rflags
  const iopl = (old >> 12) & 3
  let mask = USER_FLAGS | (withRf ? FLAG_RF : 0)
  const isReal = isRealOrVm(cpu) && !(old & FLAG_VM)
  if (isReal || cpu.cpl === 0) mask |= FLAG_IOPL | FLAG_VIF | FLAG_VIP
  if (isReal || cpu.cpl <= iopl) mask |= FLAG_IF
  if (bits === 16) mask &= 0xffff
  cpu.rflags = (old & ~mask) | (value & mask)
  cpu.modeChanged()
}
