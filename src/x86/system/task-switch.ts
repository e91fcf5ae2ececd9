// Hardware task switches, outside long mode: by JMP, CALL and IRET, through task gates, between
// 16- and 32-bit task state segments. (SDM vol. 3A, 8.2, 8.3 and table 8-1.) Faults while the
// new task's segments are loaded belong to the new task.

import type { Cpu } from '../cpu.ts'
import { GuestFault } from '../guest-fault.ts'
import { SUPERVISOR } from '../mmu/linear-memory.ts'
import { CR0_PG, CR0_TS } from '../mmu/walker.ts'
import { FLAG_NT, FLAG_VM } from '../registers.ts'
import * as S from '../state.ts'
import { writeCr3 } from './control-registers.ts'
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
  typeOf,
} from './descriptors.ts'
import { setSegment } from './segment-access.ts'
import { currentStack, Pusher, setStackPointer } from './stack-segment.ts'
import { loadVmSegment } from './virtual-8086.ts'

const DB = 1
const TS = 10
const NP = 11
const SS = 12
const GP = 13
const DR6_BT = 1 << 15

const BUSY = 2
const TSS_16 = 1
const TSS_32 = 9

/** Where the fields of a task state segment lie. */
interface Layout {
  readonly bytes: number
  readonly limit: number
  readonly ip: number
  readonly flags: number
  readonly registers: number
  readonly segments: number
  readonly ldt: number
}

const LAYOUT_32: Layout = {
  bytes: 4,
  limit: 0x67,
  ip: 0x20,
  flags: 0x24,
  registers: 0x28,
  segments: 0x48,
  ldt: 0x60,
}
const LAYOUT_16: Layout = {
  bytes: 2,
  limit: 0x2b,
  ip: 0x0e,
  flags: 0x10,
  registers: 0x12,
  segments: 0x22,
  ldt: 0x2a,
}
const CR3_FIELD = 0x1c
const TRAP_FIELD = 0x64

/** How a task is left: a jump and IRET end it, a call and an event nest the new one. */
export type Reason = 'jump' | 'call' | 'return' | 'event'

/** The values of a task state segment. */
interface Task {
  readonly is32: boolean
  readonly cr3: bigint
  readonly ip: bigint
  readonly flags: number
  readonly registers: readonly bigint[]
  readonly segments: readonly number[]
  readonly ldt: number
  readonly traps: boolean
}

const layoutOf = (type: number): Layout => (type & 8 ? LAYOUT_32 : LAYOUT_16)

/** An event that a task gate handles; RIP is what the old task goes on with. */
export function switchThroughGate(
  cpu: Cpu,
  selector: number,
  code: number | undefined,
  flags: number,
): void {
  switchTask(cpu, selector, 'event', cpu.rip, flags)
  if (code === undefined) return
  const bits = cpu.segmentAttributes(S.TR) & 0x800 ? 32 : 16
  inNewTask(() => {
    const push = new Pusher(cpu, currentStack(cpu), bits, cpu.cpl)
    push.put(BigInt(code))
    setStackPointer(cpu, push.pointer)
  })
}

/**
 * Switches to the task of a TSS selector. `rip` and `flags` are saved in the old task. Throws
 * GuestFault: with isCommitted set if the new task is already the current one.
 */
export function switchTask(
  cpu: Cpu,
  selector: number,
  reason: Reason,
  rip: bigint,
  flags = cpu.rflags,
): void {
  const next = findTask(cpu, selector, reason)
  const layout = layoutOf(typeOf(next))
  if (next.limit < layout.limit) throw new GuestFault(TS, selector & 0xfffc)
  const task = readTask(cpu, next.base, layout)
  saveTask(cpu, rip, reason === 'return' ? flags & ~FLAG_NT : flags)
  if (reason === 'jump' || reason === 'return') setBusy(cpu, cpu.selector(S.TR), false)
  const isNested = reason === 'call' || reason === 'event'
  if (isNested) write(cpu, next.base, 2, BigInt(cpu.selector(S.TR)))
  if (reason !== 'return') setBusy(cpu, selector, true)
  const attributes = attributesOf(next) | (BUSY << 8)
  setSegment(cpu, S.TR, selector, next.base, next.limit, attributes)
  cpu.set32(S.CR0, cpu.cr0 | CR0_TS)
  inNewTask(() => loadTask(cpu, task, isNested))
  if (task.traps) {
    cpu.set32(S.DR + 6 * 8, cpu.getI32(S.DR + 6 * 8) | DR6_BT)
    throw new GuestFault(DB, 0, 0n, true)
  }
}

