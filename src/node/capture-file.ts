// Keeps the frames of interfaces in a pcapng file, as they pass.

import { closeSync, openSync, writeSync } from 'node:fs'
import { UserError } from '../base/errors.ts'
import { withChecksum } from '../backends/net/checksum.ts'
import { captureInterface, capturedPacket, captureStart } from '../backends/net/pcapng.ts'
import type { Vif } from '../backends/net/vif.ts'

export class CaptureFile {
  readonly #file: number
  readonly #nowNs: () => bigint
  #interfaces = 0
  #last = 0n
  #isOpen = true
  readonly #stop: (() => void)[] = []

  /**
   * @param nowNs the guests' time, in nanoseconds since 1970
   * @throws UserError if the file cannot be written
   */
  constructor(path: string, nowNs: () => bigint) {
    this.#nowNs = nowNs
    try {
      this.#file = openSync(path, 'w')
      writeSync(this.#file, captureStart())
    } catch (cause) {
      throw new UserError(
        `The capture ${path} cannot be written.`,
        `${cause instanceof Error ? cause.message : String(cause)}.`,
        'Give a file in a folder that exists and is writable.',
      )
    }
  }

  /** Captures an interface from now on. Checksums that are left to offloading are filled in. */
  add(vif: Vif): void {
    const number = this.#interfaces++
    writeSync(this.#file, captureInterface(vif.name))
    const stop = vif.listen((frame, direction) => {
      const { bytes } = withChecksum(frame)
      writeSync(this.#file, capturedPacket(number, this.#now(), bytes, direction))
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
    closeSync(this.#file)
  }
}
