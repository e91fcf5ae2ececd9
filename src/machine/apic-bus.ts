// What connects the local APICs of a domain: finds whom an interrupt message is for and hands it
// over. (Intel SDM vol. 3A, 10.6.) A message is the low half of an ICR and a destination, whether
// it comes from another processor, an I/O APIC or as an MSI.

import { invariant } from '../base/errors.ts'
import { DeliveryMode, ICR_ASSERT, ICR_LEVEL, ICR_LOGICAL, Shorthand } from './apic/registers.ts'
import type { ApicOutput, LocalApic } from './local-apic.ts'

/** The plain form of an {@link ApicBus}. */
export interface ApicBusState {
  readonly version: 1
  readonly lastChosen: number
}

export class ApicBus implements ApicOutput {
  readonly #apics: LocalApic[] = []
  readonly #endOfInterrupt: (vector: number) => void
  /** Index of the APIC that last won a lowest-priority interrupt. */
  #lastChosen = -1

  /** `endOfInterrupt` hears of level-triggered interrupts that ended: for I/O APICs. */
  constructor(endOfInterrupt: (vector: number) => void = () => {}) {
    this.#endOfInterrupt = endOfInterrupt
  }

  /** Adds an APIC. The order decides among equals, so it is the order of the vCPUs. */
  attach(apic: LocalApic): void {
    this.#apics.push(apic)
  }

  endOfInterrupt(vector: number): void {
    this.#endOfInterrupt(vector)
  }

  sendIpi(sender: LocalApic, icr: number, destination: number): void {
    const shorthand = (icr >> 18) & 3
    if (shorthand === Shorthand.none) {
      const broadcast = sender.isX2apic ? 0xffffffff : 0xff
      this.#send(icr, destination, destination === broadcast)
    } else if (shorthand === Shorthand.others) {
      this.#deliver(
        icr,
        this.#apics.filter((apic) => apic !== sender),
      )
    } else if (isAllowedToSelf(icr)) {
      this.#deliver(icr, shorthand === Shorthand.self ? [sender] : this.#apics)
    }
  }

  /** A message of a device; destination 0xFF, physical or logical, means everybody. */
  deliver(icr: number, destination: number): void {
    this.#send(icr, destination, destination === 0xff)
  }

  save(): ApicBusState {
    return { version: 1, lastChosen: this.#lastChosen }
  }

  restore(state: ApicBusState): void {
    invariant(state.version === 1, `an APIC bus of version ${state.version} is not known`)
    this.#lastChosen = state.lastChosen
  }

  #send(icr: number, destination: number, isBroadcast: boolean): void {
    const targets = this.#apics.filter((apic) =>
      icr & ICR_LOGICAL
        ? apic.matchesLogical(destination, isBroadcast)
        : apic.matchesPhysical(destination, isBroadcast),
    )
    this.#deliver(icr, targets)
  }

  #deliver(icr: number, targets: readonly LocalApic[]): void {
    const mode = (icr >> 8) & 7
    // INIT with "de-assert": synchronises arbitration IDs, which there are none of (10.6.1).
    if (mode === DeliveryMode.init && icr & ICR_LEVEL && !(icr & ICR_ASSERT)) return
    const isLevel = (icr & ICR_LEVEL) !== 0
    const chosen = mode === DeliveryMode.lowest ? this.#leastBusy(targets) : targets
    for (const apic of chosen) apic.deliver(mode, icr & 0xff, isLevel)
  }

  // Among those with the lowest processor priority, the next in turn after the last one chosen.
  #leastBusy(targets: readonly LocalApic[]): LocalApic[] {
    let best: LocalApic | undefined
    for (let step = 1; step <= this.#apics.length; step++) {
      const apic = this.#apics[(this.#lastChosen + step) % this.#apics.length] as LocalApic
      if (!apic.isSoftwareEnabled || !targets.includes(apic)) continue
      if (!best || apic.processorPriority < best.processorPriority) best = apic
    }
    if (!best) return []
    this.#lastChosen = this.#apics.indexOf(best)
    return [best]
  }
}

// Table 10-3 calls everything but a fixed interrupt invalid for the shorthands that include the
// sender. An NMI to oneself has an obvious meaning, and is delivered.
function isAllowedToSelf(icr: number): boolean {
  const mode = (icr >> 8) & 7
  return mode === DeliveryMode.fixed || mode === DeliveryMode.nmi
}
