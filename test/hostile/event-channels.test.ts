// Guests that corrupt what they share with the host for event channels: bitmaps, selectors, event
// words, links, control blocks, the pages themselves. A send costs the host a bounded amount of work
// whatever is there, other domains get all of their events, and nothing outside is written to.

import assert from 'node:assert/strict'
import { performance } from 'node:perf_hooks'
import { test } from 'node:test'
import fc from 'fast-check'
import { SHUTDOWN_poweroff } from '../../src/xen/abi/sched.ts'
import * as eventAbi from '../../src/xen/abi/event-channel.ts'
import {
  __HYPERVISOR_event_channel_op,
  __HYPERVISOR_memory_op,
  DOMID_SELF,
} from '../../src/xen/abi/xen.ts'
import * as memoryAbi from '../../src/xen/abi/memory.ts'
import { EVENT_ABI_NAMES, type EventAbiName } from '../../src/xen/event-abi.ts'
import { runTraffic } from '../../src/xen/testing/event-traffic.ts'
import {
  CONSUMER_PAGES,
  type Consumer,
  consumerOf,
  FIRST_GFN,
} from '../../src/xen/testing/event-consumers.ts'
import { type TestGuest, TestHost } from '../../src/xen/testing/test-host.ts'
import { HostileHost, kernel64 } from './hostile-guest.ts'
import { Random } from './random.ts'

const PAGE = 4096
const PAGES = FIRST_GFN + CONSUMER_PAGES
const PORTS = 2048
const LINKED = 0x20000000
const PENDING = 0x80000000
/** The first page of the ABI: pending bits, or event words. */
const ABI_AT = (FIRST_GFN + 1) * PAGE
/** FIFO: the control blocks lie behind two pages of event words. */
const CONTROL_AT = ABI_AT + 2 * PAGE
/** Sends a millisecond, at the very least, whatever is in the guest's memory. */
const LEAST_SENDS_PER_MS = 20

interface Two {
  readonly bad: TestGuest
  readonly good: TestGuest
  readonly consumer: Consumer
  /** Ports of the domain under attack, and of the one beside it. */
  readonly ports: readonly number[]
  readonly goodPort: number
}

/** A hostile guest and a decent one, with the same ABI, to both of which domain 0 sends. */
function twoGuests(abi: EventAbiName): Two {
  const host = new TestHost({}, 2048)
  const make = () =>
    host.guest({ vcpus: 2, maxPort: PORTS - 1, eventAbis: [abi], maxPages: 400 }, PAGES)
  const [bad, good] = [make(), make()]
  consumerOf(abi, bad, PORTS)
  const consumer = consumerOf(abi, good, PORTS)
  const ports = Array.from({ length: 200 }, () => bad.domain.channels.allocUnbound(0))
  return { bad, good, consumer, ports, goodPort: good.domain.channels.allocUnbound(0) }
}

/** Sends to all of the hostile guest's ports, and sees that the other guest gets its event. */
function storm({ bad, good, consumer, ports, goodPort }: Two): void {
  const { channels } = bad.domain
  const start = performance.now()
  for (let round = 0; round < 5; round++) {
    for (const port of ports) {
      channels.raise(port)
      channels.unmask(port)
    }
  }
  const ms = performance.now() - start
  assert.ok(10 * ports.length > ms * LEAST_SENDS_PER_MS, `${ms.toFixed(0)} ms for a storm`)
  good.domain.channels.raise(goodPort)
  assert.deepEqual(consumer.take(0, 10), [{ port: goodPort, isEvent: true }])
}

/** The bytes of all frames but those of the hostile guest. */
function outside({ bad }: Two): Uint8Array {
  const { frames, memory } = bad.host
  const copy = memory.u8.slice()
  for (const mfn of frames.framesOf(bad.domain.domid)) copy.fill(0, mfn * PAGE, (mfn + 1) * PAGE)
  return copy
}

test('FIFO: a queue that is a loop costs a send no more than any other', () => {
  const two = twoGuests('fifo')
  const { bad, ports } = two
  for (const [i, port] of ports.entries()) {
    const next = ports[(i + 1) % 7] as number
    bad.put32(ABI_AT + 4 * port, (LINKED | next) >>> 0)
  }
  storm(two)
  for (const port of ports) bad.put32(ABI_AT + 4 * port, (LINKED | port) >>> 0)
  storm(two)
})

test('FIFO: links to anywhere are followed nowhere', () => {
  const two = twoGuests('fifo')
  storm(two)
  const before = outside(two)
  for (const link of [0x1ffff, 0x1fffe, 2047, 1, 0]) {
    for (const port of two.ports) two.bad.put32(ABI_AT + 4 * port, (LINKED | link) >>> 0)
    two.bad.domain.channels.raise(two.ports[3] as number)
  }
  assert.deepEqual(outside(two), before)
  storm(two)
})

