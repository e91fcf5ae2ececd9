// Event channels against models: random sends, masks, moves and deliveries, with a guest that
// follows the rules of public/event_channel.h on its side, and with one that follows none.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { Domain } from './domain.ts'
import type { TestGuest } from './testing/test-host.ts'
import { TestHost } from './testing/test-host.ts'

const PORTS = 12
const SHARED = 20 * 4096
const ARRAY = 21 * 4096
const CONTROL = [22 * 4096, 23 * 4096]
const PENDING = 0x80000000
const MASKED = 0x40000000
const LINKED = 0x20000000
const LINK = 0x1ffff

interface Action {
  readonly kind: 'send' | 'mask' | 'unmask' | 'deliver' | 'priority' | 'move'
  readonly port: number
  readonly value: number
}

const actions = fc.array(
  fc.record({
    kind: fc.constantFrom<Action['kind'][]>(
      'send',
      'send',
      'send',
      'mask',
      'unmask',
      'deliver',
      'deliver',
      'priority',
      'move',
    ),
    port: fc.integer({ min: 1, max: PORTS }),
    value: fc.integer({ min: 0, max: 15 }),
  }),
  { maxLength: 200 },
)

/** A guest with ports 1 to PORTS, which domain 0 may send to. */
function guestWithPorts(isFifo: boolean): TestGuest {
  const host = new TestHost()
  const guest = host.guest()
  const { domain } = guest
  if (isFifo) {
    assert.equal(domain.initControl(BigInt(CONTROL[0] as number) >> 12n, 0, 0), 0)
    assert.equal(domain.initControl(BigInt(CONTROL[1] as number) >> 12n, 0, 1), 0)
    assert.equal(domain.expandArray(BigInt(ARRAY) >> 12n), 0)
  } else {
    domain.physMap.set(SHARED >> 12, domain.shared.mfn, 1)
  }
  for (let port = 1; port <= PORTS; port++) assert.equal(domain.channels.allocUnbound(0), port)
  return guest
}

/** The guest's side of FIFO events: its own copy of each queue's head. */
class FifoConsumer {
  readonly #guest: TestGuest
  readonly #vcpu: number
  readonly #heads = new Array<number>(16).fill(0)
  #ready = 0

  constructor(guest: TestGuest, vcpu: number) {
    this.#guest = guest
    this.#vcpu = vcpu
  }

