// Two-level events (public/event_channel.h): a pending and a mask bit for each port in shared_info,
// a selector word and the upcall flag in vcpu_info. The four steps of a send are in this order.

import { type EventAbi, type EventPort, type EventTarget, PortState } from './event-port.ts'
import type { SharedInfo, VcpuInfo } from './shared-info.ts'

export class TwoLevelEvents implements EventAbi {
  readonly name = '2-level'
  readonly #shared: SharedInfo
  readonly #vcpus: readonly VcpuInfo[]
  readonly #target: EventTarget

  constructor(shared: SharedInfo, vcpus: readonly VcpuInfo[], target: EventTarget) {
    this.#shared = shared
    this.#vcpus = vcpus
    this.#target = target
  }

  /** 1024 ports for a 32-bit guest, 4096 for a 64-bit one. */
  get maxPorts(): number {
    return this.#shared.width ** 2
  }

  initialise(): void {}

  setPending(number: number, port: EventPort): void {
    if (!this.#isUsable(number, port)) return
    if (this.#shared.testAndSetPending(number)) return
    if (!this.#shared.isMasked(number)) this.#select(number, port)
    this.#target.wakePollers(number)
  }

  clearPending(number: number): void {
    if (number < this.maxPorts) this.#shared.clearPending(number)
  }

  unmask(number: number, port: EventPort): void {
    if (!this.#isUsable(number, port)) return
    if (this.#shared.testAndClearMask(number) && this.#shared.isPending(number)) {
      this.#select(number, port)
    }
  }

  isPending(number: number, port: EventPort): boolean {
    return this.#isUsable(number, port) && this.#shared.isPending(number)
  }

  isMasked(number: number, port: EventPort): boolean {
    return !this.#isUsable(number, port) || this.#shared.isMasked(number)
  }

  isBusy(): boolean {
    return false
  }

  #select(number: number, port: EventPort): void {
    const vcpu = this.#vcpus[port.vcpu]
    if (!vcpu || vcpu.testAndSetSelector(Math.floor(number / this.#shared.width))) return
    if (!vcpu.testAndSetUpcallPending()) this.#target.upcall(port.vcpu)
  }

  /** The width may have changed since the port was bound: then the guest cannot see it. */
  #isUsable(number: number, port: EventPort): boolean {
    return port.state !== PortState.free && number < this.maxPorts
  }
}
