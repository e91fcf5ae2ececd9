// Frontends that break the protocol in every way that the ring and xenstore allow. The backend refuses,
// says so once, changes nothing that it should not, and goes on serving others.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import * as abi from '../../xen/abi/blkif.ts'
import { MemoryStorage } from './memory-storage.ts'
import { RawImage } from './raw.ts'
import { BlockTestHost, type TestFrontend, type TestRequest } from './test-frontend.ts'

const { BLKIF_OP_READ: READ, BLKIF_OP_WRITE: WRITE, BLKIF_OP_INDIRECT: INDIRECT } = abi
const SECTORS = 256

interface Guest {
  readonly frontend: TestFrontend
  readonly storage: MemoryStorage
  readonly troubles: string[]
}

function guestOn(host: BlockTestHost): Guest {
  const storage = new MemoryStorage(new Uint8Array(SECTORS * 512).fill(0x5a))
  const troubles: string[] = []
  const frontend = host.frontend({
    image: new RawImage(storage),
    hasPersistentGrants: true,
    onComplaint: (text) => troubles.push(text),
  })
  return { frontend, storage, troubles }
}

/** A bad guest and a good one on the same host. */
function pair(): { bad: Guest; good: Guest } {
  const host = new BlockTestHost()
  const bad = guestOn(host)
  const good = guestOn(host)
  good.frontend.connect()
  return { bad, good }
}

/** The good guest is served as if nothing had been. */
function assertServed({ frontend, storage, troubles }: Guest, mark: number): void {
  frontend.guest.put(frontend.dataAddress(0), new Uint8Array(4096).fill(mark))
  const segments = [{ ref: frontend.dataRef(0), first: 0, last: 7 }]
  const [response] = frontend.submit([{ operation: WRITE, sector: 16, segments }])
  assert.equal(response?.status, abi.BLKIF_RSP_OKAY)
  assert.deepEqual(storage.contents().subarray(8192, 12288), new Uint8Array(4096).fill(mark))
  assert.deepEqual(troubles, [])
}

const untouched = new Uint8Array(SECTORS * 512).fill(0x5a)

const BAD_REQUESTS: readonly (readonly [string, (f: TestFrontend) => TestRequest])[] = [
  ['a grant that does not exist', () => write([{ ref: 70, first: 0, last: 7 }])],
  ['a grant beyond the table', () => write([{ ref: 0xffffffff, first: 0, last: 7 }])],
  ['a second segment that is not granted', (f) => write([ok(f), { ref: 71, first: 0, last: 7 }])],
  ['a segment that ends before it starts', (f) => write([{ ...ok(f), first: 4, last: 3 }])],
  ['a segment beyond its page', (f) => write([{ ...ok(f), first: 0, last: 8 }])],
  ['a segment of 256 sectors', (f) => write([{ ...ok(f), first: 0, last: 255 }])],
  ['no segments', () => write([])],
  ['more segments than a request holds', (f) => ({ ...write([ok(f)]), segmentCount: 12 })],
  ['255 segments', (f) => ({ ...write([ok(f)]), segmentCount: 255 })],
  ['the sector behind the last', (f) => ({ ...write([ok(f)]), sector: SECTORS - 7 })],
  ['the last of all sectors', (f) => ({ ...write([ok(f)]), sector: 2n ** 64n - 1n })],
  ['a sector that wraps around', (f) => ({ ...write([ok(f)]), sector: 2n ** 64n - 8n })],
  ['a sector beyond what a number can tell', (f) => ({ ...write([ok(f)]), sector: 2n ** 53n })],
  ['an operation that there is not', (f) => ({ ...write([ok(f)]), operation: 4 })],
  ['operation 255', (f) => ({ ...write([ok(f)]), operation: 255 })],
  ['257 indirect segments', (f) => indirect(f, { segmentCount: 257 })],
  ['65535 indirect segments', (f) => indirect(f, { segmentCount: 65535 })],
  ['no indirect segments', (f) => indirect(f, { segmentCount: 0 })],
  ['an indirect request in an indirect one', (f) => indirect(f, { indirect: INDIRECT })],
  ['an indirect flush', (f) => indirect(f, { indirect: abi.BLKIF_OP_FLUSH_DISKCACHE })],
  ['an indirect discard', (f) => indirect(f, { indirect: abi.BLKIF_OP_DISCARD })],
  ['pages of segments that are not granted', (f) => indirect(f, { indirectRefs: [77] })],
  [
    'segments that are no segments',
    (f) => indirect(f, { indirectRefs: [f.dataRef(9)], segmentCount: 256 }),
  ],
]

