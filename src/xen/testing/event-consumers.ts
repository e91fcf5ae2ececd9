// The guest's side of the three event ABIs, by the rules of their documents, over a test guest's
// memory: how it registers the ABI, masks a port, and takes its events.

import { Bug } from '../../base/errors.ts'
import type { EventAbiName } from '../event-abi.ts'
import { bitmapPages, selectorBytes } from '../event-3l.ts'
import type { TestGuest } from './test-host.ts'

const PAGE = 4096
const PENDING = 0x80000000
const MASKED = 0x40000000
const LINKED = 0x20000000
const LINK = 0x1ffff
const CONTROL_BYTES = 128

/** Guest frames that the consumers use: from here on, 130 of them. */
export const FIRST_GFN = 16
export const CONSUMER_PAGES = 160
const SHARED = FIRST_GFN
const ABI = FIRST_GFN + 1

export interface Taken {
  readonly port: number
  /** False for one that was on a queue with nothing to tell. */
  readonly isEvent: boolean
}

export interface Consumer {
  readonly name: EventAbiName
  /** Sets the mask bit of a port, as a guest may at any time. */
  mask(port: number): void
  /**
   * Takes what is there for a processor, in order; nothing without an upcall. With FIFO, `most`
   * ports at most; bitmaps are taken whole.
   */
  take(vcpu: number, most: number): Taken[]
  /** Goes on with another guest that is a copy of this one. */
  moveTo(guest: TestGuest): void
}

/** Registers the ABI for all processors, room for `ports` ports, and gives the consumer. */
export function consumerOf(abi: EventAbiName, guest: TestGuest, ports: number): Consumer {
  guest.domain.physMap.set(SHARED, guest.domain.shared.mfn, 1)
  if (abi === 'fifo') return new FifoConsumer(guest, ports)
  return new BitmapConsumer(guest, abi === '3l')
}

function ok(result: number): void {
  if (result !== 0) throw new Bug(`a consumer's registration was answered by ${result}`)
}

/** The upcall flag of a processor, which the guest clears before it looks. */
function clearUpcall(guest: TestGuest, vcpu: number): boolean {
  const at = SHARED * PAGE + vcpu * 64
  const word = guest.get32(at)
  if (!(word & 0xff)) return false
  guest.put32(at, word & ~0xff)
  return true
}

/** Two- and three-level events: selectors, and pending and mask bits. Bits are 32-bit words here. */
class BitmapConsumer implements Consumer {
  readonly name: EventAbiName
  #guest: TestGuest
  readonly #width: 32 | 64
  readonly #pendingAt: number
  readonly #maskAt: number
  readonly #selectorsAt: number

