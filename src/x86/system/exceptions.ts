// Delivery of exceptions and interrupts: through the interrupt vector table in real mode, the
// IDT's gates in protected and long mode; faults during delivery become double faults, faults
// during those a triple fault. (SDM vol. 3A, chapter 6; double faults: table 6-5.)

import type { Cpu } from '../cpu.ts'
import { GuestFault } from '../guest-fault.ts'
import { SUPERVISOR } from '../mmu/linear-memory.ts'
import { CR0_PE, EFER_LMA } from '../mmu/walker.ts'
import {
  FLAG_AC,
  FLAG_IF,
  FLAG_NT,
  FLAG_RF,
  FLAG_TF,
  FLAG_VM,
} from '../registers.ts'
import * as S from '../state.ts'
import {
  ATTR_CODE,
  ATTR_CONFORMING,
  ATTR_DB,
  ATTR_L,
  ATTR_P,
  ATTR_S,
  ATTR_UNUSABLE,
  ATTR_WRITABLE,
} from './current-mode.ts'
import { attributesOf, dplOf, isSystem, markAccessed, readDescriptor } from './descriptors.ts'
import { setSegment } from './segment-access.ts'

const DE = 0
const DB = 1
const NMI = 2
const DF = 8
const TS = 10
const NP = 11
const SS = 12
const GP = 13
const PF = 14

/** The processor cannot go on: a fault while a double fault was being delivered, or worse. */
export class TripleFault extends Error {
  override readonly cause: string

  constructor(cause: string) {
    super(cause)
    this.cause = cause
  }
}

/** Where an event comes from, as far as delivery treats it differently. */
export type Source = 'exception' | 'external' | 'software'

const ERROR_CODES: ReadonlySet<number> = new Set([DF, TS, NP, SS, GP, PF, 17, 21, 29, 30])
/** Contributory exceptions of table 6-5. */
const CONTRIBUTORY: ReadonlySet<number> = new Set([DE, TS, NP, SS, GP])
/** Exceptions that are traps: RF is not set in the image they push. */
const TRAPS: ReadonlySet<number> = new Set([3, 4])

/** Delivers a fault or trap of the guest; RIP is what shall be pushed. */
export function deliverException(cpu: Cpu, vector: number, code: number, address: bigint): void {
  if (vector === PF) cpu.setU64(S.CR2, address)
  deliver(cpu, vector, code, 'exception')
}

/** Delivers an external interrupt. */
export function deliverInterrupt(cpu: Cpu, vector: number): void {
  deliver(cpu, vector, 0, 'external')
}

/** Delivers a non-maskable interrupt; further ones wait for IRET. */
export function deliverNmi(cpu: Cpu): void {
  cpu.isNmiBlocked = true
  deliver(cpu, NMI, 0, 'external')
}

/** INT n, INT3 and INTO: RIP lies behind the instruction, gates are checked against CPL. */
export function deliverSoftware(cpu: Cpu, vector: number): void {
  enterGate(cpu, vector, 0, 'software')
}

function deliver(cpu: Cpu, first: number, firstCode: number, source: Source): void {
  let vector = first
  let code = firstCode
  let kind = source
  for (;;) {
    const rsp = cpu.readRegister(S.RSP)
    try {
      enterGate(cpu, vector, code, kind)
      return
    } catch (fault) {
      if (!(fault instanceof GuestFault)) throw fault
      cpu.writeRegister(S.RSP, rsp)
      if (vector === DF) throw new TripleFault(describe(cpu, first, fault))
      if (fault.vector === PF) cpu.setU64(S.CR2, fault.address)
      const isDouble =
        (CONTRIBUTORY.has(vector) && CONTRIBUTORY.has(fault.vector)) ||
        (vector === PF && (CONTRIBUTORY.has(fault.vector) || fault.vector === PF))
      vector = isDouble ? DF : fault.vector
      // Bit 0 of an error code: the event was not the program's own.
      code = isDouble ? 0 : fault.vector === PF ? fault.code : fault.code | 1
      kind = 'exception'
    }
  }
}

