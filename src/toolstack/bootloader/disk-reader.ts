// Reads bytes of a guest's disk at any place, for the boot loader. The disk is hostile: what is read
// is checked against its bounds, and the work that one boot may cause is limited here, whatever the
// structures on the disk say.

import { type DiskImage, SECTOR } from '../../backends/block/disk-image.ts'
import { ImageError } from '../../backends/block/storage.ts'

/** Bytes in a row: a disk, or a part of one. */
export interface ByteSource {
  readonly size: number
  /**
   * `length` bytes from `offset` on.
   * @throws ImageError if they are not all there, or too much has been read
   */
  read(offset: number, length: number): Uint8Array<ArrayBuffer>
}

/** What one boot may read: more calls or bytes than any boot needs. */
const MOST_READS = 500_000
const MOST_BYTES = 2 ** 32

/** A whole disk. */
export class DiskReader implements ByteSource {
  readonly #image: Pick<DiskImage, 'size' | 'read'>
  #reads = 0
  #bytes = 0

  constructor(image: Pick<DiskImage, 'size' | 'read'>) {
    this.#image = image
  }

  get size(): number {
    return this.#image.size
  }

  read(offset: number, length: number): Uint8Array<ArrayBuffer> {
    checkBounds(this, offset, length, 'the disk')
    this.#reads++
    this.#bytes += length
    if (this.#reads > MOST_READS || this.#bytes > MOST_BYTES) {
      throw new ImageError('To find the kernel takes more reading than any sane disk asks for.')
    }
    // Images are read by whole sectors.
    const start = offset - (offset % SECTOR)
    const end = Math.ceil((offset + length) / SECTOR) * SECTOR
    const sectors = new Uint8Array(end - start)
    if (sectors.length > 0) this.#image.read(start, sectors)
    return sectors.length === length
      ? sectors
      : sectors.slice(offset - start, offset - start + length)
  }
}

/** A part of a disk, such as a partition: nothing outside it can be read through it. */
export class DiskPart implements ByteSource {
  readonly size: number
  readonly #whole: ByteSource
  readonly #start: number

  /** A part that reaches over the end of the whole is cut there. */
  constructor(whole: ByteSource, start: number, size: number) {
    this.#whole = whole
    this.#start = start
    this.size = Math.max(0, Math.min(size, whole.size - start))
  }

  read(offset: number, length: number): Uint8Array<ArrayBuffer> {
    checkBounds(this, offset, length, 'the partition')
    return this.#whole.read(this.#start + offset, length)
  }
}

function checkBounds(source: ByteSource, offset: number, length: number, what: string): void {
  const isInside =
    Number.isSafeInteger(offset) && offset >= 0 && length >= 0 && offset + length <= source.size
  if (isInside) return
  throw new ImageError(`Byte ${offset} is wanted, but ${what} ends at ${source.size}.`)
}
