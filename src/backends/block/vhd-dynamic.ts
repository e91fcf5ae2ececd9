// The blocks of a dynamic VHD: a table tells in which sector of the file each block of the disk
// starts, or that it is not there and reads as zeros. A block begins with a bitmap of its sectors.
// New blocks go to the end of the file, and the footer behind them. The table is written when the
// guest flushes, after the blocks: a power failure leaves blocks unused, never garbage in use. A block
// that the guest has discarded is no longer in the table; when that is on the medium its place is used
// again, until the image is closed: nothing in the file tells of it.

import { type DiskImage, flushNow, SECTOR } from './disk-image.ts'
import { type ByteStorage, ImageError, readExactly, readPadded } from './storage.ts'

const UNUSED = 0xffffffff
/** What all programs make. Larger blocks are not discarded: to use one again means to write zeros to it. */
const LARGEST_DISCARDED = 2 * 2 ** 20

export interface VhdDynamicLayout {
  readonly size: number
  readonly footer: Uint8Array
  readonly tableOffset: number
  readonly tableEntries: number
  readonly blockBytes: number
}

export class VhdDynamicImage implements DiskImage {
  readonly format = 'vhd'
  readonly size: number
  readonly isReadOnly: boolean
  readonly discardGranularity: number
  readonly #storage: ByteStorage
  readonly #layout: VhdDynamicLayout
  readonly #table: DataView<ArrayBuffer>
  readonly #bitmapBytes: number
  /** Blocks whose bitmap has every bit set. */
  readonly #full = new Set<number>()
  readonly #dirty = new Set<number>()
  /** Places of blocks that were discarded: since the last flush, and before it. */
  #dropped: number[] = []
  readonly #free: number[] = []
  /** Where the next block goes. */
  #end: number
  #isClosed = false

  constructor(storage: ByteStorage, layout: VhdDynamicLayout) {
    const { size, blockBytes, tableEntries, tableOffset } = layout
    this.#storage = storage
    this.#layout = layout
    this.size = size
    this.isReadOnly = storage.isReadOnly
    this.discardGranularity = blockBytes <= LARGEST_DISCARDED ? blockBytes : 0
    const isPowerOfTwo = (blockBytes & (blockBytes - 1)) === 0
    if (blockBytes < 4096 || blockBytes > 2 ** 28 || !isPowerOfTwo) {
      throw new ImageError(`Its blocks cannot have ${blockBytes} bytes.`)
    }
    const needed = Math.ceil(size / blockBytes)
    if (tableEntries < needed) throw new ImageError('Its block table is too short for its size.')
    const bytes = readExactly(storage, tableOffset, needed * 4, 'block table')
    this.#table = new DataView(bytes.buffer)
    this.#bitmapBytes = Math.ceil(blockBytes / SECTOR / 8 / SECTOR) * SECTOR
    this.#end = this.#findEnd(needed)
  }

