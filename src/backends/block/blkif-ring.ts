// The backend's end of a block ring (public/io/blkif.h, io/ring.h): one or more pages shared with
// the guest, in the ABI of its word width. Everything in them may change at any time: indices are
// read once, requests are copied out before anybody looks at them.

import {
  BLKIF_MAX_SEGMENTS_PER_REQUEST,
  BLKIF_OP_DISCARD,
  BLKIF_OP_INDIRECT,
  blkif_request,
  blkif_request_discard,
  blkif_request_indirect,
  blkif_request_segment,
  blkif_response,
} from '../../xen/abi/blkif.ts'
import type { Width } from '../../xen/abi/structure.ts'
import type { HostPage } from '../../xen/host-services.ts'

const PAGE = 4096
/** Indices and padding before the first entry. */
const HEADER = 64
const REQ_PROD = 0
const REQ_EVENT = 4
const RSP_PROD = 8
const RSP_EVENT = 12

export const SEGMENT_BYTES = blkif_request_segment.size(64)

/** A piece of a page of the guest, in sectors of 512 bytes: both ends belong to it. */
export interface Segment {
  readonly ref: number
  readonly first: number
  readonly last: number
}

/** A request as the guest put it, copied; nothing in it is checked. */
export interface RingRequest {
  readonly operation: number
  /** Echoed in the response. */
  readonly id: bigint
  /** -1 for one that no number of ours can tell, which no disk has. */
  readonly sector: number
  /** What the guest says; there may be fewer segments here. */
  readonly segmentCount: number
  readonly segments: readonly Segment[]
  /** BLKIF_OP_INDIRECT: the operation that is meant, and the grants of the pages of segments. */
  readonly indirect?: { readonly operation: number; readonly refs: readonly number[] }
  /** BLKIF_OP_DISCARD: sectors; -1 as for `sector`. */
  readonly discardSectors?: number
}

/** Bytes of an entry. */
function entryBytes(width: Width): number {
  return Math.max(blkif_request.size(width), blkif_response.size(width))
}

/** Entries of a ring of so many pages: the largest power of two that fits. */
export function ringEntries(pages: number, width: Width): number {
  return 2 ** Math.floor(Math.log2((pages * PAGE - HEADER) / entryBytes(width)))
}

export class BlkifRing {
  readonly entries: number
  readonly #pages: readonly HostPage[]
  readonly #width: Width
  readonly #entryBytes: number
  readonly #request: Uint8Array<ArrayBuffer>
  readonly #view: DataView<ArrayBuffer>
  readonly #answer: Uint8Array<ArrayBuffer>
  readonly #answerView: DataView<ArrayBuffer>
  /** Requests taken so far; responses are as many when nothing is under way. */
  #taken = 0
  #answered = 0

  constructor(pages: readonly HostPage[], width: Width) {
    this.#pages = pages
    this.#width = width
    this.#entryBytes = entryBytes(width)
    this.entries = ringEntries(pages.length, width)
    this.#request = new Uint8Array(blkif_request.size(width))
    this.#view = new DataView(this.#request.buffer)
    this.#answer = new Uint8Array(blkif_response.size(width))
    this.#answerView = new DataView(this.#answer.buffer)
    // A frontend that connects anew may go on with a used ring: nothing before is asked again.
    this.#taken = this.#get(RSP_PROD)
    this.#answered = this.#taken
  }