function describe(cpu: Cpu, vector: number, last: GuestFault): string {
  const at = cpu.rip.toString(16)
  return (
    `triple fault at RIP 0x${at}: vector ${vector} could not be delivered ` +
    `(vector ${last.vector}, error code 0x${last.code.toString(16)})`
  )
}

function enterGate(cpu: Cpu, vector: number, code: number, source: Source): void {
  const hasCode = source === 'exception' && ERROR_CODES.has(vector)
  if (!(cpu.cr0 & CR0_PE)) return enterReal(cpu, vector)
  if (cpu.efer & EFER_LMA) return enterLong(cpu, vector, hasCode ? code : undefined, source)
  return enterProtected(cpu, vector, hasCode ? code : undefined, source)
}

/** RFLAGS as delivery pushes them. */
function pushedFlags(cpu: Cpu, vector: number, source: Source): number {
  const flags = cpu.rflags
  const isFault = source === 'exception' && !TRAPS.has(vector) && vector !== DB
  return isFault ? flags | FLAG_RF : flags
}

function enterReal(cpu: Cpu, vector: number): void {
  const base = cpu.getU64(S.IDT_BASE)
  if (vector * 4 + 3 > cpu.getU32(S.IDT_LIMIT)) throw new GuestFault(GP)
  const entry = Number(cpu.readMemory(base + BigInt(vector * 4), 4, SUPERVISOR))
  const flags = cpu.rflags
  const push = new Pusher(cpu, S.SS, cpu.readRegister(S.RSP) & 0xffffn, 16, 0xffffn)
  push.put(BigInt(flags & 0xffff))
  push.put(BigInt(cpu.selector(S.CS)))
  push.put(cpu.rip & 0xffffn)
  cpu.writeRegister(S.RSP, (cpu.readRegister(S.RSP) & ~0xffffn) | push.pointer)
  const selector = (entry >>> 16) & 0xffff
  setSegment(cpu, S.CS, selector, BigInt(selector << 4), 0xffff, cpu.segmentAttributes(S.CS))
  cpu.rip = BigInt(entry & 0xffff)
  cpu.rflags = flags & ~(FLAG_IF | FLAG_TF | FLAG_AC | FLAG_RF)
  cpu.modeChanged()
}

/** Pushes onto a stack that may not be the current one. */
class Pusher {
  readonly #cpu: Cpu
  readonly #base: bigint
  readonly #bits: number
  readonly #mask: bigint
  pointer: bigint

  /** `segment`: whose base applies; -1 for a base of zero. */
  constructor(cpu: Cpu, segment: number | bigint, pointer: bigint, bits: number, mask: bigint) {
    this.#cpu = cpu
    this.#base = typeof segment === 'bigint' ? segment : cpu.segmentBase(segment)
    this.#bits = bits
    this.#mask = mask
    this.pointer = pointer
  }