const ok = (f: TestFrontend) => ({ ref: f.dataRef(0), first: 0, last: 7 })

function write(segments: NonNullable<TestRequest['segments']>): TestRequest {
  return { operation: WRITE, sector: 0, segments }
}

function indirect(f: TestFrontend, more: Partial<TestRequest>): TestRequest {
  return { operation: INDIRECT, indirect: WRITE, sector: 0, segments: [ok(f)], ...more }
}

for (const [title, make] of BAD_REQUESTS) {
  test(`a request is answered with an error and nothing is written: ${title}`, () => {
    for (const isPersistent of [false, true]) {
      const { bad, good } = pair()
      bad.frontend.connect({ isPersistent })
      bad.frontend.guest.put(bad.frontend.dataAddress(9), new Uint8Array(4096).fill(0xee))
      const request = make(bad.frontend)
      const [response] = bad.frontend.submit([request])
      assert.equal(response?.status, abi.BLKIF_RSP_ERROR)
      assert.deepEqual(bad.storage.contents(), untouched)
      if (request.operation === WRITE) {
        const [read] = bad.frontend.submit([{ ...request, operation: READ }])
        assert.equal(read?.status, abi.BLKIF_RSP_ERROR)
      }
      assertServed(good, 1)
      // A request that cannot be is an error to its guest; the ring goes on.
      const [after] = bad.frontend.submit([write([ok(bad.frontend)])])
      assert.equal(after?.status, abi.BLKIF_RSP_OKAY)
    }
  })
}

test('a grant is looked at for each request: what was taken back is not used', () => {
  const { bad } = pair()
  bad.frontend.connect()
  const request = write([ok(bad.frontend)])
  assert.equal(bad.frontend.submit([request])[0]?.status, abi.BLKIF_RSP_OKAY)
  // Granted to another domain.
  bad.frontend.grant(bad.frontend.dataRef(0), 128, 5)
  assert.equal(bad.frontend.submit([request])[0]?.status, abi.BLKIF_RSP_ERROR)
  // Read-only: may be written to the disk, but not read from it.
  const { entries } = bad.frontend.guest.domain.grants
  bad.frontend.grant(bad.frontend.dataRef(0), 128)
  const raw = entries.raw(bad.frontend.dataRef(0))
  raw[0] = (raw[0] ?? 0) | 4
  entries.writeRaw(bad.frontend.dataRef(0), raw)
  assert.equal(bad.frontend.submit([request])[0]?.status, abi.BLKIF_RSP_OKAY)
  const read = { ...request, operation: READ }
  assert.equal(bad.frontend.submit([read])[0]?.status, abi.BLKIF_RSP_ERROR)
})

test('a ring whose index runs ahead is stopped, told once, and its pages are given back', () => {
  for (const ahead of [33, 1000, 0x80000000, 0xffffffff]) {
    const { bad, good } = pair()
    bad.frontend.connect()
    bad.frontend.submit([write([ok(bad.frontend)])])
    bad.frontend.poke('req_prod', (1 + ahead) >>> 0)
    for (let i = 0; i < 3; i++) bad.frontend.kick()
    assert.equal(bad.troubles.length, 1, String(ahead))
    assert.match(bad.troubles[0] ?? '', /xvda: the frontend broke the protocol/)
    assert.equal(bad.frontend.backend('state'), '5')
    assert.equal(bad.frontend.guest.domain.grants.activeGrants().length, 0)
    assertServed(good, 2)
    // It may come back with a ring that is one.
    bad.frontend.write('state', 6)
    bad.frontend.write('state', 1)
    bad.frontend.connect()
    assert.equal(bad.frontend.submit([write([ok(bad.frontend)])])[0]?.status, 0)
  }
})

const BAD_TERMS: readonly (readonly [string, string, RegExp])[] = [
  ['ring-ref', '4294967295', /grant 4294967295, is not granted/],
  ['ring-ref', '71', /not granted/],
  ['ring-ref', '-1', /ring-ref is no grant reference/],
  ['ring-ref', '8.5', /no grant reference/],
  ['ring-ref', '1e1', /no grant reference/],
  ['ring-ref', '99999999999999999999', /no grant reference/],
  ['ring-ref', '', /no grant reference/],
  ['event-channel', '0', /cannot be bound/],
  ['event-channel', '1000', /cannot be bound/],
  ['event-channel', '4294967295', /cannot be bound/],
  ['event-channel', 'x', /no port/],
  ['ring-page-order', '5', /too large/],
  ['ring-page-order', '4294967295', /too large/],
  ['ring-page-order', 'one', /too large/],
  ['ring-page-order', '2', /no grant reference/],
  ['multi-queue-num-queues', '0', /not a number of queues/],
  ['multi-queue-num-queues', '5', /not a number of queues/],
  ['multi-queue-num-queues', '1000000000', /not a number of queues/],
  ['multi-queue-num-queues', '2', /no port/],
  ['protocol', 'arm-abi', /ABI/],
  ['protocol', '__proto__', /ABI/],
]

