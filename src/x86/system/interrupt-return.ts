// IRET in all its forms, and the flags that it and POPF may change. (SDM vol. 2, IRET and POPF.)

import type { Cpu } from '../cpu.ts'
import { GuestFault } from '../guest-fault.ts'
import { CR0_PE, EFER_LMA } from '../mmu/walker.ts'
import { FLAG_NT, FLAG_VM } from '../registers.ts'
import * as S from '../state.ts'
import { ATTR_L } from './current-mode.ts'
import { checkVmPrivilege, popFlags } from './flags-load.ts'
import { returnQuickly } from './quick-return.ts'
import {
  checkTarget,
  returnSegment,
  returnStack,
  returnToOuter,
  setCode,
  setRealCode,
} from './return-segments.ts'
import { StackReader } from './stack-segment.ts'
import { switchTask } from './task-switch.ts'
import { loadVmSegment } from './virtual-8086.ts'

const GP = 13

/** IRET with an operand size of `bits`. */
export function interruptReturn(cpu: Cpu, bits: number): void {
  // Even an IRET that faults lets the next NMI in.
  cpu.isNmiBlocked = false
  cpu.set32(S.ATTENTION, 1)
  const old = cpu.getI32(S.RFLAGS)
  const isReal = !(cpu.cr0 & CR0_PE)
  if (isReal || old & FLAG_VM) return fromReal(cpu, bits)
  if (old & FLAG_NT) {
    if (cpu.efer & EFER_LMA) throw new GuestFault(GP, 0)
    const link = cpu.readMemory(cpu.segmentBase(S.TR), 2)
    return switchTask(cpu, Number(link), 'return', cpu.nextRip)
  }
  if (bits === 64 && returnQuickly(cpu)) return
  const stack = new StackReader(cpu, bits)
  const rip = stack.next()
  const selector = Number(stack.next() & 0xffffn)
  const flags = Number(stack.next() & 0xffffffffn) | 0
  if (flags & FLAG_VM && bits === 32 && cpu.cpl === 0 && !(cpu.efer & EFER_LMA)) {
    return toVm(cpu, stack, rip, selector, flags)
  }
  const target = returnSegment(cpu, selector)
  checkTarget(cpu, target, rip)
  const newCpl = selector & 3
  if (newCpl === cpu.cpl && cpu.codeSize !== 64) {
    stack.release()
    popFlags(cpu, flags, bits)
    return setCode(cpu, selector, newCpl, target, rip)
  }
  const rsp = stack.next()
  const ss = Number(stack.next() & 0xffffn)
  const segment = returnStack(cpu, ss, newCpl, (target.high & ATTR_L) !== 0)
  // Which flags change depends on the old level.
  popFlags(cpu, flags, bits)
  returnToOuter(cpu, { selector, target, rip, ss, segment, rsp })
}

/** IRET in real mode, and within virtual-8086 mode, which needs an IOPL of 3. */
function fromReal(cpu: Cpu, bits: number): void {
  checkVmPrivilege(cpu)
  const stack = new StackReader(cpu, bits)
  const rip = stack.next()
  const selector = Number(stack.next() & 0xffffn)
  const flags = Number(stack.next() & 0xffffffffn) | 0
  if (rip > BigInt(cpu.segmentLimit(S.CS))) throw new GuestFault(GP, 0)
  stack.release()
  setRealCode(cpu, selector, rip)
  popFlags(cpu, flags, bits)
}

/** Into virtual-8086 mode: the whole set of segments comes from the stack. */
function toVm(cpu: Cpu, stack: StackReader, rip: bigint, selector: number, flags: number): void {
  const rsp = stack.next()
  const selectors = [S.SS, S.ES, S.DS, S.FS, S.GS].map((segment) => {
    return [segment, Number(stack.next() & 0xffffn)] as const
  })
  if (rip > 0xffffn) throw new GuestFault(GP, 0)
  popFlags(cpu, flags, 32)
  cpu.set32(S.RFLAGS, cpu.getI32(S.RFLAGS) | FLAG_VM)
  for (const [segment, value] of selectors) loadVmSegment(cpu, segment, value)
  loadVmSegment(cpu, S.CS, selector)
  cpu.set32(S.CPL, 3)
  cpu.rip = rip
  cpu.writeRegister(S.RSP, rsp)
  cpu.modeChanged()
}
