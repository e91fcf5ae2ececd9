// Records that a disk's writer leaves and its checker looks for: where each one is, and what it says.

/** Blocks of 4 KiB on the disk: a prime, so that every record has a place of its own. */
const BLOCKS = 16_381

export const DISK_BYTES = BLOCKS * 4096

export function placeOf(record: number): number {
  return (record * 7919) % BLOCKS
}

export function recordBytes(record: number): Uint8Array {
  return new Uint8Array(new Uint32Array(1024).fill(record + 1).buffer)
}
