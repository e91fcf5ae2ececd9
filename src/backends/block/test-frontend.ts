// A frontend for tests: a guest's driver in TypeScript on the raw ring, which can do everything right
// and everything wrong. Its guest has memory and grants, and no processor that runs.

import { Bug } from '../../base/errors.ts'
import {
  BLKIF_OP_DISCARD,
  BLKIF_OP_INDIRECT,
  BLKIF_OP_WRITE,
  blkif_request,
  blkif_request_discard,
  blkif_request_indirect,
  blkif_request_segment,
  blkif_response,
} from '../../xen/abi/blkif.ts'
import type { Width } from '../../xen/abi/structure.ts'
import { type TestGuest, TestHost } from '../../xen/testing/test-host.ts'
import { XenstoreClient } from '../xenstore/client.ts'
import { Xenstored } from '../xenstore/xenstored.ts'
import { ringEntries, type Segment } from './blkif-ring.ts'
import { BlockDevice, type BlockDeviceOptions } from './block-device.ts'
import { blockPaths } from './device-tree.ts'

const PAGE = 4096
/** Where rings begin, in guest frames; 16 pages a queue. */
const RING_GFN = 32
/** Grants of rings; those of data follow. */
const RING_REF = 8
const DATA_REF = 100
/** Guest frames with data. */
const DATA_GFN = 128

/** A host with xenstore, on which guests with frontends live. */
export class BlockTestHost {
  readonly xen = new TestHost({}, 4096)
  readonly xenstore = new XenstoreClient(new Xenstored())

  /** A guest with a disk; `device` is its backend. */
  frontend(options: Pick<BlockDeviceOptions, 'image'> & Partial<BlockDeviceOptions>): TestFrontend {
    const guest = this.xen.guest({ maxPages: 600 }, 512)
    const device = new BlockDevice({
      hypervisor: this.xen.hypervisor,
      xenstore: this.xenstore,
      domid: guest.domain.domid,
      devid: 51712,
      vdev: 'xvda',
      source: '/test',
      ...options,
    })
    return new TestFrontend(this, guest, device)
  }

  /** Lets backends see their events, until nothing is left to do. */
  settle(): void {
    const { hypervisor } = this.xen
    while (hypervisor.deliverHostEvents() || hypervisor.runDeferred());
  }
}

/** What a frontend puts into its ring; fields that are not given are harmless. */
export interface TestRequest {
  readonly operation: number
  readonly sector?: number | bigint
  readonly segments?: readonly Segment[]
  /** What the request says, if not the truth. */
  readonly segmentCount?: number
  readonly id?: bigint
  /** BLKIF_OP_DISCARD. */
  readonly sectors?: number | bigint
  /** Puts the segments into pages of their own, for this operation. */
  readonly indirect?: number
  /** Grants of the pages of segments, if not the right ones. */
  readonly indirectRefs?: readonly number[]
}

export interface TestResponse {
  readonly id: bigint
  readonly operation: number
  readonly status: number
}

export class TestFrontend {
  readonly host: BlockTestHost
  readonly guest: TestGuest
  readonly device: BlockDevice
  readonly paths: ReturnType<typeof blockPaths>
  width: Width = 64
  #pages = 1
  readonly #queues: { port: number; produced: number; consumed: number }[] = []

  constructor(host: BlockTestHost, guest: TestGuest, device: BlockDevice) {
    this.host = host
    this.guest = guest
    this.device = device
    this.paths = blockPaths(guest.domain.domid, device.devid)
    for (let i = 0; i < 256; i++) this.grant(DATA_REF + i, DATA_GFN + i)
  }

  /** The grant of a page for data, by its number. */
  dataRef(page: number): number {
    return DATA_REF + page
  }

  dataAddress(page: number): number {
    return (DATA_GFN + page) * PAGE
  }

  grant(ref: number, gfn: number, domid = 0): void {
    this.guest.domain.grants.seed(ref, domid, gfn)
  }

  write(key: string, value: string | number): void {
    this.host.xenstore.write(`${this.paths.front}/${key}`, String(value))
  }

  backend(key: string): string | undefined {
    return this.host.xenstore.read(`${this.paths.back}/${key}`)
  }

