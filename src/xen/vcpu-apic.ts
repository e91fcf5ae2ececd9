// The local APIC of machine/, as the hypervisor wants it.

import { ApicBus } from '../machine/apic-bus.ts'
import { LocalApic } from '../machine/local-apic.ts'
import type { VcpuApic } from './processor.ts'
import type { Vcpu } from './vcpu.ts'

/** The APIC ID that Xen gives a vCPU. */
export function apicIdOf(vcpu: number): number {
  return vcpu * 2
}

/** Makes the local APICs of all domains; those of one domain share a bus. */
export class ApicMaker {
  readonly #buses = new WeakMap<object, ApicBus>()

  create(vcpu: Vcpu): VcpuApic {
    const { domain } = vcpu
    const bus = this.#buses.get(domain) ?? new ApicBus()
    this.#buses.set(domain, bus)
    const { clock, timers } = domain.world
    const apic = new LocalApic({
      id: apicIdOf(vcpu.id),
      isBsp: vcpu.id === 0,
      clock: { wallBase: clock.wallBase, now: () => domain.now() },
      timers,
      tsc: vcpu.tsc,
      output: bus,
      events: {
        interruptPending: () => vcpu.kick(),
        nmi: () => vcpu.sendNmi(),
        smi: () => {},
        init: () => vcpu.receiveInit(),
        startup: (page) => vcpu.receiveStartup(page),
      },
    })
    bus.attach(apic)
    return new Adapter(apic)
  }
}

class Adapter implements VcpuApic {
  readonly #apic: LocalApic

  constructor(apic: LocalApic) {
    this.#apic = apic
  }

  highestPending(): number {
    return this.#apic.isSoftwareEnabled ? this.#apic.highestPending() : -1
  }

  acknowledge(): void {
    this.#apic.acknowledge()
  }

  raise(vector: number): void {
    this.#apic.inject(vector)
  }

  readMsr(index: number): bigint | undefined {
    return this.#apic.readMsr(index)
  }

  writeMsr(index: number, value: bigint): boolean {
    return this.#apic.writeMsr(index, value)
  }

  readMmio(offset: number): number {
    return this.#apic.readMmio(offset)
  }

  writeMmio(offset: number, _size: number, value: number): void {
    this.#apic.writeMmio(offset, value)
  }

  tscChanged(): void {
    this.#apic.tscChanged()
  }

  get taskPriority(): number {
    return this.#apic.taskPriority >> 4
  }

  set taskPriority(value: number) {
    this.#apic.taskPriority = value << 4
  }

  reset(): void {
    this.#apic.init()
  }
}
