// SYSCALL, SYSRET, SYSENTER and SYSEXIT: flat segments without descriptors being read.
// (SDM vol. 2; AMD APM vol. 3. SYSCALL outside 64-bit mode works as on AMD.)

import type { Cpu } from '../cpu.ts'
import { GuestFault } from '../guest-fault.ts'
import { CR0_PE, EFER_LMA, EFER_SCE } from '../mmu/walker.ts'
import { FLAG_IF, FLAG_RF, FLAG_TF, FLAG_VM } from '../registers.ts'
import * as S from '../state.ts'
import {
  ATTR_ACCESSED,
  ATTR_CODE,
  ATTR_DB,
  ATTR_G,
  ATTR_L,
  ATTR_P,
  ATTR_READABLE,
  ATTR_S,
  ATTR_WRITABLE,
} from './current-mode.ts'
import { isCanonicalHigh } from './quick-segments.ts'
import { setSegment } from './segment-access.ts'

const R11 = S.GPR + 11 * 8

const UD = 6
const GP = 13

/** Attributes of flat segments of level 0; of code, without its size. */
export const FLAT_CODE = ATTR_P | ATTR_S | ATTR_CODE | ATTR_READABLE | ATTR_ACCESSED | ATTR_G
export const FLAT_DATA = ATTR_P | ATTR_S | ATTR_WRITABLE | ATTR_ACCESSED | ATTR_G | ATTR_DB
/** What SYSRET loads of RFLAGS. */
export const SYSRET_FLAGS = 0x3c7fd7
/** Selectors that SYSRET loads, less the one in STAR: of 64-bit code, and of the stack. */
export const SYSRET_LONG_CODE = 16
export const SYSRET_STACK = 8

function setFlatCode(cpu: Cpu, selector: number, cpl: number, is64: boolean): void {
  const size = is64 ? ATTR_L : ATTR_DB
  setSegment(cpu, S.CS, selector, 0n, 0xffffffff, FLAT_CODE | size | (cpl << 13))
  cpu.set32(S.CPL, cpl)
}

function setFlatStack(cpu: Cpu, selector: number, cpl: number): void {
  setSegment(cpu, S.SS, selector, 0n, 0xffffffff, FLAT_DATA | (cpl << 13))
}

export function syscall(cpu: Cpu): void {
  if (!(cpu.efer & EFER_SCE) || !(cpu.cr0 & CR0_PE)) throw new GuestFault(UD)
  const selector = cpu.getI32(S.STAR + 4) & 0xfffc
  const isLong = (cpu.efer & EFER_LMA) !== 0
  const is64 = cpu.codeSize === 64
  cpu.storeNextRip(S.GPR + S.RCX * 8)
  if (isLong) {
    const flags = cpu.rflags & ~FLAG_RF
    cpu.setWords(R11, flags, 0)
    cpu.rflags = flags & ~cpu.getI32(S.SFMASK)
    // The trap of single stepping goes by the new flags here: it could not be told from the
    // kernel's own otherwise.
    if (!(cpu.getI32(S.RFLAGS) & FLAG_TF)) cpu.skipSingleStep()
    const target = is64 ? S.LSTAR : S.CSTAR
    cpu.setWords(S.RIP, cpu.getI32(target), cpu.getI32(target + 4))
  } else {
    cpu.rflags &= ~(FLAG_VM | FLAG_IF | FLAG_RF)
    cpu.setWords(S.RIP, cpu.getI32(S.STAR), 0)
  }
  setFlatCode(cpu, selector, 0, isLong)
  setFlatStack(cpu, selector + 8, 0)
  cpu.modeChanged()
}

/** `is64`: with REX.W, back to 64-bit code. */
export function sysret(cpu: Cpu, is64: boolean): void {
  if (!(cpu.efer & EFER_SCE) || !(cpu.cr0 & CR0_PE)) throw new GuestFault(UD)
  const base = cpu.getI32(S.STAR + 4) >>> 16
  const ripHi = cpu.getI32(S.GPR + S.RCX * 8 + 4)
  const isLong = (cpu.efer & EFER_LMA) !== 0
  if (is64 && !isCanonicalHigh(ripHi)) throw new GuestFault(GP)
  if (isLong) {
    const flags = cpu.getI32(R11)
    cpu.rflags = (flags & SYSRET_FLAGS & ~FLAG_RF) | 2
  } else {
    cpu.rflags |= FLAG_IF
  }
  cpu.setWords(S.RIP, cpu.registerLow(S.RCX), is64 ? ripHi : 0)
  setFlatCode(cpu, ((base + (is64 ? SYSRET_LONG_CODE : 0)) | 3) & 0xffff, 3, is64)
  setFlatStack(cpu, ((base + SYSRET_STACK) | 3) & 0xffff, 3)
  cpu.modeChanged()
}

export function sysenter(cpu: Cpu): void {
  const selector = Number(cpu.getU64(S.SYSENTER_CS)) & 0xfffc
  if (!(cpu.cr0 & CR0_PE) || selector === 0) throw new GuestFault(GP)
  const isLong = (cpu.efer & EFER_LMA) !== 0
  const mask = isLong ? 0xffffffffffffffffn : 0xffffffffn
  cpu.rflags &= ~(FLAG_VM | FLAG_IF)
  cpu.writeRegister(S.RSP, cpu.getU64(S.SYSENTER_ESP) & mask)
  cpu.rip = cpu.getU64(S.SYSENTER_EIP) & mask
  setFlatCode(cpu, selector, 0, isLong)
  setFlatStack(cpu, selector + 8, 0)
  cpu.modeChanged()
}

export function sysexit(cpu: Cpu, is64: boolean): void {
  const base = Number(cpu.getU64(S.SYSENTER_CS)) & 0xfffc
  if (!(cpu.cr0 & CR0_PE) || base === 0) throw new GuestFault(GP)
  const rip = cpu.readRegister(S.RDX)
  const rsp = cpu.readRegister(S.RCX)
  const isBad = (a: bigint) => BigInt.asUintN(64, BigInt.asIntN(48, a)) !== a
  if (is64 && (isBad(rip) || isBad(rsp))) throw new GuestFault(GP)
  const mask = is64 ? 0xffffffffffffffffn : 0xffffffffn
  cpu.rip = rip & mask
  cpu.writeRegister(S.RSP, rsp & mask)
  setFlatCode(cpu, (base + (is64 ? 32 : 16)) | 3, 3, is64)
  setFlatStack(cpu, (base + (is64 ? 40 : 24)) | 3, 3)
  cpu.modeChanged()
}