test('FIFO: LINKED bits that are cleared under the host start a queue anew', () => {
  const two = twoGuests('fifo')
  const [a, b, c] = two.ports as [number, number, number]
  const { channels } = two.bad.domain
  channels.raise(a)
  channels.raise(b)
  two.bad.put32(ABI_AT + 4 * b, PENDING)
  channels.raise(c)
  assert.equal(two.bad.get32(CONTROL_AT + 8 + 4 * 7), c, 'the head names the port that came last')
  assert.equal(two.bad.get32(ABI_AT + 4 * c) >>> 29, 0b101)
  storm(two)
})

test("FIFO: a control block of garbage, or none any more, is the guest's own loss", () => {
  const two = twoGuests('fifo')
  for (const value of [0xffffffff, 0, 0x1ffff]) {
    for (let i = 0; i < 18; i++) two.bad.put32(CONTROL_AT + 4 * i, value)
    storm(two)
  }
})

test("FIFO: one page for everything is the guest's own loss", () => {
  const host = new TestHost({}, 2048)
  const bad = host.guest({ maxPort: PORTS - 1, maxPages: 400 }, PAGES)
  const gfn = 40n
  assert.equal(bad.domain.events.initControl(gfn, 0, 0), 0)
  assert.equal(bad.domain.events.initControl(gfn, 0, 1), 0)
  for (let i = 0; i < 128; i++) assert.equal(bad.domain.events.expandArray(gfn), 0)
  const { channels } = bad.domain
  for (let i = 0; i < 1500; i++) channels.raise(channels.allocUnbound(0))
  bad.domain.events.reset()
  const frame = bad.domain.physMap.ramAt(40)
  assert.equal(host.frames.count[host.frames.indexOf(frame as never)], 1)
})

test('control blocks and selectors that are absent, unaligned or across pages are refused', () => {
  for (const abi of ['3l', 'fifo'] as const) {
    const { events } = new TestHost().guest({ eventAbis: [abi] }).domain
    const pages = (from: number) => Array.from({ length: 8 }, (_, i) => BigInt(from + i))
    if (abi === '3l') assert.equal(events.registerBitmaps(pages(20), pages(28)), 0)
    const give = (gfn: bigint, offset: number, vcpu = 0) =>
      abi === '3l'
        ? events.registerSelector(vcpu, gfn, BigInt(offset))
        : events.initControl(gfn, offset, vcpu)
    for (const gfn of [64n, 0xfee00n, 1n << 40n, (1n << 64n) - 1n]) assert.ok(give(gfn, 0) < 0)
    for (const offset of [1, 4, 4095, 4090, 4096, 0xffffffff, 0xfffffff8]) {
      assert.ok(give(40n, offset) < 0, `offset ${offset}`)
    }
    for (const vcpu of [2, 0x7fffffff, 0xffffffff]) assert.ok(give(40n, 0, vcpu) < 0)
    assert.equal(give(40n, 0), 0)
  }
})

for (const abi of EVENT_ABI_NAMES) {
  test(`${abi}: whatever is written where the host writes, only that guest's events suffer`, () => {
    const corruption = fc.array(
      fc.record({
        page: fc.integer({ min: 0, max: 20 }),
        word: fc.integer({ min: 0, max: 1023 }),
        value: fc.oneof(fc.nat(0xffffffff), fc.constantFrom(LINKED, PENDING, 0xffffffff, 0)),
        port: fc.nat(199),
        vcpu: fc.integer({ min: 0, max: 1 }),
        priority: fc.integer({ min: 0, max: 15 }),
      }),
      { maxLength: 80 },
    )
    fc.assert(
      fc.property(corruption, (list) => {
        const two = twoGuests(abi)
        const { channels } = two.bad.domain
        const before = outside(two)
        for (const { page, word, value, port, vcpu, priority } of list) {
          two.bad.put32((FIRST_GFN + page) * PAGE + 4 * word, value)
          const number = two.ports[port] as number
          channels.setPriority(number, priority)
          channels.raise(number)
          channels.unmask(number)
          channels.bindVcpu(number, vcpu)
        }
        assert.deepEqual(outside(two), before)
        storm(two)
        two.bad.domain.events.reset()
        assert.deepEqual(channels.boundPorts(), [])
        assert.equal(two.bad.domain.events.guestPages, 0)
      }),
      { numRuns: 25 },
    )
  })

  test(`${abi}: pages that the guest gives back while the host uses them go to nobody else`, () => {
    const two = twoGuests(abi)
    const { bad } = two
    storm(two)
    for (let gfn = FIRST_GFN + 1; gfn < FIRST_GFN + 20; gfn++) {
      bad.put(0x9000, new Uint8Array(new BigUint64Array([BigInt(gfn)]).buffer))
      const { result } = bad.operate(
        __HYPERVISOR_memory_op,
        memoryAbi.XENMEM_decrease_reservation,
        memoryAbi.xen_memory_reservation,
        { extent_start: 0x9000n, nr_extents: 1n, domid: DOMID_SELF },
      )
      assert.equal(result, 1)
    }
    const heir = bad.host.guest({ maxPages: 64 }, 64)
    const fresh = heir.get(0, 64 * PAGE)
    storm(two)
    assert.deepEqual(heir.get(0, 64 * PAGE), fresh)
    const free = bad.host.frames.freeFrames
    const owned = bad.host.frames.framesOf(bad.domain.domid).length
    bad.domain.physMap.set(FIRST_GFN, -1, 1)
    bad.host.hypervisor.destroyDomain(bad.domain)
    assert.equal(bad.host.frames.freeFrames, free + owned)
  })
}

