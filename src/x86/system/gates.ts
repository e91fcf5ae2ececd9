// Through a gate into a handler: the interrupt vector table in real mode, the IDT's interrupt,
// trap and task gates in protected mode, its 16-byte gates in long mode. Nothing of the
// processor has changed when one of these functions throws. (SDM vol. 3A, 6.10 to 6.14, 20.1.)

import type { Cpu } from '../cpu.ts'
import { GuestFault } from '../guest-fault.ts'
import { SUPERVISOR } from '../mmu/linear-memory.ts'
import { CR0_PE, EFER_LMA } from '../mmu/walker.ts'
import { FLAG_AC, FLAG_IF, FLAG_RF, FLAG_TF, FLAG_VM } from '../registers.ts'
import * as S from '../state.ts'
import {
  ATTR_CODE,
  ATTR_CONFORMING,
  ATTR_DB,
  ATTR_L,
  ATTR_P,
  ATTR_UNUSABLE,
} from './current-mode.ts'
import {
  attributesOf,
  type Descriptor,
  dplOf,
  isSystem,
  markAccessed,
  readDescriptor,
} from './descriptors.ts'
import { clearFlags, pushedFlags, type Source } from './flags-load.ts'
import { enterQuickly } from './quick-gate.ts'
import { INTERRUPT_GATE, TRAP_GATE } from './quick-segments.ts'
import { setSegment } from './segment-access.ts'
import {
  currentStack,
  innerStack,
  longStack,
  Pusher,
  setStackPointer,
  type Stack,
  taskStackPointer,
} from './stack-segment.ts'
import { switchThroughGate } from './task-switch.ts'

const GP = 13
const NP = 11

/** DF TS NP SS GP PF AC CP VC SX. */
const ERROR_CODES: ReadonlySet<number> = new Set([8, 10, 11, 12, 13, 14, 17, 21, 29, 30])
const TASK_GATE = 5
const INTERRUPT_GATE_16 = 6
const TRAP_GATE_16 = 7

/** Enters the handler of a vector. Throws GuestFault if that is not possible. */
export function enterGate(cpu: Cpu, vector: number, code: number, source: Source): void {
  if (!(cpu.cr0 & CR0_PE)) return enterReal(cpu, vector)
  const errorCode = source === 'exception' && ERROR_CODES.has(vector) ? code : undefined
  if (cpu.efer & EFER_LMA) return enterLong(cpu, vector, errorCode, source)
  return enterProtected(cpu, vector, errorCode, source)
}

function enterReal(cpu: Cpu, vector: number): void {
  const base = cpu.getU64(S.IDT_BASE)
  if (vector * 4 + 3 > cpu.getU32(S.IDT_LIMIT)) throw new GuestFault(GP)
  const entry = Number(cpu.readMemory(base + BigInt(vector * 4), 4, SUPERVISOR))
  const flags = cpu.rflags
  const push = new Pusher(cpu, currentStack(cpu), 16, 0)
  push.put(BigInt(flags & 0xffff))
  push.put(BigInt(cpu.selector(S.CS)))
  push.put(cpu.rip & 0xffffn)
  setStackPointer(cpu, push.pointer)
  const selector = (entry >>> 16) & 0xffff
  const attributes = cpu.segmentAttributes(S.CS)
  setSegment(cpu, S.CS, selector, BigInt(selector << 4), cpu.segmentLimit(S.CS), attributes)
  cpu.rip = BigInt(entry & 0xffff)
  cpu.rflags = flags & ~(FLAG_IF | FLAG_TF | FLAG_AC | FLAG_RF)
  cpu.modeChanged()
}

/** IDT vector as an error code. */
function idtCode(vector: number, source: Source): number {
  return vector * 8 + 2 + (source === 'software' ? 0 : 1)
}

/** Checks a gate that was found; `types` are the allowed ones. */
function checkGate(
  cpu: Cpu,
  attributes: number,
  types: readonly number[],
  vector: number,
  source: Source,
): number {
  const type = (attributes >> 8) & 31
  const isOpen = source !== 'software' || ((attributes >> 13) & 3) >= cpu.cpl
  if (!types.includes(type) || !isOpen) throw new GuestFault(GP, idtCode(vector, source))
  if (!(attributes & ATTR_P)) throw new GuestFault(NP, idtCode(vector, source))
  return type
}

/** The handler's code segment. */
function codeSegment(cpu: Cpu, selector: number): Descriptor {
  if ((selector & 0xfffc) === 0) throw new GuestFault(GP, 0)
  const cs = readDescriptor(cpu, selector)
  const isBad = isSystem(cs) || !(cs.high & ATTR_CODE) || dplOf(cs) > cpu.cpl
  if (isBad) throw new GuestFault(GP, selector & 0xfffc)
  if (!(cs.high & ATTR_P)) throw new GuestFault(NP, selector & 0xfffc)
  return cs
}

function setCode(cpu: Cpu, selector: number, cpl: number, cs: Descriptor, rip: bigint): void {
  setSegment(cpu, S.CS, (selector & ~3) | cpl, cs.base, cs.limit, attributesOf(cs))
  cpu.set32(S.CPL, cpl)
  cpu.rip = rip
}