  /** Writes what a good frontend writes, and waits for the backend. */
  connect(options: { queues?: number; order?: number; isPersistent?: boolean } = {}): void {
    const { queues = 1, order } = options
    this.#pages = 2 ** (order ?? 0)
    this.#queues.length = 0
    if (queues > 1) this.write('multi-queue-num-queues', queues)
    if (order !== undefined) this.write('ring-page-order', order)
    this.write('protocol', `x86_${this.width}-abi`)
    this.write('feature-persistent', options.isPersistent ? 1 : 0)
    for (let queue = 0; queue < queues; queue++) {
      const prefix = queues > 1 ? `queue-${queue}/` : ''
      const port = this.guest.domain.channels.allocUnbound(0)
      this.write(`${prefix}event-channel`, port)
      for (let page = 0; page < this.#pages; page++) {
        const ref = RING_REF + queue * 16 + page
        this.grant(ref, RING_GFN + queue * 16 + page)
        this.write(`${prefix}ring-ref${order === undefined ? '' : page}`, ref)
      }
      this.guest.put(this.#ring(queue), new Uint8Array(this.#pages * PAGE))
      // As SHARED_RING_INIT.
      this.poke('req_event', 1, queue)
      this.poke('rsp_event', 1, queue)
      this.#queues.push({ port, produced: 0, consumed: 0 })
    }
    this.write('state', 3)
    this.write('state', 4)
  }

  get entries(): number {
    return ringEntries(this.#pages, this.width)
  }

  poke(index: keyof typeof INDICES, value: number, queue = 0): void {
    this.guest.put32(this.#ring(queue) + INDICES[index], value)
  }

  peek(index: keyof typeof INDICES, queue = 0): number {
    return this.guest.get32(this.#ring(queue) + INDICES[index])
  }

  /** Puts requests into a ring, says so, and gives what came back by then. */
  submit(requests: readonly TestRequest[], queue = 0): TestResponse[] {
    this.enqueue(requests, queue)
    this.host.settle()
    return this.responses(queue)
  }

  /** Puts requests into a ring and sends the event, which the backend sees later. */
  enqueue(requests: readonly TestRequest[], queue = 0): void {
    const ring = this.#queue(queue)
    for (const request of requests) {
      this.guest.put(this.#entry(queue, ring.produced), this.#encode(request, ring.produced))
      ring.produced = (ring.produced + 1) >>> 0
    }
    this.poke('req_prod', ring.produced, queue)
    this.guest.domain.channels.send(ring.port)
  }

  kick(queue = 0): void {
    this.guest.domain.channels.send(this.#queue(queue).port)
    this.host.settle()
  }

  /** What has come back since the last time. */
  responses(queue = 0): TestResponse[] {
    const ring = this.#queue(queue)
    const out: TestResponse[] = []
    for (const end = this.peek('rsp_prod', queue); ring.consumed !== end; ) {
      const bytes = this.guest.get(
        this.#entry(queue, ring.consumed),
        blkif_response.size(this.width),
      )
      const { id, operation, status } = blkif_response.decode(this.width, bytes)
      out.push({ id, operation, status })
      ring.consumed = (ring.consumed + 1) >>> 0
    }
    this.poke('rsp_event', (ring.consumed + 1) >>> 0, queue)
    return out
  }

  /** Whether the backend has sent an event that was not looked at. */
  takeEvent(queue = 0): boolean {
    const { port } = this.#queue(queue)
    const { shared } = this.guest.domain
    const isPending = shared.isPending(port)
    shared.clearPending(port)
    return isPending
  }

  #encode(request: TestRequest, number: number): Uint8Array {
    const { operation, sector = 0, segments = [], id = BigInt(number) } = request
    const segmentCount = request.segmentCount ?? segments.length
    const sector_number = BigInt(sector)
    const encoded = segments.map((segment) => encodeSegment(segment))
    if (operation === BLKIF_OP_DISCARD) {
      const nr_sectors = BigInt(request.sectors ?? 0)
      return blkif_request_discard.encode(this.width, { operation, id, sector_number, nr_sectors })
    }
    if (operation === BLKIF_OP_INDIRECT) {
      // The last pages for data hold the segments.
      const pages = Math.ceil(segments.length / 512)
      const bytes = new Uint8Array(pages * PAGE)
      encoded.forEach((segment, i) => bytes.set(segment, i * segment.length))
      this.guest.put(this.dataAddress(250), bytes)
      const refs = Array.from({ length: pages }, (_, i) => this.dataRef(250 + i))
      return blkif_request_indirect.encode(this.width, {
        operation,
        indirect_op: request.indirect ?? BLKIF_OP_WRITE,
        nr_segments: segmentCount,
        id,
        sector_number,
        indirect_grefs: [...(request.indirectRefs ?? refs)],
      })
    }
    const seg = new Uint8Array(88)
    encoded.forEach((segment, i) => seg.set(segment, i * segment.length))
    return blkif_request.encode(this.width, {
      operation,
      nr_segments: segmentCount,
      id,
      sector_number,
      seg,
    })
  }

  #queue(queue: number) {
    const found = this.#queues[queue]
    if (!found) throw new Bug(`no queue ${queue}`)
    return found
  }

  #ring(queue: number): number {
    return (RING_GFN + queue * 16) * PAGE
  }

  #entry(queue: number, index: number): number {
    const bytes = blkif_request.size(this.width)
    return this.#ring(queue) + 64 + (index & (this.entries - 1)) * bytes
  }
}

const INDICES = { req_prod: 0, req_event: 4, rsp_prod: 8, rsp_event: 12 } as const

function encodeSegment({ ref, first, last }: Segment): Uint8Array {
  return blkif_request_segment.encode(64, { gref: ref, first_sect: first, last_sect: last })
}
