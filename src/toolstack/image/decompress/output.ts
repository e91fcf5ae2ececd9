// Where the decompressors write: a buffer that grows up to a limit, so that a small hostile file
// cannot ask for all the memory there is. Decoders hold `bytes` in a local for speed and take it
// anew after each `reserve`, which may have moved it.

import { UserError } from '../../../base/errors.ts'

/** What may not be exceeded, and what is known beforehand. */
export interface OutputSize {
  /** Bytes the output may have at most. */
  readonly limit: number
  /** Bytes expected, when the container says so: saves growing. */
  readonly expected?: number | undefined
}

const FIRST_CAPACITY = 1 << 20

/** Throws the UserError of compressed data that cannot be decoded. */
export function damaged(format: string, why: string): never {
  throw new UserError(
    `Cannot decompress the ${format} data.`,
    why,
    'The file is damaged or cut short: fetch or build it again.',
  )
}

/** A growing array of bytes. */
export class Output {
  bytes: Uint8Array<ArrayBuffer>
  length = 0
  readonly limit: number

  constructor(size: OutputSize) {
    this.limit = size.limit
    this.bytes = new Uint8Array(Math.min(size.expected ?? FIRST_CAPACITY, size.limit))
  }

  /**
   * Makes room for `more` bytes behind `length`.
   * @throws UserError when the limit would be exceeded
   */
  reserve(more: number): void {
    const wanted = this.length + more
    if (wanted <= this.bytes.length) return
    if (wanted > this.limit) {
      throw new UserError(
        'Cannot decompress the data.',
        `It grows beyond ${this.limit} bytes.`,
        'Check the file; if it is right, decompress it yourself and give the result.',
      )
    }
    const grown = new Uint8Array(Math.min(this.limit, Math.max(wanted, 2 * this.bytes.length)))
    grown.set(this.bytes.subarray(0, this.length))
    this.bytes = grown
  }

  append(bytes: Uint8Array): void {
    this.reserve(bytes.length)
    this.bytes.set(bytes, this.length)
    this.length += bytes.length
  }

  /** What was written: a view. */
  finish(): Uint8Array<ArrayBuffer> {
    return this.bytes.subarray(0, this.length)
  }
}
