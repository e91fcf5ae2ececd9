// The mode that the processor decodes code for now, from its control registers and segments.

import type { Size } from '../emit/operand.ts'
import { CR0_PE, EFER_LMA } from '../mmu/walker.ts'
import { modeOf } from '../mode.ts'
import { FLAG_VM, type Registers } from '../registers.ts'
import * as S from '../state.ts'

/** Descriptor attributes, as bits of a descriptor's high word (SDM vol. 3A, 3.4.5). */
export const ATTR_ACCESSED = 1 << 8
export const ATTR_WRITABLE = 1 << 9
export const ATTR_READABLE = 1 << 9
export const ATTR_EXPAND_DOWN = 1 << 10
export const ATTR_CONFORMING = 1 << 10
export const ATTR_CODE = 1 << 11
/** Code or data, not a system descriptor. */
export const ATTR_S = 1 << 12
export const ATTR_DPL = 3 << 13
export const ATTR_P = 1 << 15
export const ATTR_L = 1 << 21
/** Default operand size of code, stack pointer size of stacks. */
export const ATTR_DB = 1 << 22
export const ATTR_G = 1 << 23
/** Not in descriptors: the register holds a null selector's segment and cannot be used. */
export const ATTR_UNUSABLE = 1 << 31

/** Number of the current mode, see mode.ts. */
export function currentMode(cpu: Registers): number {
  const code = cpu.segmentAttributes(S.CS)
  if (cpu.efer & EFER_LMA && code & ATTR_L) return modeOf(64, 64, true)
  const isProtected = (cpu.cr0 & CR0_PE) !== 0 && !(cpu.getI32(S.RFLAGS) & FLAG_VM)
  const codeSize: Size = code & ATTR_DB ? 32 : 16
  const stackSize: Size = cpu.segmentAttributes(S.SS) & ATTR_DB ? 32 : 16
  return modeOf(codeSize, stackSize, isProtected && isFlat(cpu))
}

function isFlat(cpu: Registers): boolean {
  for (const segment of [S.ES, S.CS, S.SS, S.DS]) {
    if (cpu.segmentBase(segment) !== 0n) return false
    if (cpu.segmentLimit(segment) !== 0xffffffff) return false
    const attributes = cpu.segmentAttributes(segment)
    if (attributes & (ATTR_UNUSABLE | ATTR_EXPAND_DOWN)) return false
    if (segment !== S.CS && !(attributes & ATTR_WRITABLE)) return false
  }
  return true
}
