// A learning switch (IEEE 802.1D without the spanning tree: there are no loops). A frame goes to
// the port where its receiver was last seen, to all others if that is not known.

import { type Frame, LEAST_FRAME_BYTES } from './frame.ts'
import { isGroup, macAt } from './mac.ts'
import { MacTable } from './mac-table.ts'

/** Addresses 01:80:c2:00:00:00 to 0f are for the switch itself, and go no further. */
const RESERVED = 0x0180_c200_0000
const RESERVED_COUNT = 16

export interface PortCounters {
  /** Frames and bytes that came in at the port. */
  readonly frames: number
  readonly bytes: number
  /** Frames that went out at the port, and their bytes. */
  readonly sentFrames: number
  readonly sentBytes: number
  /** Frames that came in and went nowhere. */
  readonly dropped: number
}

/** What is plugged into a switch. */
export class SwitchPort {
  readonly name: string
  readonly #switch: Switch
  readonly #deliver: (frame: Frame) => void
  readonly #counters = { frames: 0, bytes: 0, sentFrames: 0, sentBytes: 0, dropped: 0 }

  constructor(owner: Switch, name: string, deliver: (frame: Frame) => void) {
    this.#switch = owner
    this.name = name
    this.#deliver = deliver
  }

  get counters(): PortCounters {
    return { ...this.#counters }
  }

  /** A frame comes in. */
  send(frame: Frame): void {
    this.#counters.frames++
    this.#counters.bytes += frame.bytes.length
    if (this.#switch.forward(this, frame) === 0) this.#counters.dropped++
  }

  /** A frame goes out. */
  deliver(frame: Frame): void {
    this.#counters.sentFrames++
    this.#counters.sentBytes += frame.bytes.length
    this.#deliver(frame)
  }

  detach(): void {
    this.#switch.detach(this)
  }
}

export class Switch {
  readonly name: string
  readonly #now: () => number
  readonly #ports = new Set<SwitchPort>()
  readonly #table = new MacTable<SwitchPort>()

  /** `now` gives nanoseconds, for ageing. */
  constructor(name: string, now: () => number) {
    this.name = name
    this.#now = now
  }

  get ports(): readonly SwitchPort[] {
    return [...this.#ports]
  }

  /** Addresses that it knows. */
  get learnt(): number {
    return this.#table.size
  }

  /** Plugs in; `deliver` is given the frames that go out there. */
  attach(name: string, deliver: (frame: Frame) => void): SwitchPort {
    const port = new SwitchPort(this, name, deliver)
    this.#ports.add(port)
    return port
  }

  detach(port: SwitchPort): void {
    this.#ports.delete(port)
    this.#table.forget(port)
  }

  /** Sends a frame on its way; to how many ports it went. */
  forward(from: SwitchPort, frame: Frame): number {
    if (!this.#ports.has(from) || frame.bytes.length < LEAST_FRAME_BYTES) return 0
    const now = this.#now()
    const destination = macAt(frame.bytes, 0)
    const source = macAt(frame.bytes, 6)
    // Nobody is a group, and an address of zeros is that of nobody.
    if (isGroup(source)) return 0
    if (source !== 0) this.#table.learn(source, from, now)
    if (destination >= RESERVED && destination < RESERVED + RESERVED_COUNT) return 0
    const known = isGroup(destination) ? undefined : this.#table.find(destination, now)
    if (known) {
      if (known === from) return 0
      known.deliver(frame)
      return 1
    }
    let sent = 0
    for (const port of this.#ports) {
      if (port === from) continue
      port.deliver(frame)
      sent++
    }
    return sent
  }
}