  constructor(guest: TestGuest, hasThreeLevels: boolean) {
    this.name = hasThreeLevels ? '3l' : '2l'
    this.#guest = guest
    this.#width = guest.domain.shared.width
    const pages = bitmapPages(this.#width)
    this.#pendingAt = hasThreeLevels ? ABI * PAGE : SHARED * PAGE + 0x800
    this.#maskAt = hasThreeLevels
      ? (ABI + pages) * PAGE
      : SHARED * PAGE + (this.#width === 64 ? 0xa00 : 0x880)
    this.#selectorsAt = (ABI + 2 * pages) * PAGE
    if (!hasThreeLevels) return
    const { events, vcpus } = guest.domain
    const gfns = (from: number) => Array.from({ length: pages }, (_, i) => BigInt(from + i))
    ok(events.registerBitmaps(gfns(ABI), gfns(ABI + pages)))
    for (const { id } of vcpus) {
      const at = this.#selectorOf(id)
      ok(events.registerSelector(id, BigInt(Math.floor(at / PAGE)), BigInt(at % PAGE)))
    }
  }

  moveTo(guest: TestGuest): void {
    this.#guest = guest
  }

  mask(port: number): void {
    const at = this.#maskAt + (port >>> 5) * 4
    this.#guest.put32(at, this.#guest.get32(at) | (1 << (port & 31)))
  }

  take(vcpu: number): Taken[] {
    const taken: Taken[] = []
    if (!clearUpcall(this.#guest, vcpu)) return taken
    const info = SHARED * PAGE + vcpu * 64 + (this.#width === 64 ? 8 : 4)
    for (const top of this.#bits(info)) {
      if (this.name === '2l') {
        this.#word(vcpu, top, taken)
        continue
      }
      const second = this.#selectorOf(vcpu) + (top * this.#width) / 8
      for (const word of this.#bits(second)) this.#word(vcpu, top * this.#width + word, taken)
    }
    return taken
  }

  /** All that is pending in a word of the bitmap, for the processor that the port is bound to. */
  #word(vcpu: number, word: number, taken: Taken[]): void {
    for (let half = 0; half < this.#width / 32; half++) {
      const index = (word * this.#width) / 32 + half
      const at = this.#pendingAt + index * 4
      let active = this.#guest.get32(at) & ~this.#guest.get32(this.#maskAt + index * 4)
      while (active !== 0) {
        const bit = 31 - Math.clz32(active & -active)
        active &= active - 1
        const port = index * 32 + bit
        if (this.#guest.domain.channels.port(port)?.vcpu !== vcpu) continue
        this.#guest.put32(at, this.#guest.get32(at) & ~(1 << bit))
        taken.push({ port, isEvent: true })
      }
    }
  }

  /** The bits of a selector word, which is cleared, in ascending order. */
  #bits(at: number): number[] {
    const bits: number[] = []
    for (let half = 0; half < this.#width / 32; half++) {
      let word = this.#guest.get32(at + 4 * half)
      if (word !== 0) this.#guest.put32(at + 4 * half, 0)
      while (word !== 0) {
        bits.push(half * 32 + 31 - Math.clz32(word & -word))
        word &= word - 1
      }
    }
    return bits
  }

  #selectorOf(vcpu: number): number {
    return this.#selectorsAt + vcpu * selectorBytes(this.#width)
  }
}

/** FIFO events: the guest's copies of the queues' heads, and what it has seen ready. */
class FifoConsumer implements Consumer {
  readonly name = 'fifo'
  #guest: TestGuest
  readonly #arrayPages: number
  readonly #heads: number[][]
  readonly #ready: number[]

  constructor(guest: TestGuest, ports: number) {
    this.#guest = guest
    this.#arrayPages = Math.ceil(ports / 1024)
    const { events, vcpus } = guest.domain
    this.#heads = vcpus.map(() => new Array<number>(16).fill(0))
    this.#ready = vcpus.map(() => 0)
    const control = BigInt(ABI + this.#arrayPages)
    for (const { id } of vcpus) ok(events.initControl(control, id * CONTROL_BYTES, id))
    for (let i = 0; i < this.#arrayPages; i++) ok(events.expandArray(BigInt(ABI + i)))
  }

  moveTo(guest: TestGuest): void {
    this.#guest = guest
  }

  mask(port: number): void {
    const at = ABI * PAGE + 4 * port
    this.#guest.put32(at, this.#guest.get32(at) | MASKED)
  }

  take(vcpu: number, most: number): Taken[] {
    const taken: Taken[] = []
    const isCalled = clearUpcall(this.#guest, vcpu)
    // What it was in the middle of goes on without another upcall.
    if (!isCalled && this.#ready[vcpu] === 0) return taken
    while (taken.length < most) {
      const next = this.#takeOne(vcpu)
      if (!next) break
      taken.push(next)
    }
    return taken
  }

  #takeOne(vcpu: number): Taken | undefined {
    const control = (ABI + this.#arrayPages) * PAGE + vcpu * CONTROL_BYTES
    const heads = this.#heads[vcpu] as number[]
    const ready = (this.#ready[vcpu] as number) | this.#guest.get32(control)
    this.#guest.put32(control, 0)
    this.#ready[vcpu] = ready
    if (ready === 0) return undefined
    const queue = 31 - Math.clz32(ready & -ready)
    const port = heads[queue] || this.#guest.get32(control + 8 + 4 * queue)
    const at = ABI * PAGE + 4 * port
    const word = this.#guest.get32(at)
    this.#guest.put32(at, word & ~(LINKED | LINK))
    heads[queue] = word & LINK
    if (heads[queue] === 0) this.#ready[vcpu] = ready & ~(1 << queue)
    const isEvent = (word & PENDING) !== 0 && (word & MASKED) === 0
    if (isEvent) this.#guest.put32(at, this.#guest.get32(at) & ~PENDING)
    return { port, isEvent }
  }
}
