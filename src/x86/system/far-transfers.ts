// Far JMP, CALL and RET: between code segments, through call gates, to other tasks. (SDM vol. 2,
// the instructions' operation sections; vol. 3A, 6.8.) IRET is in interrupt-return.ts.

import type { Cpu } from '../cpu.ts'
import { GuestFault } from '../guest-fault.ts'
import { SUPERVISOR } from '../mmu/linear-memory.ts'
import { EFER_LMA } from '../mmu/walker.ts'
import * as S from '../state.ts'
import {
  ATTR_CODE,
  ATTR_CONFORMING,
  ATTR_DB,
  ATTR_L,
  ATTR_P,
  ATTR_UNUSABLE,
} from './current-mode.ts'
import { type Descriptor, dplOf, isSystem, readDescriptor, typeOf } from './descriptors.ts'
import { loadStack } from './gates.ts'
import {
  checkTarget,
  returnSegment,
  returnStack,
  returnToOuter,
  setCode,
  setRealCode,
} from './return-segments.ts'
import { isRealOrVm } from './segment-load.ts'
import { setSegment } from './segment-access.ts'
import {
  currentStack,
  innerStack,
  longStack,
  Pusher,
  setStackPointer,
  StackReader,
  taskStackPointer,
} from './stack-segment.ts'
import { switchTask } from './task-switch.ts'

const NP = 11
const GP = 13

const CALL_GATE_16 = 4
const TASK_GATE = 5
const CALL_GATE = 12
const TASK_STATES: readonly number[] = [1, 3, 9, 11]

function isLongMode(cpu: Cpu): boolean {
  return (cpu.efer & EFER_LMA) !== 0
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
    const rip = bits === 16 ? offset & 0xffffn : offset
    if (rip > BigInt(cpu.segmentLimit(S.CS))) throw new GuestFault(GP, 0)
    if (isCall) pushReturn(cpu, next, bits)
    return setRealCode(cpu, selector, rip)
  }
  const code = selector & 0xfffc
  if (code === 0) throw new GuestFault(GP, 0)
  const target = readDescriptor(cpu, selector)
  if (isSystem(target)) return throughSystem(cpu, selector, target, isCall)
  if (!(target.high & ATTR_CODE)) throw new GuestFault(GP, code)
  const isMixed = (target.high & (ATTR_L | ATTR_DB)) === (ATTR_L | ATTR_DB)
  if (isLongMode(cpu) && isMixed) throw new GuestFault(GP, code)
  const isConforming = (target.high & ATTR_CONFORMING) !== 0
  const isAllowed = isConforming
    ? dplOf(target) <= cpu.cpl
    : (selector & 3) <= cpu.cpl && dplOf(target) === cpu.cpl
  if (!isAllowed) throw new GuestFault(GP, code)
  if (!(target.high & ATTR_P)) throw new GuestFault(NP, code)
  const rip = bits === 16 ? offset & 0xffffn : bits === 32 ? offset & 0xffffffffn : offset
  checkTarget(cpu, target, rip)
  if (isCall) pushReturn(cpu, next, bits)
  setCode(cpu, selector, cpu.cpl, target, rip)
}

/** Pushes CS and RIP onto the current stack; nothing changes if that faults. */
function pushReturn(cpu: Cpu, rip: bigint, bits: number): void {
  const push = new Pusher(cpu, currentStack(cpu), bits, cpu.cpl)
  push.put(BigInt(cpu.selector(S.CS)))
  push.put(rip)
  setStackPointer(cpu, push.pointer)
}

/** A far transfer through a call or task gate, or to a task state segment. */
function throughSystem(cpu: Cpu, selector: number, found: Descriptor, isCall: boolean): void {
  const code = selector & 0xfffc
  const type = typeOf(found)
  const isLong = isLongMode(cpu)
  const isTask = !isLong && (type === TASK_GATE || TASK_STATES.includes(type))
  const isCallGate = type === CALL_GATE || (type === CALL_GATE_16 && !isLong)
  if (!isTask && !isCallGate) throw new GuestFault(GP, code)
  if (dplOf(found) < Math.max(cpu.cpl, selector & 3)) throw new GuestFault(GP, code)
  if (!(found.high & ATTR_P)) throw new GuestFault(NP, code)
  if (isCallGate) return throughCallGate(cpu, selector, found, isCall)
  const task = type === TASK_GATE ? found.low >>> 16 : selector
  switchTask(cpu, task, isCall ? 'call' : 'jump', cpu.nextRip)
  cpu.skipSingleStep()
}

