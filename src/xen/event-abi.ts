// The interface behind which the ways of telling a guest about events differ: two-level, three-level
// and FIFO for guests, callbacks for the host's own services.

/** The ABIs that a guest may be allowed, as the toolstack names them. */
export const EVENT_ABI_NAMES = ['2l', '3l', 'fifo'] as const
export type EventAbiName = (typeof EVENT_ABI_NAMES)[number]

/** A way of telling a guest about events. Ports given to it are valid and in use. */
export interface EventAbi {
  readonly name: string
  /** Port numbers are below this. */
  readonly maxPorts: number
  /** A port has been bound. */
  initialise(number: number): void
  /** An event for the port. */
  setPending(number: number): void
  clearPending(number: number): void
  /** Masks a port on the guest's behalf, before its first event: the state of another ABI moves. */
  mask(number: number): void
  unmask(number: number): void
  isPending(number: number): boolean
  isMasked(number: number): boolean
  /** The port number may not be given out again yet, although nothing is bound to it. */
  isBusy(number: number): boolean
  /** Absent where the ABI has no priorities. */
  setPriority?(number: number, priority: number): void
}

/** What an {@link EventAbi} needs of the domain it serves. */
export interface EventTarget {
  /** evtchn_upcall_pending of the processor has just changed from 0 to 1. */
  upcall(vcpu: number): void
  /** The port is pending: processors that sleep in SCHEDOP_poll for it wake up. */
  wakePollers(port: number): void
}