function enterLong(cpu: Cpu, vector: number, code: number | undefined, source: Source): void {
  if (enterQuickly(cpu, vector, code, source)) return
  if (vector * 16 + 15 > cpu.getU32(S.IDT_LIMIT)) throw new GuestFault(GP, idtCode(vector, source))
  const address = cpu.getU64(S.IDT_BASE) + BigInt(vector * 16)
  const low = cpu.readMemory(address, 8, SUPERVISOR)
  const high = cpu.readMemory(address + 8n, 8, SUPERVISOR)
  const attributes = Number(low >> 32n) & 0xffff
  const type = checkGate(cpu, attributes, [INTERRUPT_GATE, TRAP_GATE], vector, source)
  const target = (low & 0xffffn) | ((low >> 32n) & 0xffff0000n) | ((high & 0xffffffffn) << 32n)
  const selector = Number(low >> 16n) & 0xffff
  const found = codeSegment(cpu, selector)
  const is64 = (found.high & (ATTR_L | ATTR_DB)) === ATTR_L
  if (!is64) throw new GuestFault(GP, selector & 0xfffc)
  if (BigInt.asUintN(64, BigInt.asIntN(48, target)) !== target) throw new GuestFault(GP, 0)
  const newCpl = found.high & ATTR_CONFORMING ? cpu.cpl : dplOf(found)
  const ist = attributes & 7
  const isInner = newCpl < cpu.cpl
  let rsp = cpu.readRegister(S.RSP)
  if (ist !== 0) rsp = taskStackPointer(cpu, 36 + (ist - 1) * 8)
  else if (isInner) rsp = taskStackPointer(cpu, 4 + newCpl * 8)
  const push = new Pusher(cpu, longStack(0, rsp & ~15n), 64, newCpl)
  push.put(BigInt(cpu.selector(S.SS)))
  push.put(cpu.readRegister(S.RSP))
  push.put(BigInt(pushedFlags(cpu, vector, source) >>> 0))
  push.put(BigInt(cpu.selector(S.CS)))
  push.put(cpu.rip)
  if (code !== undefined) push.put(BigInt(code))
  const cs = markAccessed(cpu, found)
  // Nothing can fail from here on.
  cpu.writeRegister(S.RSP, push.pointer)
  if (isInner) setSegment(cpu, S.SS, newCpl, 0n, 0, ATTR_UNUSABLE | (newCpl << 13))
  setCode(cpu, selector, newCpl, cs, target)
  clearFlags(cpu, type === INTERRUPT_GATE)
}

const PROTECTED_GATES: readonly number[] = [
  TASK_GATE,
  INTERRUPT_GATE_16,
  TRAP_GATE_16,
  INTERRUPT_GATE,
  TRAP_GATE,
]

function enterProtected(cpu: Cpu, vector: number, code: number | undefined, source: Source): void {
  if (vector * 8 + 7 > cpu.getU32(S.IDT_LIMIT)) throw new GuestFault(GP, idtCode(vector, source))
  const gate = cpu.readMemory(cpu.getU64(S.IDT_BASE) + BigInt(vector * 8), 8, SUPERVISOR)
  const type = checkGate(cpu, Number(gate >> 32n) & 0xffff, PROTECTED_GATES, vector, source)
  const selector = Number(gate >> 16n) & 0xffff
  if (type === TASK_GATE) {
    return switchThroughGate(cpu, selector, code, pushedFlags(cpu, vector, source))
  }
  const bits = type >= INTERRUPT_GATE ? 32 : 16
  const target = (gate & 0xffffn) | (bits === 32 ? (gate >> 32n) & 0xffff0000n : 0n)
  const found = codeSegment(cpu, selector)
  const flags = pushedFlags(cpu, vector, source)
  const isVm = (flags & FLAG_VM) !== 0
  const newCpl = found.high & ATTR_CONFORMING ? cpu.cpl : dplOf(found)
  if (isVm && newCpl !== 0) throw new GuestFault(GP, selector & 0xfffc)
  if (target > BigInt(found.limit)) throw new GuestFault(GP, 0)
  const inner = newCpl < cpu.cpl ? innerStack(cpu, newCpl) : undefined
  const push = new Pusher(cpu, inner ?? currentStack(cpu), bits, newCpl)
  if (inner) {
    if (isVm) for (const s of [S.GS, S.FS, S.DS, S.ES]) push.put(BigInt(cpu.selector(s)))
    push.put(BigInt(cpu.selector(S.SS)))
    push.put(cpu.readRegister(S.RSP))
  }
  push.put(BigInt(flags >>> 0))
  push.put(BigInt(cpu.selector(S.CS)))
  push.put(cpu.rip)
  if (code !== undefined) push.put(BigInt(code))
  const cs = markAccessed(cpu, found)
  // Nothing can fail from here on.
  if (isVm) for (const s of [S.GS, S.FS, S.DS, S.ES]) setSegment(cpu, s, 0, 0n, 0, ATTR_UNUSABLE)
  if (inner) loadStack(cpu, inner)
  setCode(cpu, selector, newCpl, cs, target)
  clearFlags(cpu, !(type & 1))
  setStackPointer(cpu, push.pointer)
}

/** Makes a stack the current one; RSP is for the caller to set. */
export function loadStack(cpu: Cpu, stack: Stack): void {
  setSegment(cpu, S.SS, stack.selector, stack.base, stack.limit, stack.attributes)
}
