import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { xenstore_domain_interface } from './ring.ts'
import { guestOn, TestPage } from './test-clients.ts'
import {
  bytesOf,
  decodeStrings,
  encodeMessage,
  encodeStrings,
  type Message,
  textOf,
  XS_DIRECTORY,
  XS_ERROR,
  XS_READ,
  XS_WATCH,
  XS_WATCH_EVENT,
  XS_WRITE,
} from './wire.ts'
import { Xenstored } from './xenstored.ts'

const ZERO = { domid: 0, isPrivileged: true }

function boot() {
  const daemon = new Xenstored()
  const page = new TestPage()
  // The page of a domain is zero when it is built.
  const ring = daemon.introduceDomain(5, page)
  daemon.store.makeNode(ZERO, '/local/domain/5')
  daemon.store.setPermissions(ZERO, '/local/domain/5', [{ domid: 5, access: 'n' }])
  const guest = guestOn(page, () => ring.onEvent())
  const request = (type: number, payload: Uint8Array, requestId = 1): Message => {
    return { type, requestId, transactionId: 0, payload }
  }
  return { daemon, page, ring, guest, request }
}

test('the words of the page lie where xs_wire.h puts them', () => {
  const words = ['req_cons', 'req_prod', 'rsp_cons', 'rsp_prod'] as const
  assert.deepEqual(
    words.map((w) => xenstore_domain_interface.offsetOf(w)),
    [2048, 2052, 2056, 2060],
  )
  const later = ['server_features', 'connection', 'error'] as const
  assert.deepEqual(
    later.map((w) => xenstore_domain_interface.offsetOf(w)),
    [2064, 2068, 2072],
  )
})

test('a new ring says which features it has and that it is connected', () => {
  const { page } = boot()
  const { server_features, connection, error } = xenstore_domain_interface.read(page.page(), 0)
  assert.deepEqual(
    { server_features, connection, error },
    {
      server_features: 3,
      connection: 0,
      error: 0,
    },
  )
})

test('a guest writes, reads and lists through its ring, and is notified', () => {
  const { page, guest, request } = boot()
  guest.send(request(XS_WRITE, bytesOf('data/x\0hello')))
  guest.send(request(XS_READ, encodeStrings('data/x'), 2))
  guest.send(request(XS_DIRECTORY, encodeStrings('data'), 3))
  assert.deepEqual(
    guest.pull().map((m) => [m.requestId, textOf(m.payload)]),
    [
      [1, 'OK\0'],
      [2, 'hello'],
      [3, 'x\0'],
    ],
  )
  assert.equal(page.notifications, 3)
})

test('messages larger than the ring go through it in parts, both ways', () => {
  const { daemon, guest, request } = boot()
  daemon.store.write(ZERO, '/local/domain/5/big', bytesOf('y'.repeat(4000)))
  guest.send(request(XS_READ, encodeStrings('big')))
  assert.equal(textOf(guest.pull()[0]?.payload ?? new Uint8Array()), 'y'.repeat(4000))
  guest.send(request(XS_WRITE, bytesOf(`small\0${'z'.repeat(2000)}`)))
  while (guest.unsent > 0) guest.push()
  assert.equal(textOf(guest.pull()[0]?.payload ?? new Uint8Array()), 'OK\0')
  assert.deepEqual(daemon.store.read(ZERO, '/local/domain/5/small'), bytesOf('z'.repeat(2000)))
})

test('the hook is told of every byte that the daemon writes', () => {
  const { page, guest, request } = boot()
  for (let i = 0; i < 40; i++) {
    const before = page.bytes.slice()
    page.writes.length = 0
    guest.send(request(XS_READ, encodeStrings(`data/${'n'.repeat(i)}`)))
    // What the guest itself wrote: the request and its producer index.
    const told = new Set(
      page.writes.flatMap(([at, n]) => Array.from({ length: n }, (_, k) => at + k)),
    )
    for (const [at, byte] of page.bytes.entries()) {
      const isGuests = at < 1024 || (at >= 2052 && at < 2060)
      if (byte !== before[at] && !isGuests) assert.ok(told.has(at), `byte ${at}`)
    }
    guest.pull()
  }
})

test('answers that find no room wait, and requests then wait too', () => {
  const { guest, page, ring, request } = boot()
  const requests = 100
  for (let i = 0; i < requests; i++) guest.send(request(XS_READ, encodeStrings('x'.repeat(30)), i))
  assert.ok(ring.connection.isBackedUp)
  assert.ok(ring.connection.output.replies <= 20)
  const unread = page.page().getUint32(2052, true) - page.page().getUint32(2048, true)
  assert.ok(unread > 0, 'requests are left in the ring')
  const got: number[] = []
  for (let isMore = true; isMore; ) {
    const news = guest.pull()
    got.push(...news.map((m) => m.requestId))
    isMore = guest.push() || news.length > 0
  }
  assert.deepEqual(
    got,
    Array.from({ length: requests }, (_, i) => i),
  )
})

