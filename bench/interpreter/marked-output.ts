// What a kernel writes to port 0xE9: a byte 1, then a byte 2 and sixteen digits of its checksum.
// Whatever else a machine prints before and after is left out.

export interface Measured {
  /** Milliseconds from the start mark to the end mark. */
  readonly ms: number
  readonly checksum: string
}

const START = 1
const END = 2
const DIGITS = 16

/** Collects a kernel's output with the times at which its marks came. */
export class MarkedOutput implements Measured {
  /** When the start mark came. */
  startMs = Number.NaN
  ms = Number.NaN
  checksum = ''

  get isComplete(): boolean {
    return this.checksum.length === DIGITS
  }

  /** Takes the next byte, which came at a time in milliseconds. */
  put(byte: number, now: number): void {
    if (byte === START) this.startMs = now
    else if (byte === END) this.ms = now - this.startMs
    else if (!Number.isNaN(this.ms) && !this.isComplete) this.checksum += String.fromCharCode(byte)
  }
}
