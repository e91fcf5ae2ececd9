// Random traffic over event channels, with the model beside: every step does the same to both, and
// whatever can be seen has to agree. The guest follows the rules of its ABI.

import { Bug } from '../../base/errors.ts'
import type { EventAbiName } from '../event-abi.ts'
import {
  type Consumer,
  CONSUMER_PAGES,
  consumerOf,
  FIRST_GFN,
  type Taken,
} from './event-consumers.ts'
import { EventModel } from './event-model.ts'
import { guestOf, moveHost } from './move-host.ts'
import { type TestGuest, TestHost } from './test-host.ts'

const VCPUS = 4

export interface Traffic {
  readonly abi: EventAbiName
  readonly width?: 32 | 64
  /** Ports in all, of which `active` have traffic, the highest among them. */
  readonly ports: number
  readonly active: number
  readonly steps: number
  readonly seed: number
  /** Steps between two moves of everything into another host; none if not given. */
  readonly stepsPerMove?: number
}

/** What happened, so that a test can see that enough did. */
export interface TrafficCounts {
  readonly sent: number
  readonly delivered: number
  readonly moves: number
  readonly closed: number
}

/** Runs the traffic. Throws at the first difference, with the step that showed it. */
export function runTraffic(traffic: Traffic): TrafficCounts {
  return new TrafficRun(traffic).run()
}

class TrafficRun {
  readonly #traffic: Traffic
  readonly #model: EventModel
  readonly #consumer: Consumer
  readonly #counts = { sent: 0, delivered: 0, moves: 0, closed: 0 }
  /** Ports of the guest with traffic, and the control domain's port for each. */
  readonly #active: number[] = []
  readonly #senders = new Map<number, number>()
  #guest: TestGuest
  #state: number
  #step = 0

  constructor(traffic: Traffic) {
    const { abi, ports, active } = traffic
    this.#traffic = traffic
    this.#state = traffic.seed
    this.#model = new EventModel(abi, VCPUS)
    const host = new TestHost({}, 512)
    this.#guest = host.guest(
      { vcpus: VCPUS, maxPort: ports - 1, eventAbis: [abi], maxPages: 400 },
      FIRST_GFN + CONSUMER_PAGES,
    )
    if (traffic.width === 32) this.#guest.domain.latchWidth(32)
    this.#consumer = consumerOf(abi, this.#guest, ports)
    const { channels, domid } = this.#guest.domain
    for (let port = 1; port < ports; port++) {
      if (channels.allocUnbound(0) !== port) throw new Bug(`port ${port} was not given out`)
    }
    for (let i = 0; i < active; i++) {
      const port = i === 0 ? ports - 1 : 1 + this.#below(ports - 1)
      if (this.#senders.has(port)) continue
      const sender = host.hypervisor.control.channels.bindInterdomain(domid, port)
      this.#active.push(port)
      this.#senders.set(port, sender)
    }
  }

  run(): TrafficCounts {
    const { steps, stepsPerMove } = this.#traffic
    for (this.#step = 0; this.#step < steps; this.#step++) {
      this.#act()
      if (stepsPerMove && this.#step % stepsPerMove === stepsPerMove - 1) this.#moveHost()
    }
    for (const port of this.#active) this.#unmask(port)
    for (let vcpu = 0; vcpu < VCPUS; vcpu++) this.#take(vcpu, Number.POSITIVE_INFINITY)
    this.#same('pending at the end', [...this.#model.pending], [])
    return this.#counts
  }

  #act(): void {
    const port = this.#active[this.#below(this.#active.length)] as number
    const kind = this.#below(100)
    if (kind < 50) this.#send(port)
    else if (kind < 58) this.#mask(port)
    else if (kind < 68) this.#unmask(port)
    else if (kind < 74) this.#bindVcpu(port, this.#below(VCPUS))
    else if (kind < 80) this.#setPriority(port, this.#below(16))
    else if (kind < 82) this.#reopen(port)
    else if (kind < 86) this.#look(port)
    else this.#take(this.#below(VCPUS), kind < 93 ? 1 + this.#below(4) : Number.POSITIVE_INFINITY)
  }

  #send(port: number): void {
    const { control } = this.#guest.host.hypervisor
    this.#same('the answer to a send', control.channels.send(this.#senders.get(port) as number), 0)
    this.#model.send(port)
    this.#counts.sent++
  }

  #mask(port: number): void {
    this.#consumer.mask(port)
    this.#model.mask(port)
  }

  #unmask(port: number): void {
    this.#guest.domain.channels.unmask(port)
    this.#model.unmask(port)
  }

  /** As guests do it: masked meanwhile, so that the event that is under way follows. */
  #bindVcpu(port: number, vcpu: number): void {
    this.#mask(port)
    this.#guest.domain.channels.bindVcpu(port, vcpu)
    this.#model.bindVcpu(port, vcpu)
    this.#unmask(port)
  }

  #setPriority(port: number, priority: number): void {
    if (this.#guest.domain.channels.setPriority(port, priority) !== 0) return
    this.#model.setPriority(port, priority)
  }

  /** Closes the port and binds it anew; one that is still on a queue cannot be had until it is off. */
  #reopen(port: number): void {
    const { channels, domid } = this.#guest.domain
    const { control } = this.#guest.host.hypervisor
    control.channels.close(this.#senders.get(port) as number)
    channels.close(port)
    this.#model.close(port)
    if (this.#model.isBusy(port)) {
      if (channels.allocUnbound(0) >= 0) this.#differ('a port that is on a queue was given out')
      for (let vcpu = 0; vcpu < VCPUS; vcpu++) this.#take(vcpu, Number.POSITIVE_INFINITY)
    }
    this.#same('the port given out', channels.allocUnbound(0), port)
    this.#senders.set(port, control.channels.bindInterdomain(domid, port))
    this.#counts.closed++
  }

  #look(port: number): void {
    const { channels } = this.#guest.domain
    this.#same('pending', channels.isPending(port), this.#model.pending.has(port))
    this.#same('masked', channels.isMasked(port), this.#model.masked.has(port))
  }

  #take(vcpu: number, most: number): void {
    const expected = this.#model.take(vcpu, most)
    const taken: Taken[] = this.#consumer.take(vcpu, most)
    this.#same('what the guest takes', taken, expected)
    this.#counts.delivered += taken.filter(({ isEvent }) => isEvent).length
  }

  #moveHost(): void {
    const host = moveHost(this.#guest.host)
    this.#guest = guestOf(host, this.#guest)
    this.#consumer.moveTo(this.#guest)
    this.#counts.moves++
  }

  #same(what: string, found: unknown, expected: unknown): void {
    if (found === expected) return
    const [a, b] = [JSON.stringify(found), JSON.stringify(expected)]
    if (a !== b) this.#differ(`${what}: ${a}, and not ${b}`)
  }

  #differ(what: string): never {
    const { abi, seed } = this.#traffic
    throw new Bug(`${abi}, seed ${seed}, step ${this.#step}: ${what}`)
  }

  #below(limit: number): number {
    this.#state = (Math.imul(this.#state, 1_664_525) + 1_013_904_223) >>> 0
    return Math.floor((this.#state / 2 ** 32) * limit)
  }
}
