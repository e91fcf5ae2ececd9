// A frontend in TypeScript on the raw rings, in a guest without a processor: for tests. It does what
// it is told, well-behaved or not: it writes grants, rings and xenstore as a guest can.

import { Bug } from '../../base/errors.ts'
import { TestHost, type TestGuest } from '../../xen/testing/test-host.ts'
import { XenstoreClient } from '../xenstore/client.ts'
import { Xenstored } from '../xenstore/xenstored.ts'
import type { Frame } from './frame.ts'
import {
  NET_RING_SIZE,
  netif_rx_request,
  netif_rx_response,
  netif_tx_request,
  netif_tx_response,
  RING_ENTRIES,
  RX_ENTRY_BYTES,
  TX_ENTRY_BYTES,
} from './netif.ts'
import { Vif, type VifOptions } from './vif.ts'
import { vifPaths } from './vif-tree.ts'

const PAGE = 4096
/** Guest frames: two rings a queue, then pages for data. */
const FIRST_RING = 1
const FIRST_TX = 10
const FIRST_RX = 40
const RX_PAGES = 24
/** A grant's reference is its frame's number and this. */
const REFERENCE = 16

/** A host with xenstore, for guests with network interfaces. */
export class NetHost {
  readonly host = new TestHost()
  readonly store: XenstoreClient
  readonly complaints: string[] = []

  constructor() {
    const { hypervisor } = this.host
    const daemon = new Xenstored({
      domainExists: (domid) => hypervisor.domain(domid) !== undefined,
    })
    this.store = new XenstoreClient(daemon)
  }

  /** A guest with an interface whose frontend has not done anything yet. */
  frontend(options: Partial<VifOptions> = {}): TestFrontend {
    const guest = this.host.guest({}, 96)
    const { domid } = guest.domain
    const vif = new Vif({
      hypervisor: this.host.hypervisor,
      store: this.store,
      domid,
      devid: 0,
      mac: 0x00163e000000 + domid,
      bridge: 'xenbr0',
      isTrusted: true,
      maxQueues: 2,
      onComplaint: (text) => this.complaints.push(text),
      ...options,
    })
    return new TestFrontend(this, guest, vif)
  }

  /** Lets the backends look at their events. */
  deliver(): void {
    this.host.hypervisor.deliverHostEvents()
  }
}

/** What goes into a transmit request; the page is one of the data pages, by its number from 0. */
export interface TxRequest {
  readonly page?: number
  readonly gref?: number
  readonly offset?: number
  readonly flags?: number
  readonly id?: number
  readonly size: number
}

export class TestFrontend {
  readonly guest: TestGuest
  readonly vif: Vif
  readonly front: string
  readonly back: string
  /** What the guest has sent. */
  readonly sent: Frame[] = []
  readonly ports: { tx: number; rx: number }[] = []
  readonly #net: NetHost
  /** By queue: entries put, and answers seen. */
  readonly #counts: { tx: number; txSeen: number; rx: number; rxSeen: number }[] = []

  constructor(net: NetHost, guest: TestGuest, vif: Vif) {
    this.#net = net
    this.guest = guest
    this.vif = vif
    const { domid } = guest.domain
    const { front, back } = vifPaths(domid, 0)
    this.front = front
    this.back = back
    vif.onFrame = (frame) => this.sent.push(frame)
  }

  write(key: string, value: string | number): void {
    this.#net.store.write(`${this.front}/${key}`, String(value))
  }

  /** What the backend says. */
  read(key: string): string | undefined {
    return this.#net.store.read(`${this.back}/${key}`)
  }

  grant(gfn: number): number {
    this.guest.domain.grants.seed(gfn + REFERENCE, 0, gfn)
    return gfn + REFERENCE
  }

  /** Takes a grant back: the entry says nothing any more. */
  revoke(ref: number): void {
    this.guest.domain.grants.entries.writeRaw(ref, new Uint8Array(8))
  }

  /** Writes what a frontend writes before it is connected, without saying so. */
  offer(queues = 1, features: Readonly<Record<string, string | number>> = {}): void {
    const all = {
      'request-rx-copy': 1,
      'feature-rx-notify': 1,
      'feature-sg': 1,
      'feature-gso-tcpv4': 1,
      'feature-gso-tcpv6': 1,
      'feature-ipv6-csum-offload': 1,
      ...features,
    }
    for (const [key, value] of Object.entries(all)) this.write(key, value)
    if (queues > 1) this.write('multi-queue-num-queues', queues)
    for (let i = 0; i < queues; i++) {
      const under = queues > 1 ? `queue-${i}/` : ''
      const tx = this.guest.domain.channels.allocUnbound(0)
      const rx = this.guest.domain.channels.allocUnbound(0)
      this.ports.push({ tx, rx })
      this.#counts.push({ tx: 0, txSeen: 0, rx: 0, rxSeen: 0 })
      for (const gfn of this.#rings(i)) {
        this.guest.put(gfn * PAGE, new Uint8Array(PAGE))
        // Both ends ask for an event with the first request and response.
        this.guest.put32(gfn * PAGE + 4, 1)
        this.guest.put32(gfn * PAGE + 12, 1)
      }
      const [txRing, rxRing] = this.#rings(i)
      this.write(`${under}tx-ring-ref`, this.grant(txRing))
      this.write(`${under}rx-ring-ref`, this.grant(rxRing))
      this.write(`${under}event-channel-tx`, tx)
      this.write(`${under}event-channel-rx`, rx)
    }
  }

