// A disk as its formats present it: a fixed number of bytes that can be read and, unless the disk is
// read-only, written. Offsets and lengths are checked by the caller; they are whole sectors.

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
  /** The contents are not needed any more and read as zeros, as far as whole units are covered. */
  discard(offset: number, length: number): void
  /** Returns when all that was written before is safe from a power failure. */
  flush(): void
  /** Flushes and lets go. */
  close(): void
}
