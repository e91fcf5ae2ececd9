// What event channels should be, as plain sets: which ports are pending and masked, which processor
// and priority each has, and, for FIFO, the order of each queue. Without words, links or selectors.

import type { EventAbiName } from '../event-abi.ts'
import type { Taken } from './event-consumers.ts'

const DEFAULT_PRIORITY = 7

export class EventModel {
  readonly pending = new Set<number>()
  readonly masked = new Set<number>()
  readonly #isFifo: boolean
  readonly #vcpu = new Map<number, number>()
  readonly #priority = new Map<number, number>()
  /** FIFO: ports that are on a queue, whether they have an event or not. */
  readonly #linked = new Set<number>()
  /** FIFO: by processor and priority. */
  readonly #queues: number[][][]

  constructor(abi: EventAbiName, vcpus: number) {
    this.#isFifo = abi === 'fifo'
    this.#queues = Array.from({ length: vcpus }, () => Array.from({ length: 16 }, () => []))
  }

  send(port: number): void {
    this.pending.add(port)
    this.#link(port)
  }

  mask(port: number): void {
    this.masked.add(port)
  }

  unmask(port: number): void {
    this.masked.delete(port)
    this.#link(port)
  }

  setPriority(port: number, priority: number): void {
    this.#priority.set(port, priority)
  }

  bindVcpu(port: number, vcpu: number): void {
    this.#vcpu.set(port, vcpu)
  }

  close(port: number): void {
    this.pending.delete(port)
    this.#vcpu.delete(port)
    this.#priority.delete(port)
  }

  /** May the port be given out again: it is not on a queue. */
  isBusy(port: number): boolean {
    return this.#linked.has(port)
  }

  /** What the guest takes for a processor: for bitmaps all at once, in ascending order. */
  take(vcpu: number, most: number): Taken[] {
    const taken: Taken[] = []
    if (!this.#isFifo) {
      const mine = [...this.pending].filter(
        (port) => !this.masked.has(port) && this.#vcpuOf(port) === vcpu,
      )
      for (const port of mine.sort((a, b) => a - b)) {
        this.pending.delete(port)
        taken.push({ port, isEvent: true })
      }
      return taken
    }
    while (taken.length < most) {
      const port = this.#queues[vcpu]?.find((ports) => ports.length > 0)?.shift()
      if (port === undefined) break
      this.#linked.delete(port)
      const isEvent = this.pending.has(port) && !this.masked.has(port)
      if (isEvent) this.pending.delete(port)
      taken.push({ port, isEvent })
    }
    return taken
  }

  #vcpuOf(port: number): number {
    return this.#vcpu.get(port) ?? 0
  }

  #link(port: number): void {
    if (!this.#isFifo || this.#linked.has(port)) return
    if (!this.pending.has(port) || this.masked.has(port)) return
    this.#linked.add(port)
    this.#queues[this.#vcpuOf(port)]?.[this.#priority.get(port) ?? DEFAULT_PRIORITY]?.push(port)
  }
}
