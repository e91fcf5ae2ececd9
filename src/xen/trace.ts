// What happens to domains, told as it happens to whoever listens: hypercalls, events, exits from
// guest code, and processors that run or wait. Nothing is made up while nobody listens. What xentrace
// writes as binary records is plain data here.

/** By kind, as `trace` names them, what is told. */
export const TRACE_KINDS = {
  hypercalls: 'hypercalls with arguments and results',
  events: 'events that come for ports of the domain',
  exits: 'what leaves guest code for the host: CPUID, MSRs, ports, registers of the APIC',
  sched: 'processors that begin to run, to wait, or go off line',
} as const

export type TraceKind = keyof typeof TRACE_KINDS

interface RecordOfAny {
  /** Nanoseconds since the host started. */
  readonly now: number
  readonly domid: number
}

interface RecordOfVcpu extends RecordOfAny {
  readonly vcpu: number
}

export interface HypercallRecord extends RecordOfVcpu {
  readonly kind: 'hypercalls'
  readonly name: string
  readonly parameters: readonly string[]
  readonly args: readonly bigint[]
  /** The result; undefined when the call goes on later. */
  readonly result: number | undefined
}

export interface EventRecord extends RecordOfAny {
  readonly kind: 'events'
  readonly port: number
  /** What the port is bound to, such as `d0:7`, `VIRQ 0` or `IPI`. */
  readonly source: string
}

export interface ExitRecord extends RecordOfVcpu {
  readonly kind: 'exits'
  /** `cpuid`, `rdmsr`, `wrmsr`, `in`, `out`, `mmio read` or `mmio write`. */
  readonly what: string
  /** Leaf, MSR, port or guest-physical address. */
  readonly at: number
  /** What was read or written, where that is one number. */
  readonly value: bigint | undefined
}

export interface SchedRecord extends RecordOfVcpu {
  readonly kind: 'sched'
  readonly state: string
}

export type TraceRecord = HypercallRecord | EventRecord | ExitRecord | SchedRecord

export type TraceListener = (record: TraceRecord) => void

export class Trace {
  readonly #listeners = new Map<TraceListener, ReadonlySet<TraceKind>>()
  /** Whether somebody listens to each kind: looked at before a record is made. */
  hypercalls = false
  events = false
  exits = false
  sched = false

  /** Calls `listener` with records of these kinds from now on; gives the function that ends it. */
  listen(kinds: readonly TraceKind[], listener: TraceListener): () => void {
    this.#listeners.set(listener, new Set(kinds))
    this.#update()
    return () => {
      this.#listeners.delete(listener)
      this.#update()
    }
  }

  note(record: TraceRecord): void {
    for (const [listener, kinds] of [...this.#listeners]) {
      if (kinds.has(record.kind)) listener(record)
    }
  }

  #update(): void {
    const all = new Set([...this.#listeners.values()].flatMap((kinds) => [...kinds]))
    for (const kind of Object.keys(TRACE_KINDS) as TraceKind[]) this[kind] = all.has(kind)
  }
}
