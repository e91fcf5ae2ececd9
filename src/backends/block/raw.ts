// A raw image: the file's bytes are the disk's. What lies behind the last whole sector is not seen.

import { type DiskImage, SECTOR } from './disk-image.ts'
import { type ByteStorage, readPadded } from './storage.ts'

export class RawImage implements DiskImage {
  readonly format: string = 'raw'
  readonly size: number
  readonly isReadOnly: boolean
  readonly discardGranularity = 0
  readonly #storage: ByteStorage

  /** `size` is that of the disk in bytes, if something that is no part of it follows. */
  constructor(storage: ByteStorage, size = storage.size - (storage.size % SECTOR)) {
    this.#storage = storage
    this.size = size
    this.isReadOnly = storage.isReadOnly
  }

  read(offset: number, into: Uint8Array): void {
    // The file may have been cut meanwhile.
    readPadded(this.#storage, offset, into)
  }

  write(offset: number, bytes: Uint8Array): void {
    this.#storage.write(offset, bytes)
  }

  discard(): void {}

  *flushSteps(): Iterable<ByteStorage> {
    yield this.#storage
  }

  close(): void {
    if (!this.isReadOnly) this.#storage.flush()
    this.#storage.close()
  }
}
