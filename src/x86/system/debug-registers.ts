// Debug exceptions: single step, instruction and data breakpoints, DR6 and DR7.
// (SDM vol. 3B, 18.2.) Data breakpoints are left out so far (QUIRKS.md).

import type { Cpu } from '../cpu.ts'
import { GuestFault } from '../guest-fault.ts'
import { CR4_DE } from '../mmu/walker.ts'
import { FLAG_RF } from '../registers.ts'
import * as S from '../state.ts'
import { deliverException } from './exceptions.ts'

export const DR6_BS = 1 << 14
export const DR6_BD = 1 << 13

const DB = 1
const UD = 6
const GP = 13
const DR6_FIXED = 0xffff0ff0
const DR7_FIXED = 0x400
const DR7_GD = 1 << 13

/** Records causes in DR6 and delivers #DB. */
export function raiseDebug(cpu: Cpu, causes: number): void {
  cpu.set32(S.DR + 6 * 8, cpu.getI32(S.DR + 6 * 8) | causes)
  deliverException(cpu, DB, 0, 0n)
}

/** Delivers #DB if an enabled instruction breakpoint lies at RIP. True if so. */
export function checkInstructionBreakpoint(cpu: Cpu): boolean {
  const dr7 = cpu.getI32(S.DR + 7 * 8)
  if (!(dr7 & 0xff) || cpu.getI32(S.RFLAGS) & FLAG_RF) return false
  const base = cpu.codeSize === 64 ? 0n : cpu.segmentBase(S.CS)
  const linear = cpu.rip + base
  let causes = 0
  for (let i = 0; i < 4; i++) {
    const isEnabled = (dr7 >> (2 * i)) & 3
    const kind = (dr7 >> (16 + 4 * i)) & 15
    if (isEnabled && kind === 0 && cpu.getU64(S.DR + i * 8) === linear) causes |= 1 << i
  }
  if (causes === 0) return false
  raiseDebug(cpu, causes)
  return true
}

/** DR4 and DR5 are other names of DR6 and DR7 unless CR4.DE is set. */
function registerOf(cpu: Cpu, number: number): number {
  if (number > 7) throw new GuestFault(UD)
  if (number !== 4 && number !== 5) return number
  if (cpu.cr4 & CR4_DE) throw new GuestFault(UD)
  return number + 2
}

function checkGeneralDetect(cpu: Cpu): void {
  const dr7 = cpu.getI32(S.DR + 7 * 8)
  if (!(dr7 & DR7_GD)) return
  cpu.set32(S.DR + 7 * 8, dr7 & ~DR7_GD)
  cpu.set32(S.DR + 6 * 8, cpu.getI32(S.DR + 6 * 8) | DR6_BD)
  throw new GuestFault(DB)
}

export function readDebugRegister(cpu: Cpu, number: number): bigint {
  const register = registerOf(cpu, number)
  checkGeneralDetect(cpu)
  const value = cpu.getU64(S.DR + register * 8)
  if (register === 6) return (value & 0xe00fn) | BigInt(DR6_FIXED)
  if (register === 7) return value | BigInt(DR7_FIXED)
  return value
}

export function writeDebugRegister(cpu: Cpu, number: number, value: bigint): void {
  const register = registerOf(cpu, number)
  checkGeneralDetect(cpu)
  if (register >= 6 && value >> 32n !== 0n) throw new GuestFault(GP)
  cpu.setU64(S.DR + register * 8, value)
}
