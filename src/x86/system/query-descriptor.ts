// LAR, LSL, VERR and VERW: what a selector's descriptor would allow. (SDM vol. 2.)

import type { Cpu } from '../cpu.ts'
import { GuestFault } from '../guest-fault.ts'
import { EFER_LMA } from '../mmu/walker.ts'
import { ATTR_CODE, ATTR_CONFORMING, ATTR_READABLE, ATTR_WRITABLE } from './current-mode.ts'
import { type Descriptor, dplOf, isSystem, readDescriptor, typeOf } from './descriptors.ts'

/** System types that LAR and LSL know: TSS and LDT, for LAR gates too. */
const WITH_LIMIT: readonly number[] = [1, 2, 3, 9, 11]
const WITH_LIMIT_LONG: readonly number[] = [2, 9, 11]
const WITH_RIGHTS: readonly number[] = [1, 2, 3, 4, 5, 9, 11, 12]
const WITH_RIGHTS_LONG: readonly number[] = [2, 9, 11, 12]

/** Result 0: the value; result 1: 1 if the selector can be used so (ZF). */
export function queryDescriptor(
  cpu: Cpu,
  selector: number,
  what: 'rights' | 'limit' | 'readable' | 'writable',
): void {
  const descriptor = find(cpu, selector & 0xffff)
  const isGood = descriptor !== undefined && isVisible(cpu, selector, descriptor, what)
  cpu.setResult(isGood ? 1n : 0n, 1)
  if (!isGood || !descriptor) return
  const value = what === 'limit' ? descriptor.limit : (descriptor.high & 0x00ffff00) >>> 0
  cpu.setResult(BigInt(value >>> 0), 0)
}

function find(cpu: Cpu, selector: number): Descriptor | undefined {
  if ((selector & 0xfffc) === 0) return undefined
  try {
    return readDescriptor(cpu, selector)
  } catch (fault) {
    // A selector beyond its table is an answer; a page fault of the table is not.
    if (fault instanceof GuestFault && fault.vector === 13) return undefined
    throw fault
  }
}

function isVisible(cpu: Cpu, selector: number, descriptor: Descriptor, what: string): boolean {
  const isCode = (descriptor.high & ATTR_CODE) !== 0
  const isConforming = isCode && (descriptor.high & ATTR_CONFORMING) !== 0
  const isPrivileged = dplOf(descriptor) >= Math.max(cpu.cpl, selector & 3)
  if (isSystem(descriptor)) {
    if (what === 'readable' || what === 'writable') return false
    const isLong = (cpu.efer & EFER_LMA) !== 0
    const types =
      what === 'limit'
        ? isLong
          ? WITH_LIMIT_LONG
          : WITH_LIMIT
        : isLong
          ? WITH_RIGHTS_LONG
          : WITH_RIGHTS
    return types.includes(typeOf(descriptor)) && isPrivileged
  }
  if (what === 'readable' && isCode && !(descriptor.high & ATTR_READABLE)) return false
  if (what === 'writable' && (isCode || !(descriptor.high & ATTR_WRITABLE))) return false
  return isConforming || isPrivileged
}
