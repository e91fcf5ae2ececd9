// The frames that pass a domain's network interfaces, kept for a program to look at: a test that
// waits for one, or counts them.

import type { Packet } from './host-types.ts'
import { WaitError, type WaitOptions } from './wait.ts'

/** Frames that are kept; of more the first ones are forgotten. */
const MOST_PACKETS = 10_000

/** What a log of packets needs of its domain. */
export interface PacketSource {
  readonly name: string
  listen(listener: (packet: Packet) => void): () => void
  wait<T>(find: () => T | undefined, options: WaitOptions, expired: () => Error): Promise<T>
}

export class PacketLog {
  /** What has passed, in order; at most 10,000 frames. */
  readonly packets: Packet[] = []
  readonly #source: PacketSource
  readonly #stop: () => void

  constructor(source: PacketSource) {
    this.#source = source
    this.#stop = source.listen((packet) => {
      if (this.packets.length >= MOST_PACKETS) this.packets.shift()
      this.packets.push(packet)
    })
  }

  /**
   * Waits for a frame that is as wanted; one that has passed already counts.
   * @throws WaitError when none comes in time
   */
  async find(isWanted: (packet: Packet) => boolean, options: WaitOptions = {}): Promise<Packet> {
    return this.#source.wait(
      () => this.packets.find(isWanted),
      options,
      () =>
        new WaitError(
          'timeout',
          `No frame as wanted passed the interfaces of "${this.#source.name}".`,
          `${this.packets.length} others did.`,
          'Look at them in packets, or allow more with timeoutMs.',
        ),
    )
  }

  /** Takes no more. */
  stop(): void {
    this.#stop()
  }

  [Symbol.dispose](): void {
    this.#stop()
  }
}
