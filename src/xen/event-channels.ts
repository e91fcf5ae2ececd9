// The event channels of a domain: which ports exist, what they are bound to, and who may bind, send
// and close (Xen's common/event_channel.c as its guests see it). How a guest is told of an event is
// the ABI's business (event-2l, event-3l, event-fifo, event-host). Answers are 0 or a port number, or Xen's
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
import type { EventAbi } from './event-abi.ts'
import {
  type EventPort,
  type EventPorts,
  type EventPortsState,
  PORT_XENS,
  PortState,
} from './event-port.ts'

/** VIRQs that each processor has for itself; the others are the domain's. */
const PER_VCPU_VIRQS: ReadonlySet<number> = new Set([
  VIRQ_TIMER,
  VIRQ_DEBUG,
  VIRQ_XENOPROF,
  VIRQ_XENPMU,
])

export interface EventChannelsOptions {
  readonly domid: number
  /** The highest port number the domain may use (max_event_channels of xl). */
  readonly maxPort: number
  readonly vcpuCount: number
  /** PIRQs that exist; 0 for a domain without interrupts of devices. */
  readonly pirqCount: number
  /** The event channels of another domain. */
  readonly channelsOf: (domid: number) => EventChannels | undefined
  /** Told of each event for a bound port, for a trace. */
  readonly onEvent?: ((port: number) => void) | undefined
}

/** The plain form of {@link EventChannels}, without that of the ABI. */
export interface EventChannelsState {
  readonly version: 2
  readonly ports: EventPortsState
  readonly virqs: readonly (readonly number[])[]
}

export class EventChannels {
  readonly domid: number
  /** May be lowered or raised by the toolstack while the domain lives. */
  maxPort: number
  readonly #options: EventChannelsOptions
  readonly #ports: EventPorts
  #abi: EventAbi
  /** No port below this one is free. */
  #lowestFree = 1
  /** By processor and VIRQ: the bound port, or 0. */
  #virqs: number[][]
  /** By PIRQ: the bound port. */
  readonly #pirqs = new Map<number, number>()
  #isClosing = false
  /** Ports that were looked at in search of a free one, in all: what that has cost. */
  scanned = 0

