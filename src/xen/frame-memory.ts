// The hypervisor's own access to machine frames: aligned words, bits and bytes, within one frame.
// Every store is reported, because a page may hold code that the processor has decoded.

import { Bug } from '../base/errors.ts'
import { FRAME_BYTES, type FrameTable, type Mfn } from '../machine/frame-table.ts'

/** The host's memory as seen through its views, which may be replaced when it grows. */
export interface HostMemoryViews {
  readonly u8: Uint8Array
  readonly u32: Uint32Array
}

export class FrameMemory {
  readonly table: FrameTable
  readonly #memory: HostMemoryViews
  readonly #written: (hostOffset: number, bytes: number) => void

  /** `written` is told of every store: where in the host's memory, and how many bytes. */
  constructor(
    table: FrameTable,
    memory: HostMemoryViews,
    written: (hostOffset: number, bytes: number) => void = () => {},
  ) {
    this.table = table
    this.#memory = memory
    this.#written = written
  }

  /** A copy of bytes that lie in one frame. */
  read(mfn: Mfn, offset: number, length: number): Uint8Array<ArrayBuffer> {
    const at = this.#at(mfn, offset, length)
    return this.#memory.u8.slice(at, at + length)
  }

  /** Copies bytes that lie in one frame to `target`, as many as it has room for. */
  copyOut(mfn: Mfn, offset: number, target: Uint8Array): void {
    const at = this.#at(mfn, offset, target.length)
    target.set(this.#memory.u8.subarray(at, at + target.length))
  }

  /** Stores bytes into one frame. */
  write(mfn: Mfn, offset: number, bytes: Uint8Array): void {
    const at = this.#at(mfn, offset, bytes.length)
    this.#memory.u8.set(bytes, at)
    this.#written(at, bytes.length)
  }

  /** Copies bytes from one frame into another (or the same); neither end crosses its frame. */
  copy(from: Mfn, fromOffset: number, to: Mfn, toOffset: number, length: number): void {
    const source = this.#at(from, fromOffset, length)
    const target = this.#at(to, toOffset, length)
    this.#memory.u8.copyWithin(target, source, source + length)
    this.#written(target, length)
  }

  /** Zeroes a frame. */
  clear(mfn: Mfn): void {
    const at = this.#at(mfn, 0, FRAME_BYTES)
    this.#memory.u8.fill(0, at, at + FRAME_BYTES)
    this.#written(at, FRAME_BYTES)
  }

  /** A frame's contents have changed by other means. */
  written(mfn: Mfn, bytes: number): void {
    this.#written(this.#at(mfn, 0, bytes), bytes)
  }

  get8(mfn: Mfn, offset: number): number {
    return this.#memory.u8[this.#at(mfn, offset, 1)] as number
  }

  set8(mfn: Mfn, offset: number, value: number): void {
    const at = this.#at(mfn, offset, 1)
    this.#memory.u8[at] = value
    this.#written(at, 1)
  }

  get16(mfn: Mfn, offset: number): number {
    return this.get8(mfn, offset) | (this.get8(mfn, offset + 1) << 8)
  }

  set16(mfn: Mfn, offset: number, value: number): void {
    const at = this.#at(mfn, offset, 2)
    this.#memory.u8[at] = value
    this.#memory.u8[at + 1] = value >> 8
    this.#written(at, 2)
  }

  /** The 32-bit word at a multiple of 4, unsigned. */
  get32(mfn: Mfn, offset: number): number {
    return this.#memory.u32[this.#at(mfn, offset, 4) >>> 2] as number
  }

  /** Stores a 32-bit word at a multiple of 4. */
  set32(mfn: Mfn, offset: number, value: number): void {
    const at = this.#at(mfn, offset, 4)
    this.#memory.u32[at >>> 2] = value
    this.#written(at, 4)
  }

  /** Is bit `bit` of the bitmap that starts at `offset` set. */
  testBit(mfn: Mfn, offset: number, bit: number): boolean {
    return ((this.get8(mfn, offset + (bit >>> 3)) >> (bit & 7)) & 1) !== 0
  }

  /** Sets a bit of a bitmap, and says whether it was set before. */
  testAndSetBit(mfn: Mfn, offset: number, bit: number): boolean {
    const at = this.#at(mfn, offset + (bit >>> 3), 1)
    const { u8 } = this.#memory
    const old = u8[at] as number
    const mask = 1 << (bit & 7)
    if (old & mask) return true
    u8[at] = old | mask
    this.#written(at, 1)
    return false
  }

  /** Clears a bit of a bitmap, and says whether it was set before. */
  testAndClearBit(mfn: Mfn, offset: number, bit: number): boolean {
    const at = this.#at(mfn, offset + (bit >>> 3), 1)
    const { u8 } = this.#memory
    const old = u8[at] as number
    const mask = 1 << (bit & 7)
    if (!(old & mask)) return false
    u8[at] = old & ~mask
    this.#written(at, 1)
    return true
  }

  #at(mfn: Mfn, offset: number, length: number): number {
    // Not invariant(): the message would be put together at every access.
    if (!this.table.contains(mfn) || offset < 0 || offset + length > FRAME_BYTES) {
      throw new Bug(`bytes ${offset} to ${offset + length} are not in frame ${mfn}`)
    }
    return this.table.offsetOf(mfn) + offset
  }
}
