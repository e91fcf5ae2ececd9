// Reads numbers and ranges from a file nobody vouches for. Every offset is checked against the
// file's length first, so a truncated or hostile image gives a UserError and never a RangeError.

import { UserError } from '../../base/errors.ts'

/** Throws the UserError of an image that cannot be used: `name` is the file as the user knows it. */
export function rejectImage(name: string, why: string, remedy: string): never {
  throw new UserError(`Cannot use the image ${name}.`, why, remedy)
}

const FETCH_AGAIN =
  'Check the file against its source (size, checksum) and fetch or build it again.'

/** A file's bytes, little-endian, with every access checked. */
export class CheckedBytes {
  readonly name: string
  readonly bytes: Uint8Array
  readonly #view: DataView

  constructor(bytes: Uint8Array, name: string) {
    this.name = name
    this.bytes = bytes
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  }

  get length(): number {
    return this.bytes.length
  }

  /** @throws UserError when `size` bytes at `offset` do not lie inside the file */
  require(offset: number, size: number, what: string): void {
    const whole = Number.isSafeInteger(offset) && Number.isSafeInteger(size)
    if (whole && offset >= 0 && size >= 0 && offset + size <= this.length) return
    rejectImage(
      this.name,
      `The file is truncated or damaged: ${what} should lie at offset ${offset} with ${size} bytes, ` +
        `but the file has ${this.length} bytes.`,
      FETCH_AGAIN,
    )
  }

  u8(offset: number, what: string): number {
    this.require(offset, 1, what)
    return this.#view.getUint8(offset)
  }

  u16(offset: number, what: string): number {
    this.require(offset, 2, what)
    return this.#view.getUint16(offset, true)
  }

  u32(offset: number, what: string): number {
    this.require(offset, 4, what)
    return this.#view.getUint32(offset, true)
  }

  u64(offset: number, what: string): bigint {
    this.require(offset, 8, what)
    return this.#view.getBigUint64(offset, true)
  }

  /** A view of `size` bytes at `offset`: no copy. */
  range(offset: number, size: number, what: string): Uint8Array {
    this.require(offset, size, what)
    return this.bytes.subarray(offset, offset + size)
  }

  /** Whether the file has `magic` at `offset`; false, too, when it is shorter. */
  startsWith(magic: readonly number[], offset = 0): boolean {
    return magic.every((byte, i) => this.bytes[offset + i] === byte)
  }

  /** Throws the UserError of a damaged file. */
  damaged(why: string): never {
    rejectImage(this.name, why, FETCH_AGAIN)
  }
}
