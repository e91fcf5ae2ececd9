// Two-level events (public/event_channel.h): a pending and a mask bit for each port in shared_info,
// a selector word and the upcall flag in vcpu_info. The four steps of a send are in this order.

import type { EventAbi, EventTarget } from './event-abi.ts'
import type { EventPorts } from './event-port.ts'
import type { SharedInfo, VcpuInfo } from './shared-info.ts'

export class TwoLevelEvents implements EventAbi {
  readonly name = '2-level'
  readonly #ports: EventPorts
  readonly #shared: SharedInfo
  readonly #vcpus: readonly VcpuInfo[]
  readonly #target: EventTarget

  constructor(
    ports: EventPorts,
    shared: SharedInfo,
    vcpus: readonly VcpuInfo[],
    target: EventTarget,
  ) {
    this.#ports = ports
    this.#shared = shared
    this.#vcpus = vcpus
    this.#target = target
  }

  /** 1024 ports for a 32-bit guest, 4096 for a 64-bit one. */
  get maxPorts(): number {
    return this.#shared.width ** 2
  }

  initialise(): void {}

  setPending(number: number): void {
    if (!this.#isUsable(number)) return
    if (this.#shared.testAndSetPending(number)) return
    if (!this.#shared.isMasked(number)) this.#select(number)
    this.#target.wakePollers(number)
  }

  clearPending(number: number): void {
    if (this.#isUsable(number)) this.#shared.clearPending(number)
  }

  mask(number: number): void {
    if (this.#isUsable(number)) this.#shared.setMask(number)
  }

  unmask(number: number): void {
    if (!this.#isUsable(number)) return
    if (this.#shared.testAndClearMask(number) && this.#shared.isPending(number)) {
      this.#select(number)
    }
  }

  isPending(number: number): boolean {
    return this.#isUsable(number) && this.#shared.isPending(number)
  }

  isMasked(number: number): boolean {
    return !this.#isUsable(number) || this.#shared.isMasked(number)
  }

  isBusy(): boolean {
    return false
  }

  #select(number: number): void {
    const id = this.#ports.vcpu(number)
    const vcpu = this.#vcpus[id]
    if (!vcpu || vcpu.testAndSetSelector(number >>> (this.#shared.width === 64 ? 6 : 5))) return
    if (!vcpu.testAndSetUpcallPending()) this.#target.upcall(id)
  }

  /** The width may have changed since the port was bound: then the guest cannot see it. */
  #isUsable(number: number): boolean {
    return number < this.maxPorts
  }
}
