// Carries out block requests (public/io/blkif.h) on an image. A request is checked whole before
// anything is done: its answer is an error, and nothing has changed, if any of it cannot be.

import { Bug } from '../../base/errors.ts'
import {
  BLKIF_MAX_INDIRECT_PAGES_PER_REQUEST,
  BLKIF_MAX_SEGMENTS_PER_REQUEST,
  BLKIF_OP_DISCARD,
  BLKIF_OP_FLUSH_DISKCACHE,
  BLKIF_OP_INDIRECT,
  BLKIF_OP_READ,
  BLKIF_OP_WRITE,
  BLKIF_OP_WRITE_BARRIER,
  BLKIF_RSP_EOPNOTSUPP,
  BLKIF_RSP_ERROR,
  BLKIF_RSP_OKAY,
} from '../../xen/abi/blkif.ts'
import { decodeSegments, type RingRequest, type Segment, SEGMENT_BYTES } from './blkif-ring.ts'
import { type DiskImage, flushNow, SECTOR } from './disk-image.ts'
import type { Flusher } from './flusher.ts'
import type { GuestPages } from './guest-pages.ts'

const PAGE = 4096
const SECTORS_PER_PAGE = PAGE / SECTOR
const SEGMENTS_PER_PAGE = Math.floor(PAGE / SEGMENT_BYTES)

/** What we take in one request: 1 MiB, as Linux's backend does. */
export const MAX_INDIRECT_SEGMENTS = 256

/** What a disk has done for its guest; sectors are of 512 bytes. */
export interface DiskCounters {
  reads: number
  writes: number
  flushes: number
  discards: number
  readSectors: number
  writtenSectors: number
  errors: number
}

/** What became of a request: a BLKIF_RSP_ status, and the bytes that were moved for it. */
export interface Outcome {
  readonly status: number
  readonly bytes: number
}

export interface RequestsOptions {
  readonly image: DiskImage
  readonly flusher: Flusher
  readonly pages: GuestPages
  readonly counters: DiskCounters
  /** Told of each request that failed for a reason that is the image's or its storage's. */
  readonly onTrouble: (why: string) => void
}

export class Requests {
  readonly #image: DiskImage
  readonly #flusher: Flusher
  readonly #pages: GuestPages
  readonly #counters: DiskCounters
  readonly #onTrouble: (why: string) => void
  readonly #buffer = new Uint8Array(MAX_INDIRECT_SEGMENTS * PAGE)
  readonly #segmentPage = new Uint8Array(PAGE)
  readonly #segmentView = new DataView(this.#segmentPage.buffer)

  constructor(options: RequestsOptions) {
    this.#image = options.image
    this.#flusher = options.flusher
    this.#pages = options.pages
    this.#counters = options.counters
    this.#onTrouble = options.onTrouble
  }

  /** A flush is under way: no request may be run. */
  get isBusy(): boolean {
    return this.#flusher.isBusy
  }

  /** Does what is asked. Undefined if that takes a flush that is under way: `later` is called then. */
  run(request: RingRequest, later: (outcome: Outcome) => void): Outcome | undefined {
    try {
      const outcome = this.#run(request, later)
      if (outcome && outcome.status !== BLKIF_RSP_OKAY) this.#counters.errors++
      return outcome
    } catch (error) {
      return this.#failed(error)
    }
  }

