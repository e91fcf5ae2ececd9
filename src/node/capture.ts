// Takes down the frames of interfaces as pcapng, as they pass: into a file, or to whoever asked.

import { closeSync, openSync, writeSync } from 'node:fs'
import { UserError } from '../base/errors.ts'
import { withChecksum } from '../backends/net/checksum.ts'
import { captureInterface, capturedPacket, captureStart } from '../backends/net/pcapng.ts'
import type { Vif } from '../backends/net/vif.ts'
import type { CaptureSink } from './host-types.ts'

export class Capture {
  readonly #sink: CaptureSink
  readonly #nowNs: () => bigint
  #interfaces = 0
  #last = 0n
  #isOpen = true
  readonly #stop: (() => void)[] = []

  /** @param nowNs the guests' time, in nanoseconds since 1970 */
  constructor(sink: CaptureSink, nowNs: () => bigint) {
    this.#sink = sink
    this.#nowNs = nowNs
    sink.write(captureStart(), 0)
  }

  /** Captures an interface from now on. Checksums that are left to offloading are filled in. */
  add(vif: Vif): void {
    const number = this.#interfaces++
    this.#sink.write(captureInterface(vif.name), 0)
    const stop = vif.listen((frame, direction) => {
      const { bytes } = withChecksum(frame)
      this.#sink.write(capturedPacket(number, this.#now(), bytes, direction), 1)
    })
    this.#stop.push(stop)
  }

  /** Within a round each processor has its own time: in a file it never goes back. */
  #now(): bigint {
    const now = this.#nowNs()
    if (now > this.#last) this.#last = now
    return this.#last
  }

  close(): void {
    if (!this.#isOpen) return
    this.#isOpen = false
    for (const stop of this.#stop) stop()
    this.#sink.end()
  }
}

/**
 * A file for a capture.
 * @throws UserError if it cannot be written, also later
 */
export function captureFile(path: string): CaptureSink {
  const told = <T>(work: () => T): T => {
    try {
      return work()
    } catch (cause) {
      throw new UserError(
        `The capture ${path} cannot be written.`,
        `${cause instanceof Error ? cause.message : String(cause)}.`,
        'Give a file in a folder that exists, is writable, and has room.',
      )
    }
  }
  const file = told(() => openSync(path, 'w'))
  return { write: (bytes) => told(() => writeSync(file, bytes)), end: () => closeSync(file) }
}