  /** Takes one port off the most urgent queue: it, and whether there was an event to handle. */
  take(): { port: number; isEvent: boolean } | undefined {
    const control = CONTROL[this.#vcpu] as number
    this.#ready |= this.#guest.get32(control)
    this.#guest.put32(control, 0)
    if (this.#ready === 0) return undefined
    const queue = 31 - Math.clz32(this.#ready & -this.#ready)
    const port = this.#heads[queue] || this.#guest.get32(control + 8 + 4 * queue)
    const at = ARRAY + 4 * port
    const word = this.#guest.get32(at)
    this.#guest.put32(at, word & ~(LINKED | LINK))
    const next = word & LINK
    this.#heads[queue] = next
    if (next === 0) this.#ready &= ~(1 << queue)
    const isEvent = (word & PENDING) !== 0 && (word & MASKED) === 0
    if (isEvent) this.#guest.put32(at, this.#guest.get32(at) & ~PENDING)
    return { port, isEvent }
  }
}

/** What FIFO events should be, without words and links. */
class FifoModel {
  readonly pending = new Set<number>()
  readonly masked = new Set<number>()
  readonly linked = new Set<number>()
  readonly queues: number[][][] = [0, 1].map(() => Array.from({ length: 16 }, () => []))
  readonly priority = new Map<number, number>()
  readonly vcpu = new Map<number, number>()

  send(port: number): void {
    this.pending.add(port)
    this.#link(port)
  }

  unmask(port: number): void {
    this.masked.delete(port)
    this.#link(port)
  }

  take(vcpu: number): { port: number; isEvent: boolean } | undefined {
    const queue = this.queues[vcpu]?.find((ports) => ports.length > 0)
    const port = queue?.shift()
    if (port === undefined) return undefined
    this.linked.delete(port)
    const isEvent = this.pending.has(port) && !this.masked.has(port)
    if (isEvent) this.pending.delete(port)
    return { port, isEvent }
  }

  #link(port: number): void {
    if (!this.pending.has(port) || this.masked.has(port) || this.linked.has(port)) return
    this.linked.add(port)
    this.queues[this.vcpu.get(port) ?? 0]?.[this.priority.get(port) ?? 7]?.push(port)
  }
}

test('FIFO loses and invents no event, keeps to masks, and to the order within a priority', () => {
  fc.assert(
    fc.property(actions, (list) => {
      const guest = guestWithPorts(true)
      const { channels } = guest.domain
      const model = new FifoModel()
      const consumers = [0, 1].map((vcpu) => new FifoConsumer(guest, vcpu))
      const deliver = (vcpu: number) => {
        // A queue's head is looked at only once ready is 0: as the model, one port at a time.
        const taken = consumers[vcpu]?.take()
        assert.deepEqual(taken, model.take(vcpu))
        return taken !== undefined
      }
      for (const { kind, port, value } of list) {
        switch (kind) {
          case 'send':
            channels.raise(port)
            model.send(port)
            break
          case 'mask':
            guest.put32(ARRAY + 4 * port, guest.get32(ARRAY + 4 * port) | MASKED)
            model.masked.add(port)
            break
          case 'unmask':
            channels.unmask(port)
            model.unmask(port)
            break
          case 'priority':
            channels.setPriority(port, value)
            model.priority.set(port, value)
            break
          case 'move':
            channels.bindVcpu(port, value & 1)
            model.vcpu.set(port, value & 1)
            break
          case 'deliver':
            deliver(value & 1)
            break
        }
      }
      for (let port = 1; port <= PORTS; port++) {
        channels.unmask(port)
        model.unmask(port)
      }
      for (const vcpu of [0, 1]) while (deliver(vcpu)) {}
      assert.deepEqual([...model.pending], [])
    }),
    { numRuns: 150 },
  )
})

test('FIFO sets the upcall flag whenever a queue becomes ready', () => {
  fc.assert(
    fc.property(actions, (list) => {
      const guest = guestWithPorts(true)
      const { domain } = guest
      const { channels } = domain
      const consumer = new FifoConsumer(guest, 0)
      for (const { kind, port, value } of list) {
        if (kind === 'send') channels.raise(port)
        if (kind === 'priority') channels.setPriority(port, value)
        if (kind !== 'deliver') continue
        if (!domain.vcpus[0]?.info.upcallPending) {
          assert.equal(consumer.take(), undefined, 'nothing is ready without an upcall')
          continue
        }
        // The guest clears the flag first and then takes all there is.
        guest.host.hypervisor.memory.set8(domain.shared.mfn, 0, 0)
        while (consumer.take()) {}
      }
    }),
    { numRuns: 60 },
  )
})

test('hostile FIFO words and control blocks cost a bounded amount of work and break nothing', () => {
  const corruption = fc.array(
    fc.record({
      at: fc.constantFrom(ARRAY, CONTROL[0] as number, CONTROL[1] as number),
      word: fc.integer({ min: 0, max: 40 }),
      value: fc.oneof(fc.nat(0xffffffff), fc.constantFrom(LINKED, LINKED | 3, 0xffffffff, 0)),
      port: fc.integer({ min: 1, max: PORTS }),
      priority: fc.integer({ min: 0, max: 15 }),
    }),
    { maxLength: 60 },
  )
  fc.assert(
    fc.property(corruption, (list) => {
      const guest = guestWithPorts(true)
      const { channels } = guest.domain
      const others = guest.get(24 * 4096, 4 * 4096)
      for (const { at, word, value, port, priority } of list) {
        guest.put32(at + 4 * word, value)
        channels.setPriority(port, priority)
        channels.raise(port)
        channels.unmask(port)
        assert.ok(channels.isPending(port), 'its own event is pending all the same')
        channels.bindVcpu(port, priority & 1)
      }
      assert.deepEqual(guest.get(24 * 4096, 4 * 4096), others, 'nothing else is written to')
      channels.closeAll()
      assert.deepEqual(channels.boundPorts(), [])
    }),
    { numRuns: 100 },
  )
})

test('two-level events lose and invent no event and keep to masks', () => {
  fc.assert(
    fc.property(actions, (list) => {
      const guest = guestWithPorts(false)
      const { channels } = guest.domain
      const pending = new Set<number>()
      const masked = new Set<number>()
      const visible = () => new Set([...pending].filter((port) => !masked.has(port)))
      for (const { kind, port } of list) {
        switch (kind) {
          case 'send':
            channels.raise(port)
            pending.add(port)
            break
          case 'mask':
            setBit(guest, SHARED + 0xa00, port, true)
            masked.add(port)
            break
          case 'unmask':
            channels.unmask(port)
            masked.delete(port)
            break
          case 'deliver': {
            const delivered = deliverTwoLevel(guest, guest.domain)
            assert.deepEqual(delivered, visible())
            for (const each of delivered) pending.delete(each)
            break
          }
          default:
        }
      }
      assert.deepEqual(deliverTwoLevel(guest, guest.domain), visible())
    }),
    { numRuns: 150 },
  )
})

test('unmasking a port without an event raises no upcall', () => {
  for (const isFifo of [false, true]) {
    const guest = guestWithPorts(isFifo)
    if (isFifo) guest.put32(ARRAY + 4 * 3, MASKED)
    else setBit(guest, SHARED + 0xa00, 3, true)
    guest.domain.channels.unmask(3)
    assert.equal(guest.domain.vcpus[0]?.info.upcallPending, false)
    assert.equal(guest.domain.channels.isMasked(3), false)
  }
})

/** The guest's side of two-level events: flag, selector, words; without a flag it does nothing. */
function deliverTwoLevel(guest: TestGuest, domain: Domain): Set<number> {
  const found = new Set<number>()
  if (!domain.vcpus[0]?.info.upcallPending) return found
  guest.put(SHARED, new Uint8Array([0]))
  const selector = guest.get32(SHARED + 8)
  guest.put32(SHARED + 8, 0)
  if (!(selector & 1)) return found
  const ready = guest.get32(SHARED + 0x800) & ~guest.get32(SHARED + 0xa00)
  for (let port = 0; port < 32; port++) {
    if (!((ready >>> port) & 1)) continue
    setBit(guest, SHARED + 0x800, port, false)
    found.add(port)
  }
  return found
}

function setBit(guest: TestGuest, at: number, bit: number, isSet: boolean): void {
  const word = guest.get32(at)
  guest.put32(at, isSet ? word | (1 << bit) : word & ~(1 << bit))
}
