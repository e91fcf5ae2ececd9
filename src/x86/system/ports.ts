// May code at the current privilege reach a port: IOPL, then the TSS's bitmap.
// (SDM vol. 1, 19.5.)

import type { Cpu } from '../cpu.ts'
import { GuestFault } from '../guest-fault.ts'
import { SUPERVISOR } from '../mmu/linear-memory.ts'
import { CR0_PE } from '../mmu/walker.ts'
import { FLAG_IOPL, FLAG_VM } from '../registers.ts'
import * as S from '../state.ts'

const GP = 13
const MAP_BASE = 102

/** Throws #GP(0) unless all `size` ports from `port` on may be used. */
export function checkPort(cpu: Cpu, port: number, size: number): void {
  const flags = cpu.getI32(S.RFLAGS)
  const isFree = !(cpu.cr0 & CR0_PE) || (cpu.cpl <= (flags & FLAG_IOPL) >> 12 && !(flags & FLAG_VM))
  if (isFree) return
  const base = cpu.segmentBase(S.TR)
  const limit = cpu.segmentLimit(S.TR)
  const isBig = (cpu.segmentAttributes(S.TR) & 0x800) !== 0
  if (!isBig || MAP_BASE + 1 > limit) throw new GuestFault(GP)
  const map = Number(cpu.readMemory(base + BigInt(MAP_BASE), 2, SUPERVISOR))
  const at = map + (port >> 3)
  if (at + 1 > limit) throw new GuestFault(GP)
  const bits = Number(cpu.readMemory(base + BigInt(at), 2, SUPERVISOR)) >> (port & 7)
  if (bits & ((1 << size) - 1)) throw new GuestFault(GP)
}