  /** A full disk, a read error, a damaged image: that request's failure, not the host's. */
  #failed(error: unknown): Outcome {
    if (error instanceof Bug || !(error instanceof Error)) throw error
    this.#onTrouble(error.message)
    this.#counters.errors++
    return FAILED
  }

  #run(request: RingRequest, later: (outcome: Outcome) => void): Outcome | undefined {
    const operation = request.indirect?.operation ?? request.operation
    const isIndirect = request.operation === BLKIF_OP_INDIRECT
    switch (operation) {
      case BLKIF_OP_READ:
      case BLKIF_OP_WRITE:
        return this.#transfer(request, operation === BLKIF_OP_WRITE)
      case BLKIF_OP_WRITE_BARRIER:
      case BLKIF_OP_FLUSH_DISKCACHE:
        return isIndirect ? FAILED : this.#flush(request, later)
      case BLKIF_OP_DISCARD:
        return isIndirect ? FAILED : this.#discard(request)
      default:
        return FAILED
    }
  }

  #transfer(request: RingRequest, isWrite: boolean): Outcome {
    if (isWrite && this.#image.isReadOnly) return FAILED
    const segments = this.#segmentsOf(request)
    if (!segments) return FAILED
    let sectors = 0
    for (const { first, last } of segments) {
      if (first > last || last >= SECTORS_PER_PAGE) return FAILED
      sectors += last - first + 1
    }
    if (!this.#contains(request.sector, sectors)) return FAILED
    const bytes = this.#buffer.subarray(0, sectors * SECTOR)
    const offset = request.sector * SECTOR
    if (isWrite) {
      if (!this.#move(segments, (ref, at, piece) => this.#pages.read(ref, at, piece))) return FAILED
      this.#image.write(offset, bytes)
      this.#counters.writes++
      this.#counters.writtenSectors += sectors
    } else {
      this.#image.read(offset, bytes)
      if (!this.#move(segments, (ref, at, piece) => this.#pages.write(ref, at, piece)))
        return FAILED
      this.#counters.reads++
      this.#counters.readSectors += sectors
    }
    return { status: BLKIF_RSP_OKAY, bytes: bytes.length }
  }

  /** Both orders of a barrier hold by themselves: requests are done one after the other. */
  #flush(request: RingRequest, later: (outcome: Outcome) => void): Outcome | undefined {
    let bytes = 0
    if (request.segmentCount > 0) {
      if (this.#image.isReadOnly) return FAILED
      flushNow(this.#image)
      const written = this.#transfer(request, true)
      if (written.status !== BLKIF_RSP_OKAY) return written
      bytes = written.bytes
    }
    const flushed = (): Outcome => {
      this.#counters.flushes++
      return { status: BLKIF_RSP_OKAY, bytes }
    }
    const isUnderWay = this.#flusher.flush((error) => {
      later(error === undefined ? flushed() : this.#failed(error))
    })
    return isUnderWay ? undefined : flushed()
  }

  #discard({ sector, discardSectors = -1 }: RingRequest): Outcome {
    if (this.#image.discardGranularity === 0) return { status: BLKIF_RSP_EOPNOTSUPP, bytes: 0 }
    if (this.#image.isReadOnly || !this.#contains(sector, discardSectors)) return FAILED
    this.#image.discard(sector * SECTOR, discardSectors * SECTOR)
    this.#counters.discards++
    return { status: BLKIF_RSP_OKAY, bytes: 0 }
  }

  #contains(sector: number, count: number): boolean {
    return sector >= 0 && count >= 0 && sector + count <= this.#image.size / SECTOR
  }

  #segmentsOf(request: RingRequest): readonly Segment[] | undefined {
    const { segmentCount: count, indirect } = request
    if (count === 0) return undefined
    if (!indirect) return count <= BLKIF_MAX_SEGMENTS_PER_REQUEST ? request.segments : undefined
    const pages = Math.ceil(count / SEGMENTS_PER_PAGE)
    if (count > MAX_INDIRECT_SEGMENTS || pages > BLKIF_MAX_INDIRECT_PAGES_PER_REQUEST) {
      return undefined
    }
    const segments: Segment[] = []
    for (const ref of indirect.refs.slice(0, pages)) {
      const here = Math.min(SEGMENTS_PER_PAGE, count - segments.length)
      const page = this.#segmentPage.subarray(0, here * SEGMENT_BYTES)
      if (!this.#pages.read(ref, 0, page)) return undefined
      segments.push(...decodeSegments(this.#segmentView, 0, here))
    }
    return segments
  }

  /** Moves the buffer's bytes to or from the segments, in order; false if one was not granted. */
  #move(
    segments: readonly Segment[],
    move: (ref: number, offset: number, piece: Uint8Array) => boolean,
  ): boolean {
    let at = 0
    for (const { ref, first, last } of segments) {
      const length = (last - first + 1) * SECTOR
      if (!move(ref, first * SECTOR, this.#buffer.subarray(at, at + length))) return false
      at += length
    }
    return true
  }
}

const FAILED = { status: BLKIF_RSP_ERROR, bytes: 0 } as const
