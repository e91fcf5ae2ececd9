// Bytes in memory in place of a file, for images that a program makes and for tests.

import type { ByteStorage } from './storage.ts'

export class MemoryStorage implements ByteStorage {
  readonly isReadOnly: boolean
  #bytes: Uint8Array
  #size: number

  constructor(bytes: Uint8Array = new Uint8Array(), isReadOnly = false) {
    this.#bytes = bytes
    this.#size = bytes.length
    this.isReadOnly = isReadOnly
  }

  get size(): number {
    return this.#size
  }

  /** A copy of everything. */
  contents(): Uint8Array {
    return this.#bytes.slice(0, this.#size)
  }

  read(offset: number, into: Uint8Array): number {
    const piece = this.#bytes.subarray(offset, Math.min(this.#size, offset + into.length))
    into.set(piece)
    return piece.length
  }

  write(offset: number, bytes: Uint8Array): void {
    const end = offset + bytes.length
    if (end > this.#bytes.length) {
      const larger = new Uint8Array(Math.max(end, 2 * this.#bytes.length))
      larger.set(this.#bytes)
      this.#bytes = larger
    }
    this.#bytes.set(bytes, offset)
    this.#size = Math.max(this.#size, end)
  }

  flush(): void {}

  close(): void {}
}
