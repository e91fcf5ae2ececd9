// A raw image: the file's bytes are the disk's. What lies behind the last whole sector is not seen.
// What is discarded is punched out of the file, in large units: each time costs as much as some
// thousand writes.

import { type DiskImage, SECTOR } from './disk-image.ts'
import { type ByteStorage, ImageError, readPadded } from './storage.ts'

const UNIT = 2 ** 20

export class RawImage implements DiskImage {
  readonly format: string = 'raw'
  readonly size: number
  readonly isReadOnly: boolean
  discardGranularity: number
  readonly #storage: ByteStorage

  /** `size` is that of the disk in bytes, if something that is no part of it follows. */
  constructor(storage: ByteStorage, size = storage.size - (storage.size % SECTOR)) {
    this.#storage = storage
    this.size = size
    this.isReadOnly = storage.isReadOnly
    this.discardGranularity = storage.punch ? UNIT : 0
  }

  read(offset: number, into: Uint8Array): void {
    // The file may have been cut meanwhile.
    readPadded(this.#storage, offset, into)
  }

  write(offset: number, bytes: Uint8Array): void {
    this.#storage.write(offset, bytes)
  }

  discard(offset: number, length: number): void {
    const start = Math.ceil(offset / UNIT) * UNIT
    const end = offset + length
    const stop = end === this.size ? end : Math.floor(end / UNIT) * UNIT
    if (stop <= start || this.#storage.punch?.(start, stop - start)) return
    // Zeros in the place of so much could take for ever.
    this.discardGranularity = 0
    throw new ImageError('Its file system does not take discarded bytes back.')
  }

  *flushSteps(): Iterable<ByteStorage> {
    yield this.#storage
  }

  close(): void {
    if (!this.isReadOnly) this.#storage.flush()
    this.#storage.close()
  }
}
