// A disk as its formats present it: a fixed number of bytes that can be read and, unless the disk is
// read-only, written. Offsets and lengths are checked by the caller; they are whole sectors.

import type { ByteStorage } from './storage.ts'

/** Bytes of a sector, whatever the format. */
export const SECTOR = 512

export interface DiskImage {
  /** As the disk specification calls it, such as `qcow2`. */
  readonly format: string
  /** Bytes that the guest sees: whole sectors. */
  readonly size: number
  readonly isReadOnly: boolean
  /** The unit of {@link discard} in bytes; 0 if it would do nothing. */
  readonly discardGranularity: number
  /** @throws ImageError if the image is damaged there; or what the storage throws */
  read(offset: number, into: Uint8Array): void
  write(offset: number, bytes: Uint8Array): void
  /**
   * The contents are not needed any more and read as zeros, as far as whole units are covered.
   * @throws ImageError if the storage refuses: nothing has changed, and it is not offered any more
   */
  discard(offset: number, length: number): void
  /**
   * Makes all that was written before safe from a power failure, in steps: whoever walks through them
   * flushes each storage that is given before going on, and touches the image in between at most to
   * close it. {@link flushNow} does that at once.
   */
  flushSteps(): Iterable<ByteStorage>
  /** Flushes and lets go. */
  close(): void
}

/** Returns when all that was written to an image before is safe. */
export function flushNow(image: Pick<DiskImage, 'flushSteps'>): void {
  for (const storage of image.flushSteps()) storage.flush()
}
