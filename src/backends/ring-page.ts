// How a backend sees a ring page that it shares with a guest. The page lies in the host's RAM,
// whose buffer is replaced when it grows: a view is fetched anew for every use, never kept.

/** One page shared with a guest, and the event channel that goes with it. */
export interface RingPage {
  /** A view of exactly this page, valid until control returns to the host. */
  page(): DataView
  /** Told after `length` bytes at `offset` were written, so that translated code can be dropped. */
  written(offset: number, length: number): void
  /** Sends the event to the guest. */
  notify(): void
}

/** Bytes in a ring with free-running 32-bit indices, or undefined if they are not those of a ring. */
export function ringFill(producer: number, consumer: number, size: number): number | undefined {
  const fill = (producer - consumer) >>> 0
  return fill <= size ? fill : undefined
}