test('terms that cannot be are refused in a sentence, and nothing is held', () => {
  for (const [key, value, message] of BAD_TERMS) {
    const { bad, good } = pair()
    const { channels } = bad.frontend.guest.domain
    bad.frontend.grant(8, 32)
    bad.frontend.write('ring-ref', 8)
    bad.frontend.write('event-channel', channels.allocUnbound(0))
    bad.frontend.write(key, value)
    bad.frontend.write('state', 3)
    assert.equal(bad.frontend.backend('state'), '5', `${key} ${value}`)
    assert.equal(bad.troubles.length, 1)
    assert.match(bad.troubles[0] ?? '', message, `${key} ${value}`)
    assert.equal(bad.frontend.guest.domain.grants.activeGrants().length, 0)
    assertServed(good, 3)
    bad.frontend.device.close()
  }
})

test('two queues with one event channel are refused, and the first lets go', () => {
  const { bad } = pair()
  const port = bad.frontend.guest.domain.channels.allocUnbound(0)
  bad.frontend.write('multi-queue-num-queues', 2)
  for (const queue of [0, 1]) {
    bad.frontend.grant(8 + queue, 32 + queue)
    bad.frontend.write(`queue-${queue}/ring-ref`, 8 + queue)
    bad.frontend.write(`queue-${queue}/event-channel`, port)
  }
  bad.frontend.write('state', 3)
  assert.equal(bad.frontend.backend('state'), '5')
  assert.equal(bad.frontend.guest.domain.grants.activeGrants().length, 0)
})

test('whatever lies in the ring, each request gets one answer and others are served', () => {
  fc.assert(
    fc.property(
      fc.array(fc.uint8Array({ minLength: 112, maxLength: 112 }), { minLength: 1, maxLength: 20 }),
      fc.constantFrom(0, 1, 2, 3, 5, 6, 7),
      fc.boolean(),
      (entries, operation, isPersistent) => {
        const { bad, good } = pair()
        bad.frontend.connect({ isPersistent })
        const ring = 32 * 4096 + 64
        for (const [i, entry] of entries.entries()) {
          entry[0] = i % 2 ? operation : (entry[0] ?? 0)
          bad.frontend.guest.put(ring + i * 112, entry)
        }
        bad.frontend.poke('req_prod', entries.length)
        bad.frontend.kick()
        assert.equal(bad.frontend.peek('rsp_prod'), entries.length)
        assert.deepEqual(bad.storage.contents(), untouched)
        assertServed(good, 4)
      },
    ),
    { numRuns: 60, seed: 1 },
  )
})

test('whatever a frontend writes into xenstore and its indices, nothing breaks', () => {
  const key = fc.constantFrom(
    ...['state', 'state', 'state', 'ring-ref', 'event-channel', 'protocol', 'ring-page-order'],
    ...['multi-queue-num-queues', 'feature-persistent', 'queue-0/ring-ref', 'ring-ref0'],
  )
  const value = fc.constantFrom(
    ...['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', '-1', '', 'x', '4294967296'],
  )
  const index = fc.constantFrom('req_prod', 'req_event', 'rsp_prod', 'rsp_event')
  const step = fc.oneof(
    fc.tuple(fc.constant('store'), key, value),
    fc.tuple(fc.constant('index'), index, fc.constantFrom('0', '1', '5', '4294967295')),
    fc.tuple(fc.constant('connect'), index, value),
    fc.tuple(fc.constant('remove'), key, value),
  )
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const { bad, good } = pair()
      for (const [what, name, text] of steps) {
        if (what === 'store') bad.frontend.write(name, text)
        else if (what === 'connect') bad.frontend.connect()
        else if (what === 'remove')
          bad.frontend.host.xenstore.remove(`${bad.frontend.paths.front}/${name}`)
        else bad.frontend.poke(name, Number(text))
        bad.frontend.host.settle()
      }
      assertServed(good, 5)
      bad.frontend.device.close()
      assert.equal(bad.frontend.guest.domain.grants.activeGrants().length, 0)
      assert.ok(bad.troubles.length <= 2)
    }),
    { numRuns: 150, seed: 2 },
  )
})
