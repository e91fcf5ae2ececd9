// Events for a service of the host: a port of the control domain, which runs no guest code, is
// bound to a callback. Callbacks are not called in the middle of whatever raised the event: they
// wait until the hypervisor says so (`deliver`), in the order of the events. A patient callback waits
// until the processor that runs has ended its turn; for the others it is made to come back at once.

import type { EventAbi } from './event-abi.ts'

/** Port numbers of a control domain are below this: each of its guests may have many. */
export const MAX_HOST_PORTS = 2 ** 20

/** Calls of one `deliver` at most: services that answer each other come back in the next one. */
const MAX_CALLS = 4096

/** The plain form of {@link HostEvents}; services attach their callbacks anew. */
export interface HostEventsState {
  readonly version: 1
  readonly pending: readonly number[]
}

export class HostEvents implements EventAbi {
  readonly name = 'host'
  readonly maxPorts = MAX_HOST_PORTS
  /** Pending ports in the order of their events. */
  readonly #pending = new Set<number>()
  readonly #handlers = new Map<number, () => void>()
  readonly #patient = new Set<number>()
  readonly #wanted: () => void

  /** `wanted` is called when the first event has come in: somebody should call `deliver` soon. */
  constructor(wanted: () => void = () => {}) {
    this.#wanted = wanted
  }

  /**
   * Has a port's events answered by a callback. Events that came before are not lost. The events of
   * a patient callback interrupt nobody.
   */
  attach(port: number, handler: () => void, isPatient = false): void {
    this.#handlers.set(port, handler)
    if (isPatient) this.#patient.add(port)
    if (this.#pending.size > 0) this.#wanted()
  }

  detach(port: number): void {
    this.#handlers.delete(port)
    this.#patient.delete(port)
    this.#pending.delete(port)
  }

  /** Is there anything for `deliver` to do. */
  get hasWork(): boolean {
    for (const port of this.#pending) if (this.#handlers.has(port)) return true
    return false
  }

  /** Calls the callbacks of all pending ports, and of those that become pending meanwhile. */
  deliver(): number {
    let calls = 0
    // A set iterates in insertion order and visits what is added while it does.
    for (const port of this.#pending) {
      const handler = this.#handlers.get(port)
      if (!handler) continue
      if (calls === MAX_CALLS) break
      this.#pending.delete(port)
      calls++
      handler()
    }
    return calls
  }

  initialise(): void {}

  setPending(number: number): void {
    this.#pending.add(number)
    if (!this.#patient.has(number)) this.#wanted()
  }

  clearPending(number: number): void {
    this.#pending.delete(number)
  }

  mask(): void {}

  unmask(): void {}

  isPending(number: number): boolean {
    return this.#pending.has(number)
  }

  isMasked(): boolean {
    return false
  }

  isBusy(): boolean {
    return false
  }

  save(): HostEventsState {
    return { version: 1, pending: [...this.#pending] }
  }

  restore(state: HostEventsState): void {
    this.#pending.clear()
    for (const port of state.pending) this.#pending.add(port)
  }
}