/** Faults of `work` find the new task in place. */
function inNewTask(work: () => void): void {
  try {
    work()
  } catch (fault) {
    if (!(fault instanceof GuestFault)) throw fault
    throw new GuestFault(fault.vector, fault.code, fault.address, true)
  }
}

/** The descriptor of the task to go to, checked. */
function findTask(cpu: Cpu, selector: number, reason: Reason): Descriptor {
  const code = selector & 0xfffc
  const vector = reason === 'return' ? TS : GP
  if (selector & 4 || code === 0) throw new GuestFault(vector, code)
  const descriptor = readDescriptor(cpu, selector, vector)
  const type = typeOf(descriptor)
  const wanted = reason === 'return' ? BUSY : 0
  const isTask = isSystem(descriptor) && [TSS_16 | wanted, TSS_32 | wanted].includes(type)
  if (!isTask) throw new GuestFault(vector, code)
  if (!(descriptor.high & ATTR_P)) throw new GuestFault(NP, code)
  return descriptor
}

function read(cpu: Cpu, linear: bigint, bytes: number): bigint {
  return cpu.readMemory(linear & 0xffffffffn, bytes, SUPERVISOR)
}

function write(cpu: Cpu, linear: bigint, bytes: number, value: bigint): void {
  cpu.writeMemory(linear & 0xffffffffn, bytes, value, SUPERVISOR)
}

function readTask(cpu: Cpu, base: bigint, layout: Layout): Task {
  const { bytes } = layout
  const is32 = bytes === 4
  const field = (offset: number, size = bytes) => read(cpu, base + BigInt(offset), size)
  const many = (start: number, count: number, size: number) =>
    Array.from({ length: count }, (_, i) => field(start + i * bytes, size))
  return {
    is32,
    cr3: is32 ? field(CR3_FIELD) : cpu.getU64(S.CR3),
    ip: field(layout.ip),
    flags: Number(field(layout.flags)) | 0,
    registers: many(layout.registers, 8, bytes),
    segments: many(layout.segments, is32 ? 6 : 4, 2).map(Number),
    ldt: Number(field(layout.ldt, 2)),
    traps: is32 && (field(TRAP_FIELD, 2) & 1n) !== 0n,
  }
}

/** Writes the running task into its TSS. */
function saveTask(cpu: Cpu, rip: bigint, flags: number): void {
  const base = cpu.segmentBase(S.TR)
  const layout = layoutOf((cpu.segmentAttributes(S.TR) >> 8) & 15)
  const { bytes } = layout
  const last = layout.segments + (bytes === 4 ? 6 : 4) * bytes
  cpu.linear.probeWrite(Number(BigInt.asIntN(32, base)), 0, last, SUPERVISOR)
  write(cpu, base + BigInt(layout.ip), bytes, rip)
  write(cpu, base + BigInt(layout.flags), bytes, BigInt(flags >>> 0))
  for (let i = 0; i < 8; i++) {
    write(cpu, base + BigInt(layout.registers + i * bytes), bytes, cpu.readRegister(i))
  }
  const segments = bytes === 4 ? 6 : 4
  for (let i = 0; i < segments; i++) {
    write(cpu, base + BigInt(layout.segments + i * bytes), 2, BigInt(cpu.selector(i)))
  }
}

function setBusy(cpu: Cpu, selector: number, isBusy: boolean): void {
  const { address, high } = readDescriptor(cpu, selector)
  const changed = isBusy ? high | (BUSY << 8) : high & ~(BUSY << 8)
  write(cpu, address + 4n, 4, BigInt(changed >>> 0))
}

