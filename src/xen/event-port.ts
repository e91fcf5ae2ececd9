// What a port of a domain is bound to, and the table of a domain's ports (Xen's struct evtchn). A
// domain may have 262,143 of them, so the table is typed arrays, an element a port, and no objects:
//
//   state 1 │ flags 1 │ priority 1 │ vcpu 2 │ lastQueue 2 │ remoteDomid 2 │ detail 4     = 13 bytes

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

const COLUMNS = [
  'state',
  'flags',
  'priority',
  'vcpu',
  'lastQueue',
  'remoteDomid',
  'detail',
] as const

/** The plain form of {@link EventPorts}: its columns, as long as there are ports. */
export interface EventPortsState {
  readonly version: 2
  readonly count: number
  readonly state: Uint8Array
  readonly flags: Uint8Array
  readonly priority: Uint8Array
  readonly vcpu: Uint16Array
  readonly lastQueue: Uint16Array
  readonly remoteDomid: Uint16Array
  readonly detail: Uint32Array
}

export class EventPorts {
  /** A {@link PortState}. */
  state = new Uint8Array(PORTS_PER_BUCKET)
  /** PORT_* bits. */
  flags = new Uint8Array(PORTS_PER_BUCKET)
  /** FIFO: the priority of its next event, 0 to 15. */
  priority = new Uint8Array(PORTS_PER_BUCKET)
  /** The processor that is told. */
  vcpu = new Uint16Array(PORTS_PER_BUCKET)
  /** FIFO: the queue that it was last on, 16 × processor + priority. It outlives the binding. */
  lastQueue = new Uint16Array(PORTS_PER_BUCKET)
  /** The other domain: who may bind (unbound), or who is bound (interdomain). */
  remoteDomid = new Uint16Array(PORTS_PER_BUCKET)
  /** The other end (interdomain), the VIRQ or the PIRQ. */
  detail = new Uint32Array(PORTS_PER_BUCKET)
  #count = 0

  constructor() {
    this.addBucket()
    this.state[0] = PortState.reserved
  }

  /** Ports that are valid: a multiple of the bucket's size. Port 0 is reserved. */
  get count(): number {
    return this.#count
  }

  /** Bytes that the table takes. */
  get bytes(): number {
    return COLUMNS.reduce((sum, column) => sum + this[column].byteLength, 0)
  }

  isBound(number: number): boolean {
    return (this.state[number] as number) > PortState.reserved
  }

  /** One bucket more of free ports. */
  addBucket(): void {
    const from = this.#count
    this.#count += PORTS_PER_BUCKET
    if (this.#count > this.state.length) this.#grow(this.#count * 2)
    this.priority.fill(DEFAULT_PRIORITY, from, this.#count)
    this.lastQueue.fill(DEFAULT_PRIORITY, from, this.#count)
  }

  /** Binds a free port; to processor 0 and with the default priority, unless changed afterwards. */
  bind(number: number, state: PortState, remoteDomid: number, detail: number): void {
    this.state[number] = state
    this.remoteDomid[number] = remoteDomid
    this.detail[number] = detail
  }

  /** Back to free. Which queue it was last on stays: the guest may still have it linked there. */
  free(number: number): void {
    this.state[number] = PortState.free
    this.flags[number] = 0
    this.priority[number] = DEFAULT_PRIORITY
    this.vcpu[number] = 0
    this.remoteDomid[number] = 0
    this.detail[number] = 0
  }

  /** A copy of a port's row; undefined if the number is not valid. */
  look(number: number): EventPort | undefined {
    if (!(number >= 0 && number < this.#count)) return undefined
    const state = this.state[number] as PortState
    const detail = this.detail[number] as number
    const isInterdomain = state === PortState.interdomain
    return {
      state,
      remoteDomid: this.remoteDomid[number] as number,
      remotePort: isInterdomain ? detail : 0,
      source: isInterdomain ? 0 : detail,
      vcpu: this.vcpu[number] as number,
      isXens: ((this.flags[number] as number) & PORT_XENS) !== 0,
      priority: this.priority[number] as number,
    }
  }

  save(): EventPortsState {
    const count = this.#count
    return {
      version: 2,
      count,
      state: this.state.slice(0, count),
      flags: this.flags.slice(0, count),
      priority: this.priority.slice(0, count),
      vcpu: this.vcpu.slice(0, count),
      lastQueue: this.lastQueue.slice(0, count),
      remoteDomid: this.remoteDomid.slice(0, count),
      detail: this.detail.slice(0, count),
    }
  }

  restore(state: EventPortsState): void {
    invariant(state.version === 2, `ports of version ${state.version} are not known`)
    this.#count = state.count
    this.#grow(state.count)
    for (const column of COLUMNS) this[column].set(state[column])
  }

  #grow(capacity: number): void {
    const wider = <T extends Uint8Array | Uint16Array | Uint32Array>(old: T, fresh: T): T => {
      fresh.set(old.subarray(0, capacity))
      return fresh
    }
    this.state = wider(this.state, new Uint8Array(capacity))
    this.flags = wider(this.flags, new Uint8Array(capacity))
    this.priority = wider(this.priority, new Uint8Array(capacity))
    this.vcpu = wider(this.vcpu, new Uint16Array(capacity))
    this.lastQueue = wider(this.lastQueue, new Uint16Array(capacity))
    this.remoteDomid = wider(this.remoteDomid, new Uint16Array(capacity))
    this.detail = wider(this.detail, new Uint32Array(capacity))
  }
}
