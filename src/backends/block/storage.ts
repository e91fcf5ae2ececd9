// What an image lies in: bytes in a row, such as a file. Reading and writing are synchronous on purpose:
// a page that the host's cache holds comes in a microsecond or two, where a thread pool takes tens, and
// a run in virtual time must not depend on when a disk answers. A flush waits for the medium itself, so
// there are both kinds of it.

/** Bytes in a row that grow where somebody writes behind their end. */
export interface ByteStorage {
  /** Bytes at the moment. */
  readonly size: number
  readonly isReadOnly: boolean
  /** Fills `into` from `offset` on. Gives how many bytes there were: fewer only at the end. */
  read(offset: number, into: Uint8Array): number
  /** Stores all of `bytes`. A gap behind the old end reads as zeros. */
  write(offset: number, bytes: Uint8Array): void
  /**
   * Bytes are not needed: from now on they read as zeros, and take no room. False if that cannot be
   * done, absent if it never can: then nothing has changed.
   */
  readonly punch?: ((offset: number, length: number) => boolean) | undefined
  /** Returns when everything written has reached the medium, so that no power failure undoes it. */
  flush(): void
  /** As flush, while others go on; rejects with what flush would throw. It may be closed meanwhile. */
  flushLater?(): Promise<void>
  close(): void
}

/** An image is damaged, or asks for something that we do not do. The message is one sentence. */
export class ImageError extends Error {
  override readonly name = 'ImageError'
}

/** Reads exactly `length` bytes of what the image's structure says is there. */
export function readExactly(
  storage: ByteStorage,
  offset: number,
  length: number,
  what: string,
): Uint8Array<ArrayBuffer> {
  if (!(offset >= 0 && offset + length <= storage.size)) {
    throw new ImageError(`Its ${what} would lie behind the end of the file.`)
  }
  const bytes = new Uint8Array(length)
  if (storage.read(offset, bytes) !== length) {
    throw new ImageError(`Its ${what} cannot be read to the end.`)
  }
  return bytes
}

/** Fills `into`; what lies behind the end is zero. */
export function readPadded(storage: ByteStorage, offset: number, into: Uint8Array): void {
  const got = storage.read(offset, into)
  if (got < into.length) into.fill(0, got)
}