test('events that a guest does not read are held once each and bounded', () => {
  const { daemon, guest, ring, request } = boot()
  guest.send(request(XS_WATCH, encodeStrings('/local/domain/5', 'home')))
  const child = (i: number) => `/local/domain/5/${i}${'n'.repeat(200)}`
  for (let i = 0; i < 100; i++) daemon.store.write(ZERO, child(0), bytesOf(String(i)))
  assert.equal(ring.connection.output.save().messages.length, 1)
  for (let i = 0; i < 12_000; i++) {
    daemon.store.makeNode(ZERO, child(i))
    daemon.store.remove(ZERO, child(i))
  }
  const size = ring.connection.output.save().messages.reduce((sum, m) => sum + m.length, 0)
  assert.ok(size <= (2 << 20) + 5000, `${size} bytes`)
  assert.ok(ring.connection.output.dropped > 0)
})

test('indices that no ring can have end the connection, and the page says why', () => {
  const broken: [word: 'req_prod' | 'rsp_cons' | 'rsp_prod' | 'req_cons', value: number][] = [
    ['req_prod', 1025],
    ['req_prod', 0x80000000],
    ['req_prod', 0xffffffff],
    ['rsp_cons', 1],
    ['rsp_cons', 0x7fffffff],
    ['rsp_prod', 1025],
    ['req_cons', 1],
  ]
  for (const [word, value] of broken) {
    const { daemon, page, guest, ring, request } = boot()
    guest.send(request(XS_WATCH, encodeStrings('/local/domain/5', 'token')))
    guest.pull()
    for (const index of ['req_cons', 'req_prod', 'rsp_cons', 'rsp_prod'] as const) {
      guest.set(index, 0)
    }
    guest.set(word, value)
    page.notifications = 0
    ring.onEvent()
    assert.equal(guest.get('error'), 2, `${word} ${value}`)
    assert.ok(ring.isBroken)
    assert.equal(page.notifications, 1)
    const before = page.bytes.slice()
    daemon.store.write(ZERO, '/local/domain/5/x', bytesOf('1'))
    daemon.settle()
    ring.onEvent()
    assert.deepEqual(page.bytes, before, 'nothing is written to a broken ring')
  }
})

test('a payload that is announced too long ends the connection', () => {
  const { guest, ring, page } = boot()
  const header = encodeMessage({
    type: XS_READ,
    requestId: 1,
    transactionId: 0,
    payload: new Uint8Array(),
  })
  new DataView(header.buffer).setUint32(12, 4097, true)
  page.bytes.set(header, 0)
  guest.set('req_prod', 16)
  ring.onEvent()
  assert.equal(guest.get('error'), 3)
  assert.ok(ring.isBroken)
})

test('a ring whose indices have passed 2^32 goes on', () => {
  const { guest, ring, request } = boot()
  const start = 0xffffffe0
  for (const index of ['req_cons', 'req_prod', 'rsp_cons', 'rsp_prod'] as const) {
    guest.set(index, start)
  }
  for (let i = 0; i < 20; i++) {
    guest.send(request(XS_READ, encodeStrings('none'), i))
    assert.deepEqual(
      guest.pull().map((m) => [m.type, m.requestId, decodeStrings(m.payload)[0]]),
      [[XS_ERROR, i, 'ENOENT']],
    )
  }
  assert.ok(guest.get('req_cons') < start)
  assert.ok(!ring.isBroken)
})

test('a guest that asks to reconnect gets an empty ring and has no watches any more', () => {
  const { daemon, guest, ring, page, request } = boot()
  guest.send(request(XS_WATCH, encodeStrings('/local/domain/5', 'old')))
  guest.set('req_prod', 5000)
  ring.onEvent()
  assert.ok(ring.isBroken)
  guest.set('connection', 1)
  ring.onEvent()
  assert.equal(guest.get('connection'), 0)
  assert.equal(guest.get('error'), 0)
  const fresh = guestOn(page, () => ring.onEvent())
  fresh.send(request(XS_WATCH, encodeStrings('/local/domain/5', 'new')))
  daemon.store.write(ZERO, '/local/domain/5/x', bytesOf('1'))
  daemon.settle()
  const events = fresh.pull().filter((m) => m.type === XS_WATCH_EVENT)
  assert.deepEqual(
    events.map((m) => decodeStrings(m.payload)),
    [
      ['/local/domain/5', 'new'],
      ['/local/domain/5/x', 'new'],
    ],
  )
})

test('whatever a guest writes into its page, the daemon neither throws nor hangs', () => {
  fc.assert(
    fc.property(
      fc.array(
        fc.oneof(
          fc.tuple(fc.integer({ min: 0, max: 1023 }), fc.uint8Array({ maxLength: 64 })),
          fc.tuple(fc.integer({ min: 2048, max: 2075 }), fc.uint8Array({ maxLength: 4 })),
          fc.tuple(
            fc.constant(2052),
            fc.tuple(fc.nat(255), fc.nat(4)).map((b) => Uint8Array.from(b)),
          ),
          fc.tuple(fc.constant(2068), fc.constant(Uint8Array.of(1, 0, 0, 0))),
        ),
        { maxLength: 30 },
      ),
      (writes) => {
        const { page, ring } = boot()
        for (const [at, bytes] of writes) {
          page.bytes.set(bytes, at)
          ring.onEvent()
        }
      },
    ),
    { numRuns: 500 },
  )
})
