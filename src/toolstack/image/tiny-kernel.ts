// Makes whole kernels for tests: a tiny PVH image, and a bzImage around any payload.

import type { Decompressors } from './decompress/decompressors.ts'
import { PT_LOAD, PT_NOTE } from './elf.ts'
import { type KernelImage, openKernel } from './kernel.ts'
import { number, type TinySegment, tinyElf, tinyNote } from './tiny-elf.ts'

/** Fails when used: for images that gzip and zstd have nothing to do with. */
export const NO_DECOMPRESSORS: Decompressors = {
  gzip: () => Promise.reject(new Error('gzip is not at hand')),
  zstd: () => Promise.reject(new Error('zstd is not at hand')),
}

/** A PVH image with the given segments and entry point. */
export function tinyPvhElf(entry: bigint, segments: readonly TinySegment[]): Uint8Array {
  const note = { type: PT_NOTE, flags: 4, data: tinyNote(18, number(entry, 4)) }
  return tinyElf({ bits: 32, entry, segments: [...segments, note] })
}

/** A PVH image with some bytes of code at 1 MiB, entered in 32-bit protected mode. */
export function tinyPvhProgram(...code: readonly number[]): Uint8Array {
  const data = Uint8Array.from(code)
  const segment = { type: PT_LOAD, flags: 5, paddr: 0x100000n, memsz: 0x1000n, data }
  return tinyPvhElf(0x100000n, [segment])
}

/** Programs for guests that need no kernel. */
export const TINY_PROGRAMS = {
  /** CLI; HLT: powers itself off. */
  powersOff: [0xfa, 0xf4],
  /** STI; HLT; JMP to the HLT: waits for an interrupt that never comes. */
  waits: [0xfb, 0xf4, 0xeb, 0xfd],
  /** JMP to itself: takes all that it gets. */
  spins: [0xeb, 0xfe],
  /** SCHEDOP_shutdown (EAX = 29, EBX = 2) with reason 1, reboot, which lies behind the code. */
  reboots: [
    ...[0xb8, 29, 0, 0, 0, 0xbb, 2, 0, 0, 0, 0xb9, 0x14, 0, 0x10, 0],
    ...[0x0f, 0x01, 0xc1, 0xf4, 0x90, 1, 0, 0, 0],
  ],
} as const

/** The image of {@link tinyPvhProgram}, opened. */
export async function tinyPvhKernel(): Promise<KernelImage> {
  return openKernel(tinyPvhProgram(0xf4, 0xeb, 0xfd), 'tiny', NO_DECOMPRESSORS)
}

/** A Linux boot image with one setup sector (Linux's boot protocol 2.15). */
export function tinyBzImage(payload: Uint8Array): Uint8Array {
  const start = 1024
  const payloadOffset = 16
  const bytes = new Uint8Array(start + payloadOffset + payload.length)
  const view = new DataView(bytes.buffer)
  view.setUint8(0x1f1, 1)
  view.setUint16(0x1fe, 0xaa55, true)
  bytes.set(new TextEncoder().encode('HdrS'), 0x202)
  view.setUint16(0x206, 0x20f, true)
  view.setUint16(0x20e, 0x100, true)
  view.setUint32(0x238, 2047, true)
  view.setUint32(0x248, payloadOffset, true)
  view.setUint32(0x24c, payload.length, true)
  bytes.set(new TextEncoder().encode('6.1.0-tiny\0'), 0x300)
  bytes.set(payload, start + payloadOffset)
  return bytes
}
