// Model-specific registers. Those that are the processor's own state are handled here; all
// others are asked of the host. (SDM vol. 4; AMD APM vol. 2, appendix A.)

import type { Cpu } from '../cpu.ts'
import { GuestFault } from '../guest-fault.ts'
import * as S from '../state.ts'
import { writeEfer } from './control-registers.ts'

const GP = 13

const IA32_TSC_ADJUST = 0x3b
export const IA32_SYSENTER_CS = 0x174
export const IA32_SYSENTER_ESP = 0x175
export const IA32_SYSENTER_EIP = 0x176
export const IA32_XSS = 0xda0
export const IA32_EFER = 0xc0000080
export const IA32_STAR = 0xc0000081
export const IA32_LSTAR = 0xc0000082
export const IA32_CSTAR = 0xc0000083
export const IA32_FMASK = 0xc0000084
export const IA32_FS_BASE = 0xc0000100
export const IA32_GS_BASE = 0xc0000101
export const IA32_KERNEL_GS_BASE = 0xc0000102
export const IA32_TSC_AUX = 0xc0000103

/** State block field of an MSR, and whether it holds an address, 32 bits, or anything. */
const FIELDS = new Map<number, readonly [offset: number, kind: 'address' | 'low' | 'any']>([
  [IA32_SYSENTER_CS, [S.SYSENTER_CS, 'any']],
  [IA32_SYSENTER_ESP, [S.SYSENTER_ESP, 'address']],
  [IA32_SYSENTER_EIP, [S.SYSENTER_EIP, 'address']],
  [IA32_STAR, [S.STAR, 'any']],
  [IA32_LSTAR, [S.LSTAR, 'address']],
  [IA32_CSTAR, [S.CSTAR, 'address']],
  [IA32_FMASK, [S.SFMASK, 'low']],
  [IA32_FS_BASE, [S.SEG_BASE + S.FS * 8, 'address']],
  [IA32_GS_BASE, [S.SEG_BASE + S.GS * 8, 'address']],
  [IA32_KERNEL_GS_BASE, [S.KERNEL_GS_BASE, 'address']],
  [IA32_TSC_AUX, [S.TSC_AUX, 'low']],
])

/** RDMSR. Throws #GP(0) for one that does not exist. */
export function readMsr(cpu: Cpu, index: number): bigint {
  if (index === IA32_EFER) return BigInt(cpu.efer >>> 0)
  const field = FIELDS.get(index)
  if (field) return cpu.getU64(field[0])
  if (index === IA32_XSS && cpu.features.has('xsaves')) return cpu.getU64(S.XSS)
  const value = isShown(cpu, index) ? cpu.host.readMsr(index) : undefined
  if (value === undefined) throw new GuestFault(GP)
  return value
}

/** WRMSR. Throws #GP(0) for one that does not exist or a value that it cannot hold. */
export function writeMsr(cpu: Cpu, index: number, value: bigint): void {
  if (index === IA32_EFER) return writeEfer(cpu, value)
  const field = FIELDS.get(index)
  if (field) {
    const [offset, kind] = field
    const isCanonical = BigInt.asUintN(64, BigInt.asIntN(48, value)) === value
    if (kind === 'address' && !isCanonical) throw new GuestFault(GP)
    if (kind === 'low' && value >> 32n !== 0n) throw new GuestFault(GP)
    return cpu.setU64(offset, value)
  }
  if (index === IA32_XSS && cpu.features.has('xsaves')) {
    if (value !== 0n) throw new GuestFault(GP)
    return cpu.setU64(S.XSS, value)
  }
  if (!isShown(cpu, index) || !cpu.host.writeMsr(index, value)) throw new GuestFault(GP)
}

/** What the host keeps for all processors, only those have that say so. */
function isShown(cpu: Cpu, index: number): boolean {
  return index !== IA32_TSC_ADJUST || cpu.features.has('tsc_adjust')
}
