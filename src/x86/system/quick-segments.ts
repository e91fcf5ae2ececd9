// What the quick ways of events (quick-gate.ts, quick-return.ts) share: descriptors of the usual
// flat segments. Whatever is unusual gives 0 or -1, has changed nothing, and is left to the general
// ways, which also tell what is wrong with it.

import type { Cpu } from '../cpu.ts'
import { SUPERVISOR } from '../mmu/linear-memory.ts'
import { ACCESS_READ } from '../mmu/walker.ts'
import * as S from '../state.ts'
import {
  ATTR_ACCESSED,
  ATTR_CODE,
  ATTR_CONFORMING,
  ATTR_DB,
  ATTR_L,
  ATTR_P,
  ATTR_S,
  ATTR_WRITABLE,
} from './current-mode.ts'
import { ATTRIBUTES } from './descriptors.ts'

/** Types of the gates of long mode. */
export const INTERRUPT_GATE = 14
export const TRAP_GATE = 15

/** Base 0 and limit FFFFF pages: all bits of the low word, and those of the high one. */
const FLAT_LOW = 0x0000ffff
const FLAT_HIGH = 0x008f0000
const FLAT_HIGH_MASK = 0xff8f00ff | 0

const CODE64 = ATTR_P | ATTR_S | ATTR_CODE | ATTR_ACCESSED | ATTR_L
const CODE64_MASK = CODE64 | ATTR_CONFORMING | ATTR_DB
const STACK = ATTR_P | ATTR_S | ATTR_WRITABLE | ATTR_ACCESSED
const STACK_MASK = STACK | ATTR_CODE

/** Are the upper bits of an address, of which this is the upper half, copies of bit 47. */
export function isCanonicalHigh(hi: number): boolean {
  const top = hi >> 15
  return top === 0 || top === -1
}

/**
 * Host address of `size` bytes at `offset` in a table whose base is in a field of the state
 * block; -1 unless they lie in a page of memory.
 */
export function tableAt(cpu: Cpu, field: number, offset: number, size: number): number {
  const base = cpu.getI32(field)
  const lo = (base + offset) | 0
  const hi = (cpu.getI32(field + 4) + (lo >>> 0 < base >>> 0 ? 1 : 0)) | 0
  return cpu.linear.findWords(lo, hi, size, ACCESS_READ, SUPERVISOR)
}

/** Attributes of a flat segment in the GDT that are `wanted` under a mask; 0 if it is not such. */
function flat(cpu: Cpu, selector: number, mask: number, wanted: number): number {
  const offset = selector & 0xfff8
  if ((selector & 4) !== 0 || offset === 0 || offset + 7 > cpu.getU32(S.GDT_LIMIT)) return 0
  const at = tableAt(cpu, S.GDT_BASE, offset, 8)
  if (at < 0) return 0
  const { i32 } = cpu.engine.memory
  const high = i32[(at >>> 2) + 1] as number
  const isFlat = i32[at >>> 2] === FLAT_LOW && (high & FLAT_HIGH_MASK) === FLAT_HIGH
  return isFlat && (high & mask) === wanted ? high & ATTRIBUTES : 0
}

/** Attributes of a flat 64-bit code segment that is not conforming; 0 for all others. */
export function flatCode64(cpu: Cpu, selector: number): number {
  return flat(cpu, selector, CODE64_MASK, CODE64)
}

/** Attributes of a flat, writable data segment; 0 for all others. */
export function flatStack(cpu: Cpu, selector: number): number {
  return flat(cpu, selector, STACK_MASK, STACK)
}

export function levelOf(attributes: number): number {
  return (attributes >> 13) & 3
}