  /** `ports` is empty, and the table that the ABI looks at. */
  constructor(options: EventChannelsOptions, ports: EventPorts, abi: EventAbi) {
    this.domid = options.domid
    this.maxPort = options.maxPort
    this.#options = options
    this.#ports = ports
    this.#abi = abi
    this.#virqs = Array.from({ length: options.vcpuCount }, () =>
      new Array<number>(NR_VIRQS).fill(0),
    )
  }

  /** How the guest is told. */
  get abi(): EventAbi {
    return this.#abi
  }

  /** Bytes of the host that the ports take. */
  get bytes(): number {
    return this.#ports.bytes
  }

  /** Changes the way of telling. What is masked stays so, what is pending is raised again. */
  switchAbi(abi: EventAbi): void {
    const old = this.#abi
    this.#abi = abi
    for (const number of this.boundPorts()) {
      const wasPending = old.isPending(number)
      const wasMasked = old.isMasked(number)
      old.clearPending(number)
      abi.initialise(number)
      if (wasMasked) abi.mask(number)
      if (wasPending) abi.setPending(number)
    }
  }

  /** Has the port number been allocated, whether it is in use or not. */
  isValid(number: number): boolean {
    return number >= 0 && number < this.#ports.count
  }

  /** A port, to look at; undefined if it is not valid. */
  port(number: number): EventPort | undefined {
    return this.#ports.look(number)
  }

  /** Ports that are bound to something, in ascending order. */
  boundPorts(): number[] {
    const bound: number[] = []
    for (let number = 1; number < this.#ports.count; number++) {
      if (this.#ports.isBound(number)) bound.push(number)
    }
    return bound
  }

  isPending(number: number): boolean {
    return this.#ports.isBound(number) && this.#abi.isPending(number)
  }

  isMasked(number: number): boolean {
    return !this.#ports.isBound(number) || this.#abi.isMasked(number)
  }

  /** EVTCHNOP_alloc_unbound: a port that `remote` may bind to. */
  allocUnbound(remote: number): number {
    const number = this.#allocate()
    if (number < 0) return number
    this.#ports.bind(number, PortState.unbound, remote, 0)
    this.#abi.initialise(number)
    return number
  }

  /** EVTCHNOP_bind_interdomain. */
  bindInterdomain(remoteDomid: number, remotePort: number): number {
    const remote = this.#options.channelsOf(remoteDomid)
    if (!remote) return -XEN_ESRCH
    const number = this.#allocate()
    if (number < 0) return number
    const others = remote.#ports
    if (
      others.state(remotePort) !== PortState.unbound ||
      others.remoteDomid(remotePort) !== this.domid
    ) {
      return -XEN_EINVAL
    }
    this.#ports.bind(number, PortState.interdomain, remoteDomid, remotePort)
    this.#abi.initialise(number)
    others.bind(remotePort, PortState.interdomain, this.domid, number)
    // The other side may have sent before anybody was bound: say so once, to be safe.
    this.#abi.setPending(number)
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
    if (this.#pirqs.has(pirq)) return -XEN_EEXIST
    const number = this.#bindLocal(PortState.pirq, pirq, 0)
    if (number >= 0) this.#pirqs.set(pirq, number)
    return number
  }

  /** EVTCHNOP_close. `isGuest` is false when Xen closes a port of its own. */
  close(number: number, isGuest = true): number {
    const ports = this.#ports
    if (!ports.isBound(number) || (isGuest && this.#isXens(number))) return -XEN_EINVAL
    const detail = ports.detail(number)
    switch (ports.state(number)) {
      case PortState.virq:
        for (const virqs of this.#virqs) if (virqs[detail] === number) virqs[detail] = 0
        break
      case PortState.pirq:
        this.#pirqs.delete(detail)
        break
      case PortState.interdomain:
        this.#leave(number, ports.remoteDomid(number), detail)
        break
      default:
    }
    this.#abi.clearPending(number)
    ports.free(number)
    this.#lowestFree = Math.min(this.#lowestFree, number)
    return 0
  }

  /** EVTCHNOP_send: to the other end, or to a processor of its own. */
  send(number: number): number {
    const ports = this.#ports
    if (this.#isXens(number)) return -XEN_EINVAL
    switch (ports.state(number)) {
      case PortState.interdomain: {
        const remote = this.#options.channelsOf(ports.remoteDomid(number))
        remote?.raise(ports.detail(number))
        return 0
      }
      case PortState.ipi:
        this.raise(number)
        return 0
      case PortState.unbound:
        return 0
      default:
        return -XEN_EINVAL
    }
  }

  /** An event for a port of this domain, whoever it comes from. */
  raise(number: number): void {
    if (!this.#ports.isBound(number)) return
    this.#options.onEvent?.(number)
    this.#abi.setPending(number)
  }

  /** Raises a PIRQ, if it is bound. */
  raisePirq(pirq: number): void {
    const number = this.#pirqs.get(pirq)
    if (number !== undefined) this.raise(number)
  }

  /** Raises a VIRQ, if it is bound. `vcpu` is 0 for those of the whole domain. */
  raiseVirq(virq: number, vcpu = 0): void {
    const number = this.#virqs[vcpu]?.[virq] ?? 0
    if (number !== 0) this.raise(number)
  }

  /** EVTCHNOP_bind_vcpu: the processor that is told of the next event. */
  bindVcpu(number: number, vcpu: number): number {
    if (vcpu >= this.#virqs.length) return -XEN_ENOENT
    const ports = this.#ports
    if (this.#isXens(number)) return -XEN_EINVAL
    switch (ports.state(number)) {
      case PortState.virq:
        if (PER_VCPU_VIRQS.has(ports.detail(number))) return -XEN_EINVAL
        break
      case PortState.unbound:
      case PortState.interdomain:
      case PortState.pirq:
        break
      default:
        return -XEN_EINVAL
    }
    ports.setVcpu(number, vcpu)
    return 0
  }

  /** EVTCHNOP_unmask. */
  unmask(number: number): number {
    if (!this.isValid(number)) return -XEN_EINVAL
    if (this.#ports.isBound(number)) this.#abi.unmask(number)
    return 0
  }

  /** EVTCHNOP_set_priority. */
  setPriority(number: number, priority: number): number {
    if (!this.isValid(number)) return -XEN_EINVAL
    if (!this.#abi.setPriority) return -XEN_ENOSYS
    if (priority > EVTCHN_FIFO_PRIORITY_MIN) return -XEN_EINVAL
    this.#abi.setPriority(number, priority)
    return 0
  }

  /**
   * Closes the ports that the guest may close (EVTCHNOP_reset without the change of ABI), `most` of
   * them at most. False if there are more.
   */
  closeAll(isGuest = true, most = Number.POSITIVE_INFINITY): boolean {
    let closed = 0
    for (let number = 1; number < this.#ports.count; number++) {
      if (!this.#ports.isBound(number)) continue
      if (closed === most) return false
      if (this.close(number, isGuest) === 0) closed++
    }
    return true
  }

  /** The domain ends: closes everything and gives no more ports out. */
  destroy(): void {
    this.#isClosing = true
    this.closeAll(false)
  }

  /** Gives a port to Xen: the guest can no longer send through, move or close it. */
  attachXen(number: number): void {
    invariant(this.isValid(number), `port ${number} of domain ${this.domid} does not exist`)
    this.#ports.setFlag(number, PORT_XENS)
  }

  save(): EventChannelsState {
    return {
      version: 2,
      ports: this.#ports.save(),
      virqs: this.#virqs.map((virqs) => [...virqs]),
    }
  }

  /** Takes a saved state together with the ABI that was in force. */
  restore(state: EventChannelsState, abi: EventAbi): void {
    invariant(state.version === 2, `event channels of version ${state.version} are not known`)
    this.#abi = abi
    this.#ports.restore(state.ports)
    this.#virqs = state.virqs.map((virqs) => [...virqs])
    this.#pirqs.clear()
    for (const number of this.boundPorts()) {
      if (this.#ports.state(number) !== PortState.pirq) continue
      this.#pirqs.set(this.#ports.detail(number), number)
    }
    this.#lowestFree = 1
  }

  #isXens(number: number): boolean {
    return this.#ports.has(number, PORT_XENS)
  }

  #bindLocal(state: PortState, source: number, vcpu: number): number {
    const number = this.#allocate()
    if (number < 0) return number
    this.#ports.bind(number, state, 0, source)
    this.#ports.setVcpu(number, vcpu)
    this.#abi.initialise(number)
    return number
  }

  /** The other end of a channel that ends here may be bound to again by this domain. */
  #leave(number: number, remoteDomid: number, remotePort: number): void {
    const remote = this.#options.channelsOf(remoteDomid)
    const others = remote && remote.#ports
    invariant(
      others?.state(remotePort) === PortState.interdomain &&
        others.remoteDomid(remotePort) === this.domid &&
        others.detail(remotePort) === number,
      `port ${number} of domain ${this.domid} is bound to a port that is not bound to it`,
    )
    others.bind(remotePort, PortState.unbound, this.domid, 0)
  }

  #allocate(): number {
    if (this.#isClosing) return -XEN_EINVAL
    const limit = Math.min(this.maxPort + 1, this.#abi.maxPorts)
    let isExact = true
    for (let number = this.#lowestFree; number < limit; number++) {
      this.scanned++
      if (!this.isValid(number)) this.#ports.addBucket()
      if (this.#ports.state(number) !== PortState.free) continue
      if (isExact) this.#lowestFree = number
      // The port is taken only once its state is set: a failing bind leaves it free.
      if (!this.#abi.isBusy(number)) return number
      isExact = false
    }
    return -XEN_ENOSPC
  }
}