  put(value: bigint): void {
    const bytes = this.#bits / 8
    this.pointer = (this.pointer - BigInt(bytes)) & this.#mask
    const linear = BigInt.asUintN(64, this.#base + this.pointer)
    this.#cpu.writeMemory(linear, bytes, value, SUPERVISOR)
  }
}

/** IDT vector as an error code. */
function idtCode(vector: number, source: Source): number {
  return vector * 8 + 2 + (source === 'software' ? 0 : 1)
}

function enterLong(cpu: Cpu, vector: number, code: number | undefined, source: Source): void {
  const bad = () => new GuestFault(GP, idtCode(vector, source))
  if (vector * 16 + 15 > cpu.getU32(S.IDT_LIMIT)) throw bad()
  const address = cpu.getU64(S.IDT_BASE) + BigInt(vector * 16)
  const low = cpu.readMemory(address, 8, SUPERVISOR)
  const high = cpu.readMemory(address + 8n, 8, SUPERVISOR)
  const attributes = Number(low >> 32n) & 0xffff
  const type = (attributes >> 8) & 31
  if (type !== 14 && type !== 15) throw bad()
  if (source === 'software' && ((attributes >> 13) & 3) < cpu.cpl) throw bad()
  if (!(attributes & ATTR_P)) throw new GuestFault(NP, idtCode(vector, source))
  const target = (low & 0xffffn) | ((low >> 32n) & 0xffff0000n) | ((high & 0xffffffffn) << 32n)
  const selector = Number(low >> 16n) & 0xffff
  const cs = codeSegment(cpu, selector)
  if (!(cs.high & ATTR_L) || cs.high & ATTR_DB) throw new GuestFault(GP, selector & 0xfffc)
  const newCpl = cs.high & ATTR_CONFORMING ? cpu.cpl : dplOf(cs)
  const ist = attributes & 7
  const isInner = newCpl < cpu.cpl
  let rsp = cpu.readRegister(S.RSP)
  if (ist !== 0) rsp = tssField(cpu, 36 + (ist - 1) * 8)
  else if (isInner) rsp = tssField(cpu, 4 + newCpl * 8)
  const flags = pushedFlags(cpu, vector, source)
  const push = new Pusher(cpu, 0n, rsp & ~15n, 64, 0xffffffffffffffffn)
  push.put(BigInt(cpu.selector(S.SS)))
  push.put(cpu.readRegister(S.RSP))
  push.put(BigInt(flags >>> 0))
  push.put(BigInt(cpu.selector(S.CS)))
  push.put(cpu.rip)
  if (code !== undefined) push.put(BigInt(code))
  // Nothing can fail from here on.
  cpu.writeRegister(S.RSP, push.pointer)
  if (isInner) {
    setSegment(cpu, S.SS, newCpl, 0n, 0xffffffff, ATTR_P | ATTR_S | ATTR_WRITABLE | ATTR_UNUSABLE)
  }
  setSegment(cpu, S.CS, (selector & ~3) | newCpl, cs.base, cs.limit, attributesOf(cs))
  cpu.set32(S.CPL, newCpl)
  cpu.rip = target
  const cleared = FLAG_TF | FLAG_NT | FLAG_RF | FLAG_VM | (type === 14 ? FLAG_IF : 0)
  cpu.set32(S.RFLAGS, cpu.getI32(S.RFLAGS) & ~cleared)
  cpu.modeChanged()
}

function codeSegment(cpu: Cpu, selector: number) {
  if ((selector & 0xfffc) === 0) throw new GuestFault(GP, 0)
  const cs = readDescriptor(cpu, selector)
  const bad = isSystem(cs) || !(cs.high & ATTR_CODE) || dplOf(cs) > cpu.cpl
  if (bad) throw new GuestFault(GP, selector & 0xfffc)
  if (!(cs.high & ATTR_P)) throw new GuestFault(NP, selector & 0xfffc)
  return markAccessed(cpu, cs)
}

/** A 64-bit field of the 64-bit TSS. */
function tssField(cpu: Cpu, offset: number): bigint {
  if (offset + 7 > cpu.segmentLimit(S.TR)) throw new GuestFault(TS, cpu.selector(S.TR) & 0xfffc)
  const value = cpu.readMemory(cpu.segmentBase(S.TR) + BigInt(offset), 8, SUPERVISOR)
  if (BigInt.asUintN(64, BigInt.asIntN(48, value)) !== value) throw new GuestFault(SS, 0)
  return value
}

function enterProtected(cpu: Cpu, vector: number, code: number | undefined, source: Source): void {
  const bad = () => new GuestFault(GP, idtCode(vector, source))
  if (vector * 8 + 7 > cpu.getU32(S.IDT_LIMIT)) throw bad()
  const gate = cpu.readMemory(cpu.getU64(S.IDT_BASE) + BigInt(vector * 8), 8, SUPERVISOR)
  const attributes = Number(gate >> 32n) & 0xffff
  const type = (attributes >> 8) & 31
  // 5 task gate; 6, 7 16-bit and 14, 15 32-bit interrupt and trap gates.
  if (![6, 7, 14, 15].includes(type)) throw bad()
  if (source === 'software' && ((attributes >> 13) & 3) < cpu.cpl) throw bad()
  if (!(attributes & ATTR_P)) throw new GuestFault(NP, idtCode(vector, source))
  const bits = type >= 14 ? 32 : 16
  const target = (gate & 0xffffn) | (bits === 32 ? (gate >> 32n) & 0xffff0000n : 0n)
  const selector = Number(gate >> 16n) & 0xffff
  const cs = codeSegment(cpu, selector)
  const newCpl = cs.high & ATTR_CONFORMING ? cpu.cpl : dplOf(cs)
  const flags = pushedFlags(cpu, vector, source)
  const isVm = (flags & FLAG_VM) !== 0
  const isInner = newCpl < cpu.cpl
  const stack = isInner ? innerStack(cpu, newCpl) : undefined
  const push = stack
    ? new Pusher(cpu, stack.base, stack.pointer, bits, stack.mask)
    : new Pusher(cpu, S.SS, cpu.readRegister(S.RSP) & stackMask(cpu), bits, stackMask(cpu))
  if (stack) {
    if (isVm) for (const s of [S.GS, S.FS, S.DS, S.ES]) push.put(BigInt(cpu.selector(s)))
    push.put(BigInt(cpu.selector(S.SS)))
    push.put(cpu.readRegister(S.RSP))
  }
  push.put(BigInt(flags >>> 0))
  push.put(BigInt(cpu.selector(S.CS)))
  push.put(cpu.rip)
  if (code !== undefined) push.put(BigInt(code))
  if (stack) {
    setSegment(cpu, S.SS, stack.selector, stack.base, stack.limit, stack.attributes)
    cpu.writeRegister(S.RSP, push.pointer)
    const none = ATTR_UNUSABLE
    if (isVm) for (const s of [S.GS, S.FS, S.DS, S.ES]) setSegment(cpu, s, 0, 0n, 0, none)
  } else {
    const mask = stackMask(cpu)
    cpu.writeRegister(S.RSP, (cpu.readRegister(S.RSP) & ~mask & 0xffffffffn) | push.pointer)
  }
  setSegment(cpu, S.CS, (selector & ~3) | newCpl, cs.base, cs.limit, attributesOf(cs))
  cpu.set32(S.CPL, newCpl)
  cpu.rip = target
  const cleared = FLAG_TF | FLAG_NT | FLAG_RF | FLAG_VM | (type & 1 ? 0 : FLAG_IF)
  cpu.set32(S.RFLAGS, cpu.getI32(S.RFLAGS) & ~cleared)
  cpu.modeChanged()
}

/** The part of RSP that the stack segment uses. */
function stackMask(cpu: Cpu): bigint {
  return cpu.segmentAttributes(S.SS) & ATTR_DB ? 0xffffffffn : 0xffffn
}

interface InnerStack {
  readonly selector: number
  readonly base: bigint
  readonly limit: number
  readonly attributes: number
  readonly pointer: bigint
  readonly mask: bigint
}

/** The stack of an inner privilege level, from the 16- or 32-bit TSS. */
function innerStack(cpu: Cpu, level: number): InnerStack {
  const tr = cpu.selector(S.TR) & 0xfffc
  const is32 = ((cpu.segmentAttributes(S.TR) >> 8) & 8) !== 0
  const at = is32 ? 4 + level * 8 : 2 + level * 4
  const size = is32 ? 4 : 2
  if (at + size + 1 > cpu.segmentLimit(S.TR)) throw new GuestFault(TS, tr)
  const base = cpu.segmentBase(S.TR)
  const pointer = cpu.readMemory(base + BigInt(at), size, SUPERVISOR)
  const selector = Number(cpu.readMemory(base + BigInt(at + size), 2, SUPERVISOR))
  const code = selector & 0xfffc
  if (code === 0) throw new GuestFault(TS, 0)
  const ss = readDescriptor(cpu, selector, TS)
  const isData = !isSystem(ss) && !(ss.high & ATTR_CODE) && (ss.high & ATTR_WRITABLE) !== 0
  if (!isData || (selector & 3) !== level || dplOf(ss) !== level) throw new GuestFault(TS, code)
  if (!(ss.high & ATTR_P)) throw new GuestFault(SS, code)
  const marked = markAccessed(cpu, ss)
  return {
    selector,
    base: ss.base,
    limit: ss.limit,
    attributes: attributesOf(marked),
    pointer,
    mask: ss.high & ATTR_DB ? 0xffffffffn : 0xffffn,
  }
}
