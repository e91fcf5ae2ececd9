// Which physical addresses a kernel's segments take, as Xen's loader (libelf) sees them: PT_LOAD
// segments by p_paddr, with those that have no flags skipped.

import { UserError } from '../../base/errors.ts'
import { type ElfSegment, isLoadable } from '../image/elf.ts'
import type { KernelImage } from '../image/kernel.ts'
import type { GuestPhysicalMemory } from './guest-physical-memory.ts'

/** In bytes. */
export interface Range {
  readonly start: number
  readonly size: number
}

export interface KernelPlacement {
  /** Lowest physical address. */
  readonly start: number
  /** One past the highest. */
  readonly end: number
  readonly segments: readonly Range[]
}

const FOUR_GIB = 2n ** 32n

/**
 * Places the segments and checks them.
 * @param entry physical address of the entry point
 * @throws UserError when there is nothing to load, segments overlap or lie above 4 GiB, or the
 *   entry point is not inside one
 */
export function placeKernel(kernel: KernelImage, entry: number): KernelPlacement {
  const reject = (why: string, remedy: string): never => {
    throw new UserError(`Cannot load the kernel ${kernel.name}.`, why, remedy)
  }
  const relink = 'Check the image with readelf -lW, and the linker script that made it.'
  const segments = kernel.elf.segments
    .filter((segment) => isLoadable(segment) && segment.memsz > 0n)
    .map((segment) => ({ start: segment.paddr, end: segment.paddr + segment.memsz }))
    .sort((a, b) => (a.start < b.start ? -1 : a.start > b.start ? 1 : 0))
  const first = segments[0] ?? reject('It has no segment to load.', relink)
  for (const [i, { start, end }] of segments.entries()) {
    if (end > FOUR_GIB) {
      reject(`A segment at physical address 0x${hex(start)} reaches above 4 GiB.`, relink)
    }
    const before = segments[i - 1]
    if (before && start < before.end) {
      reject(`Its segments at 0x${hex(before.start)} and 0x${hex(start)} overlap.`, relink)
    }
  }
  if (!segments.some(({ start, end }) => start <= entry && entry < end)) {
    reject(`Its entry point 0x${hex(BigInt(entry))} lies outside its segments.`, relink)
  }
  return {
    start: Number(first.start),
    end: Number(segments.at(-1)?.end ?? first.end),
    segments: segments.map(({ start, end }) => ({
      start: Number(start),
      size: Number(end - start),
    })),
  }
}

function hex(n: bigint): string {
  return n.toString(16)
}

/** Copies the segments to their physical addresses and zeroes what the file does not hold. */
export function writeKernel(kernel: KernelImage, memory: GuestPhysicalMemory): void {
  for (const segment of kernel.elf.segments) {
    if (isLoadable(segment)) writeSegment(segment, Number(segment.paddr), memory)
  }
}

function writeSegment(segment: ElfSegment, address: number, memory: GuestPhysicalMemory): void {
  const { data } = segment
  if (data.length > 0) memory.write(address, data)
  const rest = Number(segment.memsz) - data.length
  if (rest > 0) memory.zero(address + data.length, rest)
}
