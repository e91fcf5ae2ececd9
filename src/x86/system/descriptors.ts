// Descriptors: reading them from the GDT and LDT, and what a 64-bit value of one says.
// (SDM vol. 3A, 3.4.5 and 3.5.)

import type { Cpu } from '../cpu.ts'
import { GuestFault } from '../guest-fault.ts'
import { SUPERVISOR } from '../mmu/linear-memory.ts'
import { EFER_LMA } from '../mmu/walker.ts'
import * as S from '../state.ts'
import { ATTR_ACCESSED, ATTR_G, ATTR_S, ATTR_UNUSABLE } from './current-mode.ts'

const GP = 13

/** A code, data or system descriptor. */
export interface Descriptor {
  /** Linear address it was read from. */
  readonly address: bigint
  readonly low: number
  /** High word; its attribute bits are those of current-mode.ts. */
  readonly high: number
  /** With the upper half of 16-byte system descriptors in long mode. */
  readonly base: bigint
  /** In bytes - 1. */
  readonly limit: number
}

/** Bits of the high word that are attributes. */
export const ATTRIBUTES = 0x00f0ff00

export function attributesOf(descriptor: Descriptor): number {
  return descriptor.high & ATTRIBUTES
}

export function dplOf(descriptor: Descriptor): number {
  return (descriptor.high >> 13) & 3
}

export function isSystem(descriptor: Descriptor): boolean {
  return (descriptor.high & ATTR_S) === 0
}

/** Type of a system descriptor, or of a segment: bits 11:8. */
export function typeOf(descriptor: Descriptor): number {
  return (descriptor.high >> 8) & 15
}

/**
 * Linear address of the descriptor that a selector names, or undefined if it lies beyond its
 * table. `bytes`: 8, or 16 for system descriptors in long mode.
 */
export function descriptorAddress(cpu: Cpu, selector: number, bytes = 8): bigint | undefined {
  const isLocal = (selector & 4) !== 0
  if (isLocal && cpu.segmentAttributes(S.LDTR) & ATTR_UNUSABLE) return undefined
  const base = isLocal ? cpu.segmentBase(S.LDTR) : cpu.getU64(S.GDT_BASE)
  const limit = isLocal ? cpu.segmentLimit(S.LDTR) : cpu.getU32(S.GDT_LIMIT)
  const offset = selector & 0xfff8
  if (offset + bytes - 1 > limit) return undefined
  return BigInt.asUintN(64, base + BigInt(offset))
}

/** Reads a descriptor; `vector` with the selector is raised if it lies beyond its table. */
export function readDescriptor(cpu: Cpu, selector: number, vector = GP): Descriptor {
  const address = descriptorAddress(cpu, selector)
  if (address === undefined) throw new GuestFault(vector, selector & 0xfffc)
  const raw = cpu.readMemory(address, 8, SUPERVISOR)
  const descriptor = decode(address, raw)
  if (!isSystem(descriptor) || !(cpu.efer & EFER_LMA)) return descriptor
  // System descriptors of long mode take two slots; gates are decoded by their users.
  if (descriptorAddress(cpu, selector, 16) === undefined) return descriptor
  const upper = cpu.readMemory(address + 8n, 8, SUPERVISOR) & 0xffffffffn
  return { ...descriptor, base: descriptor.base | (upper << 32n) }
}

function decode(address: bigint, raw: bigint): Descriptor {
  const low = Number(raw & 0xffffffffn) | 0
  const high = Number(raw >> 32n) | 0
  const base = ((low >>> 16) | ((high & 0xff) << 16) | (high & 0xff000000)) >>> 0
  const limit = ((low & 0xffff) | (high & 0xf0000)) >>> 0
  const bytes = high & ATTR_G ? ((limit << 12) | 0xfff) >>> 0 : limit
  return { address, low, high, base: BigInt(base), limit: bytes }
}

/** Sets the accessed bit of a code or data descriptor in memory, if it is not set. */
export function markAccessed(cpu: Cpu, descriptor: Descriptor): Descriptor {
  if (descriptor.high & ATTR_ACCESSED) return descriptor
  const high = descriptor.high | ATTR_ACCESSED
  cpu.writeMemory(descriptor.address + 4n, 4, BigInt(high >>> 0), SUPERVISOR)
  return { ...descriptor, high }
}
