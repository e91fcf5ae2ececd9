// The mode that code is decoded for, as a small number: blocks are found by it and by the
// physical address of their first byte.

import type { Size } from './emit/operand.ts'

const SIZES: readonly Size[] = [16, 32, 64]

// Bits 1:0 code size, bit 2 stack size (outside 64-bit mode), bit 3 flat segments.
const STACK_32 = 4
const FLAT = 8

/** `isFlat`: ES, CS, SS and DS have base 0 and reach all 4 GiB, readable and writable. */
export function modeOf(codeSize: Size, stackSize: Size, isFlat: boolean): number {
  const code = SIZES.indexOf(codeSize)
  if (codeSize === 64) return code
  return code | (stackSize === 32 ? STACK_32 : 0) | (isFlat ? FLAT : 0)
}

export function codeSizeOf(mode: number): Size {
  return SIZES[mode & 3] as Size
}

export function stackSizeOf(mode: number): Size {
  if ((mode & 3) === 2) return 64
  return mode & STACK_32 ? 32 : 16
}

export function isFlatMode(mode: number): boolean {
  return (mode & FLAT) !== 0
}