/** Offset in a call gate; in long mode a second slot has its upper half. */
function gateOffset(cpu: Cpu, selector: number, gate: Descriptor): bigint {
  const low = BigInt(((gate.low & 0xffff) | (gate.high & 0xffff0000)) >>> 0)
  if (!isLongMode(cpu)) return typeOf(gate) === CALL_GATE_16 ? low & 0xffffn : low
  const upper = cpu.readMemory(gate.address + 8n, 8, SUPERVISOR)
  // The type field of the second slot must be zero.
  if ((upper >> 40n) & 31n) throw new GuestFault(GP, selector & 0xfffc)
  return low | ((upper & 0xffffffffn) << 32n)
}

function throughCallGate(cpu: Cpu, selector: number, gate: Descriptor, isCall: boolean): void {
  const isLong = isLongMode(cpu)
  const offset = gateOffset(cpu, selector, gate)
  const inside = gate.low >>> 16
  const code = inside & 0xfffc
  if (code === 0) throw new GuestFault(GP, 0)
  const target = readDescriptor(cpu, inside)
  const isBad = isSystem(target) || !(target.high & ATTR_CODE) || dplOf(target) > cpu.cpl
  const is64 = (target.high & (ATTR_L | ATTR_DB)) === ATTR_L
  if (isBad || (isLong && !is64)) throw new GuestFault(GP, code)
  const isConforming = (target.high & ATTR_CONFORMING) !== 0
  if (!isCall && !isConforming && dplOf(target) !== cpu.cpl) throw new GuestFault(GP, code)
  if (!(target.high & ATTR_P)) throw new GuestFault(NP, code)
  checkTarget(cpu, target, offset)
  const bits = isLong ? 64 : typeOf(gate) === CALL_GATE ? 32 : 16
  if (isCall && !isConforming && dplOf(target) < cpu.cpl) {
    return callInner(cpu, inside, target, offset, bits, isLong ? 0 : gate.high & 31)
  }
  if (isCall) pushReturn(cpu, cpu.nextRip, bits)
  setCode(cpu, inside, cpu.cpl, target, offset)
}

/** CALL to an inner privilege level: `count` parameters move to its stack. */
function callInner(
  cpu: Cpu,
  selector: number,
  target: Descriptor,
  rip: bigint,
  bits: number,
  count: number,
): void {
  const level = dplOf(target)
  const isLong = bits === 64
  const stack = isLong
    ? longStack(level, taskStackPointer(cpu, 4 + level * 8))
    : innerStack(cpu, level)
  const outer = new StackReader(cpu, bits)
  const parameters = Array.from({ length: count }, () => outer.next()).reverse()
  const push = new Pusher(cpu, stack, bits, level)
  push.put(BigInt(cpu.selector(S.SS)))
  push.put(cpu.readRegister(S.RSP))
  for (const parameter of parameters) push.put(parameter)
  push.put(BigInt(cpu.selector(S.CS)))
  push.put(cpu.nextRip)
  if (isLong) setSegment(cpu, S.SS, level, 0n, 0, ATTR_UNUSABLE | (level << 13))
  else loadStack(cpu, stack)
  setCode(cpu, selector, level, target, rip)
  setStackPointer(cpu, push.pointer)
}

/** RET far; `extra` bytes of parameters are released as well. */
export function farReturn(cpu: Cpu, bits: number, extra: number): void {
  const stack = new StackReader(cpu, bits)
  const rip = stack.next()
  const selector = Number(stack.next() & 0xffffn)
  if (isRealOrVm(cpu)) {
    if (rip > BigInt(cpu.segmentLimit(S.CS))) throw new GuestFault(GP, 0)
    stack.release(extra)
    return setRealCode(cpu, selector, rip)
  }
  const target = returnSegment(cpu, selector)
  checkTarget(cpu, target, rip)
  const newCpl = selector & 3
  if (newCpl === cpu.cpl) {
    stack.release(extra)
    return setCode(cpu, selector, newCpl, target, rip)
  }
  stack.offset += extra
  const rsp = stack.next()
  const ss = Number(stack.next() & 0xffffn)
  const segment = returnStack(cpu, ss, newCpl, (target.high & ATTR_L) !== 0)
  returnToOuter(cpu, { selector, target, rip, ss, segment, rsp: rsp + BigInt(extra) })
}