/** Loads the registers of the new task; its segments are checked in their order. */
function loadTask(cpu: Cpu, task: Task, isNested: boolean): void {
  if (cpu.cr0 & CR0_PG && task.cr3 !== cpu.getU64(S.CR3)) writeCr3(cpu, task.cr3)
  cpu.rip = task.ip
  for (const [i, value] of task.registers.entries()) cpu.writeRegister(i, value)
  cpu.rflags = isNested ? task.flags | FLAG_NT : task.flags
  cpu.set32(S.DR + 7 * 8, cpu.getI32(S.DR + 7 * 8) & ~0x155)
  const selectors = [...task.segments, 0, 0].slice(0, 6)
  // Until they are loaded, the new selectors stand without anything behind them.
  for (const [i, selector] of selectors.entries()) {
    setSegment(cpu, i, selector, 0n, 0, ATTR_UNUSABLE)
  }
  loadTaskLdt(cpu, task.ldt)
  if (task.is32 && task.flags & FLAG_VM) {
    for (const [i, selector] of selectors.entries()) loadVmSegment(cpu, i, selector)
    cpu.set32(S.CPL, 3)
  } else {
    const cs = selectors[S.CS] as number
    cpu.set32(S.CPL, cs & 3)
    loadTaskStack(cpu, selectors[S.SS] as number)
    for (const i of [S.ES, S.DS, S.FS, S.GS]) loadTaskData(cpu, i, selectors[i] as number)
    loadTaskCode(cpu, cs)
  }
  cpu.modeChanged()
  if (task.ip > BigInt(cpu.segmentLimit(S.CS))) throw new GuestFault(GP, 0)
}

function loadTaskLdt(cpu: Cpu, selector: number): void {
  setSegment(cpu, S.LDTR, selector, 0n, 0, ATTR_UNUSABLE)
  if ((selector & 0xfffc) === 0) return
  const code = selector & 0xfffc
  if (selector & 4) throw new GuestFault(TS, code)
  const descriptor = readDescriptor(cpu, selector, TS)
  const isLdt = isSystem(descriptor) && typeOf(descriptor) === 2
  if (!isLdt || !(descriptor.high & ATTR_P)) throw new GuestFault(TS, code)
  load(cpu, S.LDTR, selector, descriptor)
}

function load(cpu: Cpu, segment: number, selector: number, descriptor: Descriptor): void {
  const { base, limit } = descriptor
  setSegment(cpu, segment, selector, base, limit, attributesOf(descriptor))
}

function loadTaskCode(cpu: Cpu, selector: number): void {
  const code = selector & 0xfffc
  if (code === 0) throw new GuestFault(TS, 0)
  const descriptor = readDescriptor(cpu, selector, TS)
  const isCode = !isSystem(descriptor) && (descriptor.high & ATTR_CODE) !== 0
  const isConforming = (descriptor.high & ATTR_CONFORMING) !== 0
  const rpl = selector & 3
  const isOwn = isConforming ? dplOf(descriptor) <= rpl : dplOf(descriptor) === rpl
  if (!isCode || !isOwn) throw new GuestFault(TS, code)
  if (!(descriptor.high & ATTR_P)) throw new GuestFault(NP, code)
  load(cpu, S.CS, selector, markAccessed(cpu, descriptor))
}

function loadTaskStack(cpu: Cpu, selector: number): void {
  const code = selector & 0xfffc
  if (code === 0) throw new GuestFault(TS, 0)
  const descriptor = readDescriptor(cpu, selector, TS)
  const isWritable = (descriptor.high & (ATTR_CODE | ATTR_WRITABLE)) === ATTR_WRITABLE
  const isOwn = dplOf(descriptor) === cpu.cpl && (selector & 3) === cpu.cpl
  if (isSystem(descriptor) || !isWritable || !isOwn) throw new GuestFault(TS, code)
  if (!(descriptor.high & ATTR_P)) throw new GuestFault(SS, code)
  load(cpu, S.SS, selector, markAccessed(cpu, descriptor))
}

function loadTaskData(cpu: Cpu, segment: number, selector: number): void {
  const code = selector & 0xfffc
  if (code === 0) return
  const descriptor = readDescriptor(cpu, selector, TS)
  const isCode = (descriptor.high & ATTR_CODE) !== 0
  const isReadable = !isSystem(descriptor) && (!isCode || (descriptor.high & ATTR_READABLE) !== 0)
  const isConforming = isCode && (descriptor.high & ATTR_CONFORMING) !== 0
  const isOpen = isConforming || dplOf(descriptor) >= Math.max(cpu.cpl, selector & 3)
  if (!isReadable || !isOpen) throw new GuestFault(TS, code)
  if (!(descriptor.high & ATTR_P)) throw new GuestFault(NP, code)
  load(cpu, segment, selector, markAccessed(cpu, descriptor))
}
