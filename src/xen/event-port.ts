// What a port of a domain is bound to, and the table of a domain's ports (Xen's struct evtchn). A
// domain may have 262,143 of them, so the table is one buffer with a record a port, and no objects.
// A record is 16 bytes, so that whatever an event asks of a port lies in one cache line (with an
// array for each field a send among 131,071 ports took about twice as long: `bench events`):
//
//   0 state │ 1 flags │ 2 priority │ 4 vcpu u16 │ 6 lastQueue u16 │ 8 remoteDomid u16 │ 12 detail u32

import { invariant } from '../base/errors.ts'

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

/** Xen itself listens here: the guest may neither send, close nor move it. */
export const PORT_XENS = 1
/** FIFO: raised while the guest had not given the page of its event word yet. */
export const PORT_LATCHED = 2
/** FIFO: was masked under the ABI before, and has no event word yet. */
export const PORT_MASK_LATCHED = 4

/** The priority of a port's events until EVTCHNOP_set_priority. */
const DEFAULT_PRIORITY = 7
/** Xen allocates ports in buckets of this many: numbers in a bucket are valid, if not in use. */
const PORTS_PER_BUCKET = 64

/** A port, as one looks at it from outside. */
export interface EventPort {
  readonly state: PortState
  /** The other domain: who may bind (unbound), or who is bound (interdomain). */
  readonly remoteDomid: number
  /** The other end (interdomain). */
  readonly remotePort: number
  /** Which VIRQ or PIRQ. */
  readonly source: number
  /** The processor that is told. */
  readonly vcpu: number
  readonly isXens: boolean
  readonly priority: number
}

/** The plain form of {@link EventPorts}: the records, in little-endian order. */
export interface EventPortsState {
  readonly version: 2
  readonly records: Uint8Array
}

const RECORD = 16

export class EventPorts {
  #u8 = new Uint8Array(0)
  #u16 = new Uint16Array(0)
  #u32 = new Uint32Array(0)
  #count = 0

  constructor() {
    this.addBucket()
    this.bind(0, PortState.reserved, 0, 0)
  }

  /** Ports that are valid: a multiple of the bucket's size. Port 0 is reserved. */
  get count(): number {
    return this.#count
  }

  /** Bytes that the table takes. */
  get bytes(): number {
    return this.#u8.length
  }

  // Fields of a port. A number that is not valid has state free, no flags, and zeros.

  state(number: number): PortState {
    return (this.#u8[number * RECORD] ?? PortState.free) as PortState
  }

  isBound(number: number): boolean {
    return this.state(number) > PortState.reserved
  }

  /** Has it any of these PORT_* flags. */
  has(number: number, flags: number): boolean {
    return ((this.#u8[number * RECORD + 1] ?? 0) & flags) !== 0
  }

  setFlag(number: number, flag: number): void {
    const at = number * RECORD + 1
    this.#u8[at] = (this.#u8[at] ?? 0) | flag
  }

  clearFlag(number: number, flag: number): void {
    const at = number * RECORD + 1
    this.#u8[at] = (this.#u8[at] ?? 0) & ~flag
  }

  /** FIFO: the priority of its next event, 0 to 15. */
  priority(number: number): number {
    return this.#u8[number * RECORD + 2] ?? 0
  }

  setPriority(number: number, priority: number): void {
    this.#u8[number * RECORD + 2] = priority
  }

  /** The processor that is told. */
  vcpu(number: number): number {
    return this.#u16[number * 8 + 2] ?? 0
  }

  setVcpu(number: number, vcpu: number): void {
    this.#u16[number * 8 + 2] = vcpu
  }

  /** FIFO: the queue that it was last on, 16 × processor + priority. It outlives the binding. */
  lastQueue(number: number): number {
    return this.#u16[number * 8 + 3] ?? 0
  }

  setLastQueue(number: number, queue: number): void {
    this.#u16[number * 8 + 3] = queue
  }

  /** The other domain: who may bind (unbound), or who is bound (interdomain). */
  remoteDomid(number: number): number {
    return this.#u16[number * 8 + 4] ?? 0
  }

  /** The other end (interdomain), the VIRQ or the PIRQ. */
  detail(number: number): number {
    return this.#u32[number * 4 + 3] ?? 0
  }

  /** One bucket more of free ports. */
  addBucket(): void {
    const from = this.#count
    this.#count += PORTS_PER_BUCKET
    if (this.#count * RECORD > this.#u8.length) this.#hold(this.#count + (this.#count >>> 2))
    for (let number = from; number < this.#count; number++) {
      this.setPriority(number, DEFAULT_PRIORITY)
      this.setLastQueue(number, DEFAULT_PRIORITY)
    }
  }

  /** Binds a port, or binds it to something else; the rest of its record stays. */
  bind(number: number, state: PortState, remoteDomid: number, detail: number): void {
    this.#u8[number * RECORD] = state
    this.#u16[number * 8 + 4] = remoteDomid
    this.#u32[number * 4 + 3] = detail
  }

  /** Back to free. Which queue it was last on stays: the guest may still have it linked there. */
  free(number: number): void {
    this.bind(number, PortState.free, 0, 0)
    this.#u8[number * RECORD + 1] = 0
    this.setPriority(number, DEFAULT_PRIORITY)
    this.setVcpu(number, 0)
  }

  /** A copy of a port's record; undefined if the number is not valid. */
  look(number: number): EventPort | undefined {
    if (!(number >= 0 && number < this.#count)) return undefined
    const state = this.state(number)
    const isInterdomain = state === PortState.interdomain
    return {
      state,
      remoteDomid: this.remoteDomid(number),
      remotePort: isInterdomain ? this.detail(number) : 0,
      source: isInterdomain ? 0 : this.detail(number),
      vcpu: this.vcpu(number),
      isXens: this.has(number, PORT_XENS),
      priority: this.priority(number),
    }
  }

  save(): EventPortsState {
    return { version: 2, records: this.#u8.slice(0, this.#count * RECORD) }
  }

  restore(state: EventPortsState): void {
    invariant(state.version === 2, `ports of version ${state.version} are not known`)
    this.#count = state.records.length / RECORD
    this.#hold(this.#count)
    this.#u8.set(state.records)
  }

  /** Room for that many ports, with those that there are as far as they fit. */
  #hold(ports: number): void {
    const old = this.#u8
    const buffer = new ArrayBuffer(ports * RECORD)
    this.#u8 = new Uint8Array(buffer)
    this.#u16 = new Uint16Array(buffer)
    this.#u32 = new Uint32Array(buffer)
    this.#u8.set(old.subarray(0, ports * RECORD))
  }
}
