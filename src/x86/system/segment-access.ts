// Limits and rights of segments outside 64-bit mode. Emitted code compares an offset with the
// highest one that is certainly good; what lies beyond comes here. (SDM vol. 3A, 5.3 and 5.5.)

import { CR0_PE } from '../mmu/walker.ts'
import { FLAG_VM, type Registers } from '../registers.ts'
import * as S from '../state.ts'
import {
  ATTR_CODE,
  ATTR_DB,
  ATTR_EXPAND_DOWN,
  ATTR_P,
  ATTR_READABLE,
  ATTR_S,
  ATTR_UNUSABLE,
  ATTR_WRITABLE,
} from './current-mode.ts'

/** What segment registers hold in real mode. */
export const REAL_DATA = ATTR_P | ATTR_S | ATTR_WRITABLE | 0x100

/** May `size` bytes at an offset of a segment be read, or written? */
export function checkSegmentAccess(
  cpu: Registers,
  segment: number,
  offset: number,
  size: number,
  isWrite: boolean,
): boolean {
  const attributes = isUnchecked(cpu) ? REAL_DATA : cpu.segmentAttributes(segment)
  return isWithin(attributes, cpu.segmentLimit(segment), offset, size, isWrite)
}

/** Real and virtual-8086 mode know limits but no rights: code segments can be written there. */
function isUnchecked(cpu: Registers): boolean {
  return !(cpu.cr0 & CR0_PE) || (cpu.getI32(S.RFLAGS) & FLAG_VM) !== 0
}

/** The same for a segment that is not loaded, by its attributes and its limit in bytes - 1. */
export function isWithin(
  attributes: number,
  limit: number,
  offset: number,
  size: number,
  isWrite: boolean,
): boolean {
  const isCode = (attributes & ATTR_CODE) !== 0
  if (attributes & ATTR_UNUSABLE || !(attributes & ATTR_P)) return false
  if (isWrite && (isCode || !(attributes & ATTR_WRITABLE))) return false
  if (!isWrite && isCode && !(attributes & ATTR_READABLE)) return false
  const last = offset + size - 1
  if (!isCode && attributes & ATTR_EXPAND_DOWN) {
    const top = attributes & ATTR_DB ? 0xffffffff : 0xffff
    return offset > limit && last <= top
  }
  return last <= limit
}

/** Loads the hidden part of a segment register: base, limit in bytes - 1, attributes. */
export function setSegment(
  cpu: Registers,
  segment: number,
  selector: number,
  base: bigint,
  limit: number,
  attributes: number,
): void {
  cpu.setSegmentBase(segment, base)
  const isPlain = !(attributes & ATTR_UNUSABLE) && (attributes & ATTR_P) !== 0
  const isCode = (attributes & ATTR_CODE) !== 0
  const expandsDown = !isCode && (attributes & ATTR_EXPAND_DOWN) !== 0
  const reads = isPlain && !expandsDown && (!isCode || (attributes & ATTR_READABLE) !== 0)
  const writes = isPlain && !expandsDown && !isCode && (attributes & ATTR_WRITABLE) !== 0
  cpu.setSegmentFields(segment, selector, limit, attributes, reads, writes)
}