  read(offset: number, into: Uint8Array): void {
    for (const { block, at, start, end } of this.#pieces(offset, into.length)) {
      const place = this.#placeOf(block)
      const piece = into.subarray(start, end)
      if (place === undefined) piece.fill(0)
      else readPadded(this.#storage, place + this.#bitmapBytes + at, piece)
    }
  }

  write(offset: number, bytes: Uint8Array): void {
    for (const { block, at, start, end } of this.#pieces(offset, bytes.length)) {
      const place = this.#placeOf(block) ?? this.#allocate(block)
      this.#fillBitmap(block, place)
      this.#storage.write(place + this.#bitmapBytes + at, bytes.subarray(start, end))
    }
  }

  discard(offset: number, length: number): void {
    const { blockBytes } = this.#layout
    if (this.discardGranularity === 0) return
    // The last block of the disk may be a part of one.
    const isToEnd = offset + length >= this.size
    const last = (offset + length) / blockBytes
    const end = isToEnd ? Math.ceil(last) : Math.floor(last)
    for (let block = Math.ceil(offset / blockBytes); block < end; block++) {
      const place = this.#placeOf(block)
      if (place === undefined) continue
      this.#table.setUint32(block * 4, UNUSED)
      this.#dirty.add(block)
      this.#full.delete(block)
      this.#dropped.push(place)
    }
  }

  *flushSteps(): Iterable<ByteStorage> {
    yield this.#storage
    if (this.#dirty.size === 0 || this.#isClosed) return
    for (const [first, end] of runsOf(this.#dirty)) {
      const entries = new Uint8Array(this.#table.buffer, first * 4, (end - first) * 4)
      this.#storage.write(this.#layout.tableOffset + first * 4, entries)
    }
    yield this.#storage
    this.#dirty.clear()
    this.#free.push(...this.#dropped.splice(0))
  }

  close(): void {
    try {
      if (!this.isReadOnly) flushNow(this)
    } finally {
      this.#isClosed = true
      this.#storage.close()
    }
  }

  /** Where a block starts in the file, its bitmap first. */
  #placeOf(block: number): number | undefined {
    const sector = this.#table.getUint32(block * 4)
    if (sector === UNUSED) return undefined
    return sector * SECTOR
  }

  /** A place for a block that is not there: its sectors are zeros, and its bitmap is full. */
  #allocate(block: number): number {
    const place = this.#reuse() ?? this.#append()
    this.#full.add(block)
    this.#table.setUint32(block * 4, place / SECTOR)
    this.#dirty.add(block)
    return place
  }

  /** The place of a block that was discarded. */
  #reuse(): number | undefined {
    const place = this.#free.pop()
    if (place === undefined) return undefined
    const bytes = new Uint8Array(this.#bitmapBytes + this.#layout.blockBytes)
    bytes.fill(0xff, 0, this.#bitmapBytes)
    this.#storage.write(place, bytes)
    return place
  }

  /** One at the end, where the footer was; the footer goes behind it. */
  #append(): number {
    const place = this.#end
    if (place / SECTOR >= UNUSED) throw new ImageError('It cannot grow any further.')
    const end = place + this.#bitmapBytes + this.#layout.blockBytes
    // First the footer: the file never ends without one. Then zeros over the footer that was here.
    this.#storage.write(end, this.#layout.footer)
    const old = new Uint8Array(Math.max(SECTOR, this.#bitmapBytes + SECTOR))
    old.fill(0xff, 0, this.#bitmapBytes)
    this.#storage.write(place, old)
    this.#end = end
    return place
  }

  /** All sectors count as written: those that nobody wrote are zeros in the file. */
  #fillBitmap(block: number, place: number): void {
    if (this.#full.has(block)) return
    const bitmap = new Uint8Array(this.#bitmapBytes).fill(0xff)
    this.#storage.write(place, bitmap)
    this.#full.add(block)
  }

  /** Behind the last block, or behind the tables if there is none. */
  #findEnd(blocks: number): number {
    const { blockBytes, tableOffset, tableEntries } = this.#layout
    let end = Math.ceil((tableOffset + tableEntries * 4) / SECTOR) * SECTOR
    const places = new Set<number>()
    for (let block = 0; block < blocks; block++) {
      const sector = this.#table.getUint32(block * 4)
      if (sector === UNUSED) continue
      const place = sector * SECTOR
      const blockEnd = place + this.#bitmapBytes + blockBytes
      const isOnTable = place < tableOffset + tableEntries * 4 && blockEnd > tableOffset
      if (sector === 0 || isOnTable || places.has(sector)) {
        throw new ImageError(`Its block ${block} lies where something else is.`)
      }
      if (place >= this.#storage.size) {
        throw new ImageError(`Its block ${block} would lie behind the end of the file.`)
      }
      places.add(sector)
      end = Math.max(end, blockEnd)
    }
    return end
  }

  *#pieces(offset: number, length: number) {
    const { blockBytes } = this.#layout
    for (let start = 0; start < length; ) {
      const block = Math.floor((offset + start) / blockBytes)
      const at = (offset + start) % blockBytes
      const end = Math.min(length, start + blockBytes - at)
      yield { block, at, start, end }
      start = end
    }
  }
}

/** Numbers as runs of neighbours: the first, and the one behind the last. */
function runsOf(numbers: ReadonlySet<number>): [first: number, end: number][] {
  const runs: [number, number][] = []
  for (const number of [...numbers].sort((a, b) => a - b)) {
    const run = runs.at(-1)
    if (run?.[1] === number) run[1]++
    else runs.push([number, number + 1])
  }
  return runs
}
