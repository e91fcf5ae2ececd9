// The event channels of a domain: which ports exist, what they are bound to, and who may bind, send
// and close (Xen's common/event_channel.c as its guests see it). How a guest is told of an event is
// the ABI's business (event-2l, event-fifo, event-host). Answers are 0 or a port number, or Xen's
// error number negated.
//
// Invariant: an interdomain port's other end exists, is interdomain, and names this end.

import { invariant } from '../base/errors.ts'
import {
  XEN_EEXIST,
  XEN_EINVAL,
  XEN_ENOENT,
  XEN_ENOSPC,
  XEN_ENOSYS,
  XEN_ESRCH,
} from './abi/errno.ts'
import { EVTCHN_FIFO_PRIORITY_MIN } from './abi/event-channel.ts'
import { NR_VIRQS, VIRQ_DEBUG, VIRQ_TIMER, VIRQ_XENOPROF, VIRQ_XENPMU } from './abi/xen.ts'
import { type EventAbi, type EventPort, newPort, PortState } from './event-port.ts'

/** Xen allocates ports in buckets of this many: numbers in a bucket are valid, if not in use. */
const PORTS_PER_BUCKET = 64

/** VIRQs that each processor has for itself; the others are the domain's. */
const PER_VCPU_VIRQS: ReadonlySet<number> = new Set([
  VIRQ_TIMER,
  VIRQ_DEBUG,
  VIRQ_XENOPROF,
  VIRQ_XENPMU,
])

export interface EventChannelsOptions {
  readonly domid: number
  /** The highest port number the domain may use (max_event_channels of xl; 1023 by default). */
  readonly maxPort: number
  readonly vcpuCount: number
  /** PIRQs that exist; 0 for a domain without interrupts of devices. */
  readonly pirqCount: number
  /** The event channels of another domain. */
  readonly channelsOf: (domid: number) => EventChannels | undefined
}

/** The plain form of {@link EventChannels}, without that of the ABI. */
export interface EventChannelsState {
  readonly version: 1
  readonly ports: readonly EventPort[]
  readonly virqs: readonly (readonly number[])[]
}

export class EventChannels {
  readonly domid: number
  /** May be lowered or raised by the toolstack while the domain lives. */
  maxPort: number
  readonly #options: EventChannelsOptions
  #abi: EventAbi
  /** A multiple of the bucket size; port 0 is never given out. */
  #ports: EventPort[] = []
  /** No port below this one is free. */
  #lowestFree = 1
  /** By processor and VIRQ: the bound port, or 0. */
  #virqs: number[][]
  #isClosing = false

