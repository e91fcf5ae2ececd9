// The state of a processor after INIT and after a start-up IPI. (SDM vol. 3A, table 9-1 and 8.4.)

import type { Cpu } from '../cpu.ts'
import * as S from '../state.ts'
import { updateWalker } from './control-registers.ts'
import {
  ATTR_ACCESSED,
  ATTR_CODE,
  ATTR_P,
  ATTR_READABLE,
  ATTR_S,
  ATTR_WRITABLE,
} from './current-mode.ts'
import { setSegment } from './segment-access.ts'

const CR0_RESET = 0x60000010
const DATA = ATTR_P | ATTR_S | ATTR_WRITABLE | ATTR_ACCESSED
const CODE = ATTR_P | ATTR_S | ATTR_CODE | ATTR_READABLE | ATTR_ACCESSED
const LDT = ATTR_P | (2 << 8)
const BUSY_TSS = ATTR_P | (11 << 8)

/** Brings a processor into the state after INIT; what it had halted for is forgotten. */
export function resetProcessor(cpu: Cpu): void {
  for (let i = 0; i < 16; i++) cpu.writeRegister(i, 0n)
  cpu.writeRegister(S.RDX, 0x600n)
  cpu.rflags = 2
  cpu.rip = 0xfff0n
  for (const segment of [S.ES, S.SS, S.DS, S.FS, S.GS]) {
    setSegment(cpu, segment, 0, 0n, 0xffff, DATA)
  }
  setSegment(cpu, S.CS, 0xf000, 0xffff0000n, 0xffff, CODE)
  setSegment(cpu, S.LDTR, 0, 0n, 0xffff, LDT)
  setSegment(cpu, S.TR, 0, 0n, 0xffff, BUSY_TSS)
  cpu.set32(S.CPL, 0)
  cpu.set32(S.CR0, CR0_RESET)
  for (const offset of [S.CR2, S.CR3, S.CR4, S.EFER, S.GDT_BASE, S.IDT_BASE]) cpu.setU64(offset, 0n)
  cpu.set32(S.GDT_LIMIT, 0xffff)
  cpu.set32(S.IDT_LIMIT, 0xffff)
  for (let i = 0; i < 4; i++) cpu.setU64(S.DR + i * 8, 0n)
  cpu.setU64(S.DR + 6 * 8, 0xffff0ff0n)
  cpu.setU64(S.DR + 7 * 8, 0x400n)
  cpu.setU64(S.XCR0, 1n)
  cpu.set32(S.FCW, 0x37f)
  cpu.set32(S.FSW, 0)
  cpu.set32(S.FTW, 0)
  cpu.set32(S.MXCSR, 0x1f80)
  cpu.isHalted = false
  cpu.hasShadow = false
  cpu.hasStackShadow = false
  cpu.isNmiBlocked = false
  updateWalker(cpu)
  cpu.flushTlb()
}

/** A start-up IPI: real mode, from the first byte of page `vector`. */
export function startProcessor(cpu: Cpu, vector: number): void {
  resetProcessor(cpu)
  setSegment(cpu, S.CS, vector << 8, BigInt(vector << 12), 0xffff, CODE)
  cpu.rip = 0n
  cpu.modeChanged()
}
