// Stacks as far transfers and the delivery of events use them: the current one, and those of
// inner privilege levels that the task state segment names. (SDM vol. 3A, 6.2, 7.12 and 8.2.)

import type { Cpu } from '../cpu.ts'
import { GuestFault } from '../guest-fault.ts'
import { type Privilege, SUPERVISOR, USER } from '../mmu/linear-memory.ts'
import * as S from '../state.ts'
import { ATTR_CODE, ATTR_DB, ATTR_P, ATTR_UNUSABLE, ATTR_WRITABLE } from './current-mode.ts'
import { attributesOf, dplOf, isSystem, markAccessed, readDescriptor } from './descriptors.ts'
import { isWithin, REAL_DATA } from './segment-access.ts'
import { isRealOrVm } from './segment-load.ts'

const TS = 10
const SS = 12
const GP = 13

const MASK_64 = 0xffffffffffffffffn

/** A stack segment, loaded or about to be, and the pointer into it. */
export interface Stack {
  readonly selector: number
  readonly base: bigint
  readonly limit: number
  readonly attributes: number
  /** The part of RSP that counts; all of it: a flat stack without limits. */
  readonly mask: bigint
  readonly pointer: bigint
  /** Selector for #SS: 0 for the current stack. */
  readonly errorCode: number
}

/** The part of RSP that the current stack uses. */
export function stackMask(cpu: Cpu): bigint {
  if (cpu.codeSize === 64) return MASK_64
  return cpu.segmentAttributes(S.SS) & ATTR_DB ? 0xffffffffn : 0xffffn
}

/** The stack that SS and RSP name now. */
export function currentStack(cpu: Cpu): Stack {
  const mask = stackMask(cpu)
  return {
    selector: cpu.selector(S.SS),
    base: mask === MASK_64 ? 0n : cpu.segmentBase(S.SS),
    limit: cpu.segmentLimit(S.SS),
    attributes: isRealOrVm(cpu) ? REAL_DATA : cpu.segmentAttributes(S.SS),
    mask,
    pointer: cpu.readRegister(S.RSP) & mask,
    errorCode: 0,
  }
}

/** A flat 64-bit stack. */
export function longStack(selector: number, pointer: bigint): Stack {
  const attributes = ATTR_UNUSABLE
  return { selector, base: 0n, limit: 0, attributes, mask: MASK_64, pointer, errorCode: 0 }
}

/** Sets the stack pointer at the width of the current stack. */
export function setStackPointer(cpu: Cpu, value: bigint): void {
  const mask = stackMask(cpu)
  const kept = mask === 0xffffn ? cpu.readRegister(S.RSP) & ~mask : 0n
  cpu.writeRegister(S.RSP, kept | (value & mask))
}

/** Linear address of `size` bytes at an offset of a stack; #SS if they lie beyond it. */
function linearOf(stack: Stack, offset: bigint, size: number, isWrite: boolean): bigint {
  if (stack.mask === MASK_64) return offset
  if (!isWithin(stack.attributes, stack.limit, Number(offset), size, isWrite)) {
    throw new GuestFault(SS, stack.errorCode)
  }
  return (stack.base + offset) & 0xffffffffn
}

/** Addresses that are not canonical are #SS on stacks. */
function asStackFault(fault: unknown, stack: Stack): unknown {
  const isAddress = fault instanceof GuestFault && fault.vector === GP
  return isAddress ? new GuestFault(SS, stack.errorCode) : fault
}

/** Pushes onto a stack that may not be the current one; RSP stays. */
export class Pusher {
  readonly #cpu: Cpu
  readonly #stack: Stack
  readonly #bytes: number
  readonly #who: Privilege
  pointer: bigint

  /** Words of `bits` bits, with the rights of privilege level `cpl`. */
  constructor(cpu: Cpu, stack: Stack, bits: number, cpl: number) {
    this.#cpu = cpu
    this.#stack = stack
    this.#bytes = bits / 8
    this.#who = cpl === 3 ? USER : SUPERVISOR
    this.pointer = stack.pointer
  }

  put(value: bigint): void {
    const pointer = (this.pointer - BigInt(this.#bytes)) & this.#stack.mask
    const linear = linearOf(this.#stack, pointer, this.#bytes, true)
    try {
      this.#cpu.writeMemory(linear, this.#bytes, value, this.#who)
    } catch (fault) {
      throw asStackFault(fault, this.#stack)
    }
    this.pointer = pointer
  }
}

/** Reads words above the stack pointer of the current stack; RSP stays. */
export class StackReader {
  readonly #cpu: Cpu
  readonly #stack: Stack
  readonly #bytes: number
  /** Bytes read so far, and skipped. */
  offset = 0

  constructor(cpu: Cpu, bits: number) {
    this.#cpu = cpu
    this.#stack = currentStack(cpu)
    this.#bytes = bits / 8
  }

  next(): bigint {
    const offset = (this.#stack.pointer + BigInt(this.offset)) & this.#stack.mask
    const linear = linearOf(this.#stack, offset, this.#bytes, false)
    this.offset += this.#bytes
    try {
      return this.#cpu.readMemory(linear, this.#bytes)
    } catch (fault) {
      throw asStackFault(fault, this.#stack)
    }
  }

  /** Moves the stack pointer behind what was read, and `extra` bytes more. */
  release(extra = 0): void {
    setStackPointer(this.#cpu, this.#stack.pointer + BigInt(this.offset + extra))
  }
}

/** A stack pointer of the 64-bit TSS: RSP0 to RSP2 at 4, IST1 to IST7 at 36. */
export function taskStackPointer(cpu: Cpu, offset: number): bigint {
  if (offset + 7 > cpu.segmentLimit(S.TR)) throw new GuestFault(TS, cpu.selector(S.TR) & 0xfffc)
  const value = cpu.readMemory(cpu.segmentBase(S.TR) + BigInt(offset), 8, SUPERVISOR)
  if (BigInt.asUintN(64, BigInt.asIntN(48, value)) !== value) throw new GuestFault(SS, 0)
  return value
}

/** The stack of an inner privilege level, from the 16- or 32-bit TSS. */
export function innerStack(cpu: Cpu, level: number): Stack {
  const tr = cpu.selector(S.TR) & 0xfffc
  const is32 = ((cpu.segmentAttributes(S.TR) >> 8) & 8) !== 0
  const at = is32 ? 4 + level * 8 : 2 + level * 4
  const size = is32 ? 4 : 2
  if (at + size + 1 > cpu.segmentLimit(S.TR)) throw new GuestFault(TS, tr)
  const base = cpu.segmentBase(S.TR)
  const pointer = cpu.readMemory(base + BigInt(at), size, SUPERVISOR)
  const selector = Number(cpu.readMemory(base + BigInt(at + size), 2, SUPERVISOR))
  const errorCode = selector & 0xfffc
  if (errorCode === 0) throw new GuestFault(TS, 0)
  const ss = readDescriptor(cpu, selector, TS)
  const isData = !isSystem(ss) && (ss.high & (ATTR_CODE | ATTR_WRITABLE)) === ATTR_WRITABLE
  if (!isData || (selector & 3) !== level || dplOf(ss) !== level) {
    throw new GuestFault(TS, errorCode)
  }
  if (!(ss.high & ATTR_P)) throw new GuestFault(SS, errorCode)
  const mask = ss.high & ATTR_DB ? 0xffffffffn : 0xffffn
  const attributes = attributesOf(markAccessed(cpu, ss))
  return {
    selector,
    base: ss.base,
    limit: ss.limit,
    attributes,
    mask,
    pointer: pointer & mask,
    errorCode,
  }
}