  constructor(options: EventChannelsOptions, abi: EventAbi) {
    this.domid = options.domid
    this.maxPort = options.maxPort
    this.#options = options
    this.#abi = abi
    this.#virqs = Array.from({ length: options.vcpuCount }, () =>
      new Array<number>(NR_VIRQS).fill(0),
    )
    this.#addBucket()
    this.#port(0).state = PortState.reserved
  }

  /** How the guest is told. */
  get abi(): EventAbi {
    return this.#abi
  }

  /** Changes the way of telling; events that are pending under the old one are raised again. */
  switchAbi(abi: EventAbi): void {
    const old = this.#abi
    this.#abi = abi
    this.#ports.forEach((port, number) => {
      if (!isBound(port)) return
      const wasPending = old.isPending(number, port)
      abi.initialise(number, port)
      if (wasPending) abi.setPending(number, port)
    })
  }

  /** Has the port number been allocated, whether it is in use or not. */
  isValid(number: number): boolean {
    return number >= 0 && number < this.#ports.length
  }

  /** A port, to look at; undefined if it is not valid. */
  port(number: number): Readonly<EventPort> | undefined {
    return this.#ports[number]
  }

  /** Ports that are bound to something, in ascending order. */
  boundPorts(): number[] {
    const bound: number[] = []
    this.#ports.forEach((port, number) => {
      if (isBound(port)) bound.push(number)
    })
    return bound
  }

  isPending(number: number): boolean {
    const port = this.#ports[number]
    return port !== undefined && isBound(port) && this.#abi.isPending(number, port)
  }

  isMasked(number: number): boolean {
    const port = this.#ports[number]
    return port === undefined || !isBound(port) || this.#abi.isMasked(number, port)
  }

  /** EVTCHNOP_alloc_unbound: a port that `remote` may bind to. */
  allocUnbound(remote: number): number {
    const number = this.#allocate()
    if (number < 0) return number
    const port = this.#port(number)
    port.state = PortState.unbound
    port.remoteDomid = remote
    this.#abi.initialise(number, port)
    return number
  }

  /** EVTCHNOP_bind_interdomain. */
  bindInterdomain(remoteDomid: number, remotePort: number): number {
    const remote = this.#options.channelsOf(remoteDomid)
    if (!remote) return -XEN_ESRCH
    const number = this.#allocate()
    if (number < 0) return number
    const other = remote.#ports[remotePort]
    if (other?.state !== PortState.unbound || other.remoteDomid !== this.domid) {
      return -XEN_EINVAL
    }
    const port = this.#port(number)
    port.state = PortState.interdomain
    port.remoteDomid = remoteDomid
    port.remotePort = remotePort
    this.#abi.initialise(number, port)
    other.state = PortState.interdomain
    other.remoteDomid = this.domid
    other.remotePort = number
    // The other side may have sent before anybody was bound: say so once, to be safe.
    this.#abi.setPending(number, port)
    return number
  }

  /** EVTCHNOP_bind_virq. */
  bindVirq(virq: number, vcpu: number): number {
    if (virq >= NR_VIRQS) return -XEN_EINVAL
    if (!PER_VCPU_VIRQS.has(virq) && vcpu !== 0) return -XEN_EINVAL
    const virqs = this.#virqs[vcpu]
    if (!virqs) return -XEN_ENOENT
    if (virqs[virq] !== 0) return -XEN_EEXIST
    const number = this.#bindLocal(PortState.virq, virq, vcpu)
    if (number >= 0) virqs[virq] = number
    return number
  }

  /** EVTCHNOP_bind_ipi. */
  bindIpi(vcpu: number): number {
    if (vcpu >= this.#virqs.length) return -XEN_ENOENT
    return this.#bindLocal(PortState.ipi, 0, vcpu)
  }

  /** EVTCHNOP_bind_pirq. */
  bindPirq(pirq: number): number {
    if (pirq >= this.#options.pirqCount) return -XEN_EINVAL
    const isTaken = this.#ports.some(
      (port) => port.state === PortState.pirq && port.source === pirq,
    )
    if (isTaken) return -XEN_EEXIST
    return this.#bindLocal(PortState.pirq, pirq, 0)
  }

  /** EVTCHNOP_close. `isGuest` is false when Xen closes a port of its own. */
  close(number: number, isGuest = true): number {
    const port = this.#ports[number]
    if (!port || !isBound(port) || (isGuest && port.isXens)) return -XEN_EINVAL
    if (port.state === PortState.virq) {
      for (const virqs of this.#virqs) {
        if (virqs[port.source] === number) virqs[port.source] = 0
      }
    }
    if (port.state === PortState.interdomain) this.#leave(number, port)
    this.#abi.clearPending(number, port)
    const { lastVcpu, lastPriority } = port
    // Which queue it was last on outlives it: the guest may still have it linked there.
    Object.assign(port, newPort(), { lastVcpu, lastPriority })
    this.#lowestFree = Math.min(this.#lowestFree, number)
    return 0
  }

  /** EVTCHNOP_send: to the other end, or to a processor of its own. */
  send(number: number): number {
    const port = this.#ports[number]
    if (!port || port.isXens) return -XEN_EINVAL
    switch (port.state) {
      case PortState.interdomain: {
        const remote = this.#options.channelsOf(port.remoteDomid)
        remote?.raise(port.remotePort)
        return 0
      }
      case PortState.ipi:
        this.#abi.setPending(number, port)
        return 0
      case PortState.unbound:
        return 0
      default:
        return -XEN_EINVAL
    }
  }

  /** An event for a port of this domain, whoever it comes from. */
  raise(number: number): void {
    const port = this.#ports[number]
    if (port && isBound(port)) this.#abi.setPending(number, port)
  }

  /** Raises a VIRQ, if it is bound. `vcpu` is 0 for those of the whole domain. */
  raiseVirq(virq: number, vcpu = 0): void {
    const number = this.#virqs[vcpu]?.[virq] ?? 0
    if (number !== 0) this.raise(number)
  }

  /** EVTCHNOP_bind_vcpu: the processor that is told of the next event. */
  bindVcpu(number: number, vcpu: number): number {
    if (vcpu >= this.#virqs.length) return -XEN_ENOENT
    const port = this.#ports[number]
    if (!port || port.isXens) return -XEN_EINVAL
    switch (port.state) {
      case PortState.virq:
        if (PER_VCPU_VIRQS.has(port.source)) return -XEN_EINVAL
        break
      case PortState.unbound:
      case PortState.interdomain:
      case PortState.pirq:
        break
      default:
        return -XEN_EINVAL
    }
    port.vcpu = vcpu
    return 0
  }

  /** EVTCHNOP_unmask. */
  unmask(number: number): number {
    const port = this.#ports[number]
    if (!port) return -XEN_EINVAL
    if (isBound(port)) this.#abi.unmask(number, port)
    return 0
  }

  /** EVTCHNOP_set_priority. */
  setPriority(number: number, priority: number): number {
    const port = this.#ports[number]
    if (!port) return -XEN_EINVAL
    if (!this.#abi.setPriority) return -XEN_ENOSYS
    if (priority > EVTCHN_FIFO_PRIORITY_MIN) return -XEN_EINVAL
    this.#abi.setPriority(number, port, priority)
    return 0
  }

  /** Closes every port that the guest may close (EVTCHNOP_reset without the change of ABI). */
  closeAll(isGuest = true): void {
    for (let number = 1; number < this.#ports.length; number++) this.close(number, isGuest)
  }

  /** The domain ends: closes everything and gives no more ports out. */
  destroy(): void {
    this.#isClosing = true
    this.closeAll(false)
  }

  /** Gives a port to Xen: the guest can no longer send through, move or close it. */
  attachXen(number: number): void {
    this.#port(number).isXens = true
  }

  /** Raises what was remembered while the page of its event word was missing. */
  raiseLatched(from: number, to: number): void {
    for (let number = from; number < Math.min(to, this.#ports.length); number++) {
      const port = this.#port(number)
      if (!port.isLatched) continue
      port.isLatched = false
      this.raise(number)
    }
  }

  save(): EventChannelsState {
    return {
      version: 1,
      ports: this.#ports.map((port) => ({ ...port })),
      virqs: this.#virqs.map((virqs) => [...virqs]),
    }
  }

  /** Takes a saved state together with the ABI that was in force. */
  restore(state: EventChannelsState, abi: EventAbi): void {
    invariant(state.version === 1, `event channels of version ${state.version} are not known`)
    this.#abi = abi
    this.#ports = state.ports.map((port) => ({ ...port }))
    this.#virqs = state.virqs.map((virqs) => [...virqs])
    this.#lowestFree = 1
  }

  #port(number: number): EventPort {
    const port = this.#ports[number]
    invariant(port, `port ${number} of domain ${this.domid} does not exist`)
    return port
  }

  #bindLocal(state: PortState, source: number, vcpu: number): number {
    const number = this.#allocate()
    if (number < 0) return number
    const port = this.#port(number)
    port.state = state
    port.source = source
    port.vcpu = vcpu
    this.#abi.initialise(number, port)
    return number
  }

  /** The other end of a channel that ends here may be bound to again by this domain. */
  #leave(number: number, port: EventPort): void {
    const remote = this.#options.channelsOf(port.remoteDomid)
    const other = remote && remote.#ports[port.remotePort]
    invariant(
      other?.state === PortState.interdomain &&
        other.remoteDomid === this.domid &&
        other.remotePort === number,
      `port ${number} of domain ${this.domid} is bound to a port that is not bound to it`,
    )
    other.state = PortState.unbound
    other.remotePort = 0
  }

  #allocate(): number {
    if (this.#isClosing) return -XEN_EINVAL
    const limit = Math.min(this.maxPort + 1, this.#abi.maxPorts)
    let isExact = true
    for (let number = this.#lowestFree; number < limit; number++) {
      if (!this.isValid(number)) this.#addBucket()
      const port = this.#port(number)
      if (port.state !== PortState.free) continue
      if (this.#abi.isBusy(number, port)) {
        if (isExact) this.#lowestFree = number
        isExact = false
        continue
      }
      // The port is taken only once its state is set: a failing bind leaves it free.
      if (isExact) this.#lowestFree = number
      return number
    }
    return -XEN_ENOSPC
  }

  #addBucket(): void {
    for (let i = 0; i < PORTS_PER_BUCKET; i++) this.#ports.push(newPort())
  }
}

function isBound(port: EventPort): boolean {
  return port.state !== PortState.free && port.state !== PortState.reserved
}