test('numbers of ports, processors and priorities that are none are refused by every operation', () => {
  for (const abi of EVENT_ABI_NAMES) {
    const { bad } = twoGuests(abi)
    const random = new Random(9)
    for (let i = 0; i < 3000; i++) {
      const word = () => (random.below(2) ? Number(random.wild() & 0xffffffffn) : random.below(300))
      const { channels } = bad.domain
      channels.send(word())
      channels.unmask(word())
      channels.bindVcpu(word(), word())
      channels.setPriority(word(), word())
      channels.bindIpi(word())
      channels.bindVirq(word(), word())
      channels.bindInterdomain(word(), word())
      channels.close(word())
    }
    assert.ok(bad.domain.channels.boundPorts().every((port) => port < PORTS))
  }
})

test('a reset of 262,143 ports is done in goes, and each call for a port that is hard to find is paid for', () => {
  const host = new TestHost({}, 512)
  const bad = host.guest({ eventAbis: ['3l'], maxPort: 2 ** 18 - 1, maxPages: 300 }, PAGES)
  consumerOf('3l', bad, 2 ** 18)
  const { channels } = bad.domain
  while (channels.bindIpi(0) >= 0) {}
  const processor = bad.processor()
  const before = processor.effort
  const bind = () =>
    bad.operate(
      __HYPERVISOR_event_channel_op,
      eventAbi.EVTCHNOP_bind_ipi,
      eventAbi.evtchn_bind_ipi,
      {
        vcpu: 0,
      },
    ).result
  channels.close(5)
  assert.equal(bind(), 0)
  assert.ok(bind() < 0)
  assert.ok(processor.effort - before > 4000, `${processor.effort - before} units of effort`)
  const start = processor.effort
  assert.equal(
    bad.operate(__HYPERVISOR_event_channel_op, eventAbi.EVTCHNOP_reset, eventAbi.evtchn_reset, {
      dom: DOMID_SELF,
    }).result,
    0,
  )
  assert.ok(processor.effort - start > 60 * 2000, 'more than sixty goes')
  assert.deepEqual(channels.boundPorts(), [])
  assert.equal(channels.abi.name, '2-level')
})

test('a guest that ties its queue into a loop before each send harms nobody', async () => {
  const host = new HostileHost()
  const source = `main:
    mov qword [SCRATCH], 0x310          ; init_control: the page of SCRATCH + 0x10000
    mov qword [SCRATCH + 8], 0
    mov edi, 11
    mov esi, SCRATCH
    mov eax, __HYPERVISOR_event_channel_op
    vmcall
    test rax, rax
    jnz crash
    mov qword [SCRATCH], 0x320          ; expand_array
    mov edi, 12
    mov esi, SCRATCH
    mov eax, __HYPERVISOR_event_channel_op
    vmcall
    test rax, rax
    jnz crash
    mov ebx, 100
  .bind:
    mov dword [SCRATCH], 0              ; bind_ipi
    mov edi, 7
    mov esi, SCRATCH
    mov eax, __HYPERVISOR_event_channel_op
    vmcall
    dec ebx
    jnz .bind
    mov ebp, 20000
  .again:
    mov eax, ebp                        ; every word linked to the next one, in a circle
    and eax, 63
    lea ecx, [eax + 1]
    and ecx, 63
    or ecx, 0x20000000
    mov [0x320000 + rax * 4], ecx
    mov [SCRATCH], eax                  ; send
    mov edi, 4
    mov esi, SCRATCH
    mov eax, __HYPERVISOR_event_channel_op
    vmcall
    dec ebp
    jnz .again
    jmp power_off`
  const outcome = await host.run(kernel64(source))
  assert.deepEqual([outcome.state, outcome.reason], ['ended', SHUTDOWN_poweroff])
  // The host is as good as before: events of another domain go their way.
  const counts = runTraffic({ abi: 'fifo', ports: 1024, active: 20, steps: 2000, seed: 3 })
  assert.ok(counts.delivered > 200)
})
