// One end of an event channel, as plain data (Xen's struct evtchn), and the interface behind which
// the ways of telling a guest about events (two-level, FIFO) differ.

/** What a port is bound to. */
export const PortState = {
  free: 0,
  reserved: 1,
  unbound: 2,
  interdomain: 3,
  pirq: 4,
  virq: 5,
  ipi: 6,
} as const
export type PortState = (typeof PortState)[keyof typeof PortState]

export interface EventPort {
  state: PortState
  /** The other domain: who may bind (unbound), or who is bound (interdomain). */
  remoteDomid: number
  /** The other end (interdomain). */
  remotePort: number
  /** Which VIRQ or PIRQ. */
  source: number
  /** The processor that is told. */
  vcpu: number
  /** Xen itself listens here: the guest may neither send, close nor move it. */
  isXens: boolean
  /** FIFO: priority of its next event, and the queue that it was last on. */
  priority: number
  lastVcpu: number
  lastPriority: number
  /** FIFO: raised while the guest had not given the page of its event word yet. */
  isLatched: boolean
}

/** A port that is bound to nothing. */
export function newPort(): EventPort {
  return {
    state: PortState.free,
    remoteDomid: 0,
    remotePort: 0,
    source: 0,
    vcpu: 0,
    isXens: false,
    priority: 7,
    lastVcpu: 0,
    lastPriority: 7,
    isLatched: false,
  }
}

/** A way of telling a guest about events. Ports given to it are valid and in use. */
export interface EventAbi {
  readonly name: string
  /** Port numbers are below this. */
  readonly maxPorts: number
  /** A port has been bound. */
  initialise(number: number, port: EventPort): void
  /** An event for the port. */
  setPending(number: number, port: EventPort): void
  clearPending(number: number, port: EventPort): void
  unmask(number: number, port: EventPort): void
  isPending(number: number, port: EventPort): boolean
  isMasked(number: number, port: EventPort): boolean
  /** The port number may not be given out again yet, although nothing is bound to it. */
  isBusy(number: number, port: EventPort): boolean
  /** Absent where the ABI has no priorities. */
  setPriority?(number: number, port: EventPort, priority: number): void
}

/** What an {@link EventAbi} needs of the domain it serves. */
export interface EventTarget {
  /** evtchn_upcall_pending of the processor has just changed from 0 to 1. */
  upcall(vcpu: number): void
  /** The port is pending: processors that sleep in SCHEDOP_poll for it wake up. */
  wakePollers(port: number): void
}
