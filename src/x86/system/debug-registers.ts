// Debug exceptions: single step, instruction and data breakpoints, DR6 and DR7.
// (SDM vol. 3B, 18.2 and 18.3.) Left out: breakpoints on ports (QUIRKS.md).

import type { Cpu } from '../cpu.ts'
import { GuestFault } from '../guest-fault.ts'
import { CR4_DE } from '../mmu/walker.ts'
import { FLAG_RF, type Registers } from '../registers.ts'
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

/** Bits of DR6 that tell which breakpoints were met: each #DB has its own. */
const DR6_BREAKPOINTS = 15

// What a breakpoint of DR7 waits for: its R/W field.
const ON_EXECUTION = 0
const ON_WRITE = 1
const ON_ACCESS = 3

/** The R/W field of a breakpoint, or -1 if it is not enabled. */
function kindOf(dr7: number, index: number): number {
  return (dr7 >> (2 * index)) & 3 ? (dr7 >> (16 + 4 * index)) & 3 : -1
}

/** Bytes that a data breakpoint covers. */
function lengthOf(dr7: number, index: number): number {
  return [1, 2, 8, 4][(dr7 >> (18 + 4 * index)) & 3] as number
}

/** Does a value of DR7 enable breakpoints on instructions? */
export function hasInstructionBreakpoints(dr7: number): boolean {
  return (dr7 & 0xff) !== 0 && [0, 1, 2, 3].some((i) => kindOf(dr7, i) === ON_EXECUTION)
}

/** Does a value of DR7 enable breakpoints on data? */
export function hasDataBreakpoints(dr7: number): boolean {
  return (dr7 & 0xff) !== 0 && [0, 1, 2, 3].some((i) => isOnData(kindOf(dr7, i)))
}

function isOnData(kind: number): boolean {
  return kind === ON_WRITE || kind === ON_ACCESS
}

/** The data breakpoints that `size` bytes at a linear address meet, as bits of DR6. */
export function dataBreakpoints(
  cpu: Registers,
  linear: bigint,
  size: number,
  isWrite: boolean,
): number {
  const dr7 = cpu.getI32(S.DR + 7 * 8)
  let causes = 0
  for (let i = 0; i < 4; i++) {
    const kind = kindOf(dr7, i)
    if (!isOnData(kind) || (kind === ON_WRITE && !isWrite)) continue
    const length = BigInt(lengthOf(dr7, i))
    const start = cpu.getU64(S.DR + i * 8) & -length
    if (linear < start + length && linear + BigInt(size) > start) causes |= 1 << i
  }
  return causes
}

/** Records causes in DR6 and delivers #DB. */
export function raiseDebug(cpu: Cpu, causes: number): void {
  const kept = cpu.getI32(S.DR + 6 * 8) & ~DR6_BREAKPOINTS
  cpu.set32(S.DR + 6 * 8, kept | causes)
  cpu.set32(S.DR + 7 * 8, cpu.getI32(S.DR + 7 * 8) & ~DR7_GD)
  deliverException(cpu, DB, 0)
}

/** Delivers #DB if an enabled instruction breakpoint lies at RIP. True if so. */
export function checkInstructionBreakpoint(cpu: Cpu): boolean {
  if (cpu.getI32(S.RFLAGS) & FLAG_RF) return false
  const dr7 = cpu.getI32(S.DR + 7 * 8)
  const is64 = cpu.codeSize === 64
  const linear = is64 ? cpu.rip : (cpu.rip + cpu.segmentBase(S.CS)) & 0xffffffffn
  let causes = 0
  for (let i = 0; i < 4; i++) {
    const isHere = kindOf(dr7, i) === ON_EXECUTION && cpu.getU64(S.DR + i * 8) === linear
    if (isHere) causes |= 1 << i
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
  cpu.modeChanged()
}
