// A disk whose writes stay in memory and end with it (`snapshot=1`): the image below is only read.

import type { DiskImage } from './disk-image.ts'
import { type ByteStorage, ImageError } from './storage.ts'

const BLOCK = 65536
/** A guest may fill so much of the host's memory. */
const DEFAULT_LIMIT = 2 ** 30

export class OverlayImage implements DiskImage {
  readonly format: string
  readonly size: number
  readonly isReadOnly = false
  readonly discardGranularity = BLOCK
  readonly #below: DiskImage
  readonly #limit: number
  readonly #blocks = new Map<number, Uint8Array>()
  /** Discarded: they read as zeros, whatever is below. */
  readonly #zeros = new Set<number>()

  /** `limit` is in bytes. */
  constructor(below: DiskImage, limit = DEFAULT_LIMIT) {
    this.#below = below
    this.#limit = limit
    this.format = below.format
    this.size = below.size
  }

  read(offset: number, into: Uint8Array): void {
    for (const { block, at, start, end } of pieces(offset, into.length)) {
      const piece = into.subarray(start, end)
      const own = this.#blocks.get(block)
      if (own) piece.set(own.subarray(at, at + piece.length))
      else if (this.#zeros.has(block)) piece.fill(0)
      else this.#below.read(offset + start, piece)
    }
  }

  write(offset: number, bytes: Uint8Array): void {
    for (const { block, at, start, end } of pieces(offset, bytes.length)) {
      this.#own(block).set(bytes.subarray(start, end), at)
    }
  }

  discard(offset: number, length: number): void {
    for (const { block, start, end } of pieces(offset, length)) {
      if (end - start < BLOCK) continue
      this.#blocks.delete(block)
      this.#zeros.add(block)
    }
  }

  /** There is nothing that could survive. */
  flushSteps(): Iterable<ByteStorage> {
    return []
  }

  close(): void {
    this.#blocks.clear()
    this.#below.close()
  }

  #own(block: number): Uint8Array {
    const known = this.#blocks.get(block)
    if (known) return known
    if ((this.#blocks.size + 1) * BLOCK > this.#limit) {
      throw new ImageError(`Its changes need more than ${this.#limit / 2 ** 20} MiB of memory.`)
    }
    const bytes = new Uint8Array(BLOCK)
    if (!this.#zeros.delete(block)) {
      const start = block * BLOCK
      this.#below.read(start, bytes.subarray(0, Math.min(BLOCK, this.size - start)))
    }
    this.#blocks.set(block, bytes)
    return bytes
  }
}

/** Cuts a range at the borders of blocks: where each piece lies in its block and in the range. */
function* pieces(offset: number, length: number) {
  for (let start = 0; start < length; ) {
    const block = Math.floor((offset + start) / BLOCK)
    const at = (offset + start) % BLOCK
    const end = Math.min(length, start + BLOCK - at)
    yield { block, at, start, end }
    start = end
  }
}