  connect(queues = 1, features: Readonly<Record<string, string | number>> = {}): this {
    this.offer(queues, features)
    this.write('state', 4)
    this.#net.deliver()
    this.clearEvents()
    return this
  }

  clearEvents(): void {
    const { channels } = this.guest.domain
    for (const { tx, rx } of this.ports)
      for (const port of [tx, rx]) channels.abi.clearPending(port)
  }

  /** Puts data into a page that is granted. */
  fill(page: number, bytes: Uint8Array, offset = 0): void {
    this.grant(FIRST_TX + page)
    this.guest.put((FIRST_TX + page) * PAGE + offset, bytes)
  }

  request({ page = 0, gref, offset = 0, flags = 0, id = 0, size }: TxRequest): Uint8Array {
    return netif_tx_request.encode({
      gref: gref ?? FIRST_TX + page + REFERENCE,
      offset,
      flags,
      id,
      size,
    })
  }

  /** Puts entries into the transmit ring and tells the backend. */
  transmit(entries: readonly Uint8Array[], queue = 0): void {
    const [ring] = this.#rings(queue)
    const count = this.#count(queue)
    for (const entry of entries) {
      const at = RING_ENTRIES + (count.tx++ % NET_RING_SIZE) * TX_ENTRY_BYTES
      this.guest.put(ring * PAGE + at, entry)
    }
    this.guest.put32(ring * PAGE, count.tx)
    this.kick(queue)
  }

  kick(queue = 0): void {
    const ports = this.ports[queue]
    if (!ports) throw new Bug('no such queue')
    this.guest.domain.channels.send(ports.tx)
    this.guest.domain.channels.send(ports.rx)
    this.#net.deliver()
  }

  /** Sends a frame of at most a page. */
  sendFrame(bytes: Uint8Array, flags = 0): void {
    this.fill(0, bytes)
    this.transmit([this.request({ size: bytes.length, flags })])
  }

  /** Answers that have not been looked at. */
  txAnswers(queue = 0): { id: number; status: number }[] {
    const [ring] = this.#rings(queue)
    const count = this.#count(queue)
    const answers: { id: number; status: number }[] = []
    const produced = this.guest.get32(ring * PAGE + 8)
    for (; count.txSeen !== produced; count.txSeen++) {
      const at = RING_ENTRIES + (count.txSeen % NET_RING_SIZE) * TX_ENTRY_BYTES
      answers.push(netif_tx_response.decode(this.guest.get(ring * PAGE + at, TX_ENTRY_BYTES)))
    }
    this.guest.put32(ring * PAGE + 12, produced + 1)
    return answers
  }

  /** Gives the backend pages to receive into. */
  post(pages: number, queue = 0, refOf = (page: number) => this.grant(FIRST_RX + page)): void {
    const [, ring] = this.#rings(queue)
    const count = this.#count(queue)
    for (let i = 0; i < pages; i++) {
      const number = count.rx++
      const at = RING_ENTRIES + (number % NET_RING_SIZE) * RX_ENTRY_BYTES
      const entry = { id: number & 0xffff, gref: refOf(number % RX_PAGES) }
      this.guest.put(ring * PAGE + at, netif_rx_request.encode(entry))
    }
    this.guest.put32(ring * PAGE, count.rx)
    this.kick(queue)
  }

  /** Answers that have not been looked at, each with the entry's raw bytes and the page's bytes. */
  rxAnswers(queue = 0) {
    const [, ring] = this.#rings(queue)
    const count = this.#count(queue)
    const answers = []
    const produced = this.guest.get32(ring * PAGE + 8)
    for (; count.rxSeen !== produced; count.rxSeen++) {
      const at = RING_ENTRIES + (count.rxSeen % NET_RING_SIZE) * RX_ENTRY_BYTES
      const raw = this.guest.get(ring * PAGE + at, RX_ENTRY_BYTES)
      const answer = netif_rx_response.decode(raw)
      const page = (FIRST_RX + (count.rxSeen % RX_PAGES)) * PAGE
      const bytes = this.guest.get(page + answer.offset, Math.max(0, answer.status))
      answers.push({ ...answer, raw, bytes })
    }
    this.guest.put32(ring * PAGE + 12, produced + 1)
    return answers
  }

  /** The 32-bit word of a ring's head. */
  ringWord(ring: 'tx' | 'rx', offset: number): number {
    const [tx, rx] = this.#rings(0)
    return this.guest.get32((ring === 'tx' ? tx : rx) * PAGE + offset)
  }

  setRingWord(ring: 'tx' | 'rx', offset: number, value: number): void {
    const [tx, rx] = this.#rings(0)
    this.guest.put32((ring === 'tx' ? tx : rx) * PAGE + offset, value)
  }

  isPending(port: 'tx' | 'rx', queue = 0): boolean {
    const ports = this.ports[queue]
    return ports !== undefined && this.guest.domain.channels.isPending(ports[port])
  }

  #count(queue: number) {
    const count = this.#counts[queue]
    if (!count) throw new Bug('no such queue')
    return count
  }

  #rings(queue: number): [tx: number, rx: number] {
    return [FIRST_RING + 2 * queue, FIRST_RING + 2 * queue + 1]
  }
}
