// What a builder writes to: the physical memory of a domain that does not run yet.

/** Guest-physical addresses and lengths are in bytes; both may cross pages freely. */
export interface GuestPhysicalMemory {
  write(gpa: number, bytes: Uint8Array): void
  zero(gpa: number, length: number): void
}

export const PAGE_SIZE = 4096

/** `n` rounded up to whole pages. Exact up to 2^53, unlike a mask. */
export function pageUp(n: number): number {
  return Math.ceil(n / PAGE_SIZE) * PAGE_SIZE
}

/** `n` rounded down to whole pages. */
export function pageDown(n: number): number {
  return Math.floor(n / PAGE_SIZE) * PAGE_SIZE
}

/** `n` in MiB, rounded up, as `memory=` in a guest file wants it. */
export function inMiB(n: number): number {
  return Math.ceil(n / 2 ** 20)
}