  /** Requests that wait; undefined if the guest's index is not one that this ring can have. */
  get waiting(): number | undefined {
    const waiting = (this.#get(REQ_PROD) - this.#taken) >>> 0
    return waiting <= this.entries ? waiting : undefined
  }

  /** Takes the next request; there must be one. */
  take(): RingRequest {
    this.#copyOut(this.#placeOf(this.#taken), this.#request)
    this.#taken = (this.#taken + 1) >>> 0
    return this.#decode()
  }

  /** Puts a response into the ring; the guest sees it with {@link publish}. */
  answer(id: bigint, operation: number, status: number): void {
    const at = LAYOUTS[this.#width].response
    this.#answerView.setBigUint64(at.id, id, true)
    this.#answerView.setUint8(at.operation, operation)
    this.#answerView.setInt16(at.status, status, true)
    this.#copyIn(this.#placeOf(this.#answered), this.#answer)
    this.#answered = (this.#answered + 1) >>> 0
  }

  /** Shows the guest all responses; true if it wants an event. */
  publish(): boolean {
    const before = this.#get(RSP_PROD)
    this.#set(RSP_PROD, this.#answered)
    const wanted = this.#get(RSP_EVENT)
    return (this.#answered - wanted) >>> 0 < (this.#answered - before) >>> 0
  }

  /** Asks for an event with the next request; true if one has come meanwhile. */
  rest(): boolean {
    this.#set(REQ_EVENT, (this.#taken + 1) >>> 0)
    return this.waiting !== 0
  }

  release(): void {
    for (const page of this.#pages) page.release()
  }

  #decode(): RingRequest {
    const view = this.#view
    const operation = view.getUint8(0)
    if (operation === BLKIF_OP_DISCARD) return this.#decodeDiscard(operation)
    if (operation === BLKIF_OP_INDIRECT) return this.#decodeIndirect(operation)
    const at = LAYOUTS[this.#width].plain
    const segmentCount = view.getUint8(at.count)
    return {
      operation,
      id: view.getBigUint64(at.id, true),
      sector: sectorAt(view, at.sector),
      segmentCount,
      segments: decodeSegments(view, at.segments, Math.min(segmentCount, MOST_DIRECT)),
    }
  }

  #decodeDiscard(operation: number): RingRequest {
    const at = LAYOUTS[this.#width].discard
    return {
      operation,
      id: this.#view.getBigUint64(at.id, true),
      sector: sectorAt(this.#view, at.sector),
      segmentCount: 0,
      segments: [],
      discardSectors: sectorAt(this.#view, at.sectors),
    }
  }

  #decodeIndirect(operation: number): RingRequest {
    const at = LAYOUTS[this.#width].indirect
    return {
      operation,
      id: this.#view.getBigUint64(at.id, true),
      sector: sectorAt(this.#view, at.sector),
      segmentCount: this.#view.getUint16(at.count, true),
      segments: [],
      indirect: {
        operation: this.#view.getUint8(at.operation),
        refs: Array.from({ length: 8 }, (_, i) => this.#view.getUint32(at.refs + 4 * i, true)),
      },
    }
  }

  #placeOf(index: number): number {
    return HEADER + (index & (this.entries - 1)) * this.#entryBytes
  }

  /** Entries may lie across two pages, where there are several. */
  #copyOut(from: number, target: Uint8Array): void {
    if (from + target.length <= PAGE) return this.#pages[0]?.copyOut(from, target)
    for (let done = 0; done < target.length; ) {
      const offset = (from + done) % PAGE
      const piece = target.subarray(done, done + PAGE - offset)
      this.#pages[Math.floor((from + done) / PAGE)]?.copyOut(offset, piece)
      done += piece.length
    }
  }

  #copyIn(to: number, bytes: Uint8Array): void {
    if (to + bytes.length <= PAGE) return this.#pages[0]?.write(to, bytes)
    for (let done = 0; done < bytes.length; ) {
      const offset = (to + done) % PAGE
      const piece = bytes.subarray(done, done + PAGE - offset)
      this.#pages[Math.floor((to + done) / PAGE)]?.write(offset, piece)
      done += piece.length
    }
  }

  #get(offset: number): number {
    return this.#pages[0]?.get32(offset) ?? 0
  }

  #set(offset: number, value: number): void {
    this.#pages[0]?.set32(offset, value)
  }
}

/** Segments as they lie in a request or in a page of an indirect request. */
export function decodeSegments(view: DataView, offset: number, count: number): Segment[] {
  const segments: Segment[] = []
  for (let at = offset; at < offset + count * SEGMENT_BYTES; at += SEGMENT_BYTES) {
    segments.push({
      ref: view.getUint32(at, true),
      first: view.getUint8(at + FIRST_SECTOR),
      last: view.getUint8(at + LAST_SECTOR),
    })
  }
  return segments
}

/** A sector number of 64 bits; -1 if it is beyond 2^53, where numbers lose their last bits. */
function sectorAt(view: DataView, offset: number): number {
  const high = view.getUint32(offset + 4, true)
  return high < 2 ** 21 ? high * 2 ** 32 + view.getUint32(offset, true) : -1
}

const FIRST_SECTOR = blkif_request_segment.offsetOf(64, 'first_sect')
const LAST_SECTOR = blkif_request_segment.offsetOf(64, 'last_sect')
const MOST_DIRECT = BLKIF_MAX_SEGMENTS_PER_REQUEST

function layouts(width: Width) {
  return {
    response: {
      id: blkif_response.offsetOf(width, 'id'),
      operation: blkif_response.offsetOf(width, 'operation'),
      status: blkif_response.offsetOf(width, 'status'),
    },
    plain: {
      count: blkif_request.offsetOf(width, 'nr_segments'),
      id: blkif_request.offsetOf(width, 'id'),
      sector: blkif_request.offsetOf(width, 'sector_number'),
      segments: blkif_request.offsetOf(width, 'seg'),
    },
    discard: {
      id: blkif_request_discard.offsetOf(width, 'id'),
      sector: blkif_request_discard.offsetOf(width, 'sector_number'),
      sectors: blkif_request_discard.offsetOf(width, 'nr_sectors'),
    },
    indirect: {
      operation: blkif_request_indirect.offsetOf(width, 'indirect_op'),
      count: blkif_request_indirect.offsetOf(width, 'nr_segments'),
      id: blkif_request_indirect.offsetOf(width, 'id'),
      sector: blkif_request_indirect.offsetOf(width, 'sector_number'),
      refs: blkif_request_indirect.offsetOf(width, 'indirect_grefs'),
    },
  }
}

const LAYOUTS = { 32: layouts(32), 64: layouts(64) }
