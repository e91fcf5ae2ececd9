import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { Permission } from './permissions.ts'
import { guestOn, ringClient, streamClient, TestPage } from './test-clients.ts'
import * as wire from './wire.ts'
import { Xenstored } from './xenstored.ts'

const ZERO = { domid: 0, isPrivileged: true }

/** A daemon with a client of domain 0 and guests whose homes are theirs. */
function boot(...domids: number[]) {
  const daemon = new Xenstored()
  const guests = domids.map((domid) => {
    const page = new TestPage()
    daemon.introduceDomain(domid, page)
    const home = `/local/domain/${domid}`
    daemon.store.makeNode(ZERO, home)
    daemon.store.setPermissions(ZERO, home, [{ domid, access: 'n' }])
    return ringClient(daemon, domid, page)
  })
  return { daemon, zero: streamClient(daemon), guests }
}

function events(messages: readonly wire.Message[]): string[] {
  return messages
    .filter((m) => m.type === wire.XS_WATCH_EVENT)
    .map((m) => wire.decodeStrings(m.payload).join(' '))
}

/** A request that makes sense often enough to get somewhere. */
const paths = fc.constantFrom('x', 'x/y', 'z', '/shared', '/shared/a', '/local/domain/5', '/')
const tokens = fc.constantFrom('t', 'u')
const requests = fc.oneof(
  fc.tuple(paths, fc.string({ maxLength: 300 })).map(([path, value]) => ({
    type: wire.XS_WRITE,
    payload: wire.bytesOf(`${path}\0${value}`),
  })),
  fc
    .tuple(
      fc.constantFrom(
        wire.XS_READ,
        wire.XS_DIRECTORY,
        wire.XS_RM,
        wire.XS_MKDIR,
        wire.XS_GET_PERMS,
      ),
      paths,
    )
    .map(([type, path]) => ({ type, payload: wire.encodeStrings(path) })),
  fc
    .tuple(fc.constantFrom(wire.XS_WATCH, wire.XS_UNWATCH), paths, tokens)
    .map(([type, path, token]) => ({ type, payload: wire.encodeStrings(path, token) })),
  fc.constant({ type: wire.XS_TRANSACTION_START, payload: wire.encodeStrings('') }),
  fc
    .constantFrom('T', 'F')
    .map((end) => ({ type: wire.XS_TRANSACTION_END, payload: wire.encodeStrings(end) })),
  fc.constantFrom('b0', 'r5', 'n6').map((permission) => ({
    type: wire.XS_SET_PERMS,
    payload: wire.encodeStrings('x', permission),
  })),
)

const steps = fc.array(
  fc.record({
    guest: fc.constantFrom(5, 6),
    request: requests,
    transactionId: fc.constantFrom(0, 0, 1, 2),
    /** Whether the guest reads its answers after this step. */
    reads: fc.boolean(),
  }),
  { maxLength: 60 },
)

test('a daemon that is saved and restored in the middle goes on as if it had not been', () => {
  fc.assert(
    fc.property(steps, fc.nat(60), (script, saveAt) => {
      const run = (savesAt: number | undefined): string[] => {
        let { daemon } = boot()
        daemon.store.makeNode(ZERO, '/shared')
        daemon.store.setPermissions(ZERO, '/shared', [{ domid: 0, access: 'b' }])
        const pages = new Map([5, 6].map((domid) => [domid, new TestPage()]))
        const guests = new Map(
          [...pages].map(([domid, page]) => {
            daemon.introduceDomain(domid, page)
            const home: [Permission] = [{ domid, access: 'n' }]
            daemon.store.makeNode(ZERO, `/local/domain/${domid}`)
            daemon.store.setPermissions(ZERO, `/local/domain/${domid}`, home)
            return [domid, guestOn(page, () => daemon.ringOf(domid)?.onEvent())]
          }),
        )
        const log: string[] = []
        const read = (domid: number): void => {
          for (const m of guests.get(domid)?.pull() ?? []) {
            log.push(`${domid} ${m.type} ${m.requestId} ${wire.textOf(m.payload)}`)
          }
        }
        for (const [i, { guest, request, transactionId, reads }] of script.entries()) {
          if (i === savesAt) {
            const state = structuredClone(daemon.save())
            daemon = new Xenstored()
            daemon.restore(state, (domid) => pages.get(domid) ?? new TestPage())
          }
          guests.get(guest)?.send({ ...request, requestId: i, transactionId })
          if (reads) read(guest)
        }
        for (const domid of [5, 6, 5, 6]) read(domid)
        return log
      }
      assert.deepEqual(run(saveAt), run(undefined))
    }),
    { numRuns: 200 },
  )
})

test('random bytes on a stream never make the daemon throw, and do not stay in memory', () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 100 }), { maxLength: 20 }), (chunks) => {
      const { daemon } = boot(5)
      let isOpen = true
      const client = daemon.connect({
        send: () => {},
        close: () => {
          isOpen = false
        },
      })
      for (const chunk of chunks) client.receive(chunk)
      if (isOpen) client.close()
    }),
  )
})

test('requests with random types and payloads get exactly one answer each', () => {
  const payload = fc.oneof(
    fc.uint8Array({ maxLength: 60 }),
    fc
      .array(fc.constantFrom('/', 'a', '/a/b', '5', 'r5', 'T', '', '@introduceDomain'))
      .map((strings) => wire.encodeStrings(...strings)),
  )
  const random = fc.tuple(fc.nat(24), fc.constantFrom(0, 1, 77), payload, fc.boolean())
  fc.assert(
    fc.property(fc.array(random, { maxLength: 40 }), (list) => {
      const { zero, guests } = boot(5)
      for (const [i, [type, transactionId, bytes, isGuest]] of list.entries()) {
        const client = isGuest ? guests[0] : zero
        // A RELEASE of the guest would leave it without answers.
        if (type === wire.XS_RELEASE || (type === wire.XS_INTRODUCE && !isGuest)) continue
        client?.send({ type, requestId: i, transactionId, payload: bytes })
        const answers = client?.take().filter((m) => m.type !== wire.XS_WATCH_EVENT)
        assert.equal(answers?.length, 1)
        assert.equal(answers?.[0]?.requestId, i)
        assert.ok([type, wire.XS_ERROR].includes(answers?.[0]?.type ?? -1))
      }
    }),
    { numRuns: 300 },
  )
})

test('a domain that shuts down is announced once, and again after it was resumed', () => {
  const { daemon, zero } = boot(5)
  zero.send({ type: wire.XS_WATCH, payload: wire.encodeStrings('@releaseDomain', 't') })
  assert.deepEqual(events(zero.take()), ['@releaseDomain t'])
  daemon.domainHasShutDown(5)
  daemon.domainHasShutDown(5)
  assert.deepEqual(events(zero.take()), ['@releaseDomain t'])
  daemon.resume(5)
  daemon.domainHasShutDown(5)
  assert.deepEqual(events(zero.take()), ['@releaseDomain t'])
  daemon.domainIsGone(5)
  assert.deepEqual(events(zero.take()), ['@releaseDomain t'])
  assert.equal(daemon.ringOf(5), undefined)
})

test('a later domain of the same id has nothing from what the earlier one was allowed', () => {
  const { daemon } = boot(5)
  daemon.store.write(ZERO, '/secret', wire.bytesOf('x'))
  daemon.store.setPermissions(ZERO, '/secret', [
    { domid: 0, access: 'n' },
    { domid: 5, access: 'r' },
  ])
  const five = { domid: 5, isPrivileged: false }
  assert.deepEqual(daemon.store.read(five, '/secret'), wire.bytesOf('x'))
  daemon.domainIsGone(5)
  daemon.introduceDomain(5, new TestPage())
  assert.equal(daemon.store.read(five, '/secret'), 'EACCES')
  assert.equal(daemon.store.owned.get(5), undefined)
})

test('a client that goes takes its watches and transactions along', () => {
  const daemon = new Xenstored()
  const sent: Uint8Array[] = []
  const client = daemon.connect({ send: (bytes) => sent.push(bytes), close: () => {} })
  const watch = { type: wire.XS_WATCH, requestId: 1, transactionId: 0 }
  client.receive(wire.encodeMessage({ ...watch, payload: wire.encodeStrings('/', 't') }))
  assert.equal(sent.length, 2)
  client.close()
  daemon.store.write(ZERO, '/x', wire.bytesOf('1'))
  daemon.settle()
  assert.equal(sent.length, 2)
})

test('a request that comes while the daemon settles is carried out, and its events reach all', () => {
  const { daemon, zero, guests } = boot(5)
  const [five] = guests
  const page = new TestPage()
  // A guest in another thread might write again when it is notified.
  let isFirst = true
  const ring = daemon.introduceDomain(6, page)
  const six = guestOn(page, () => ring.onEvent())
  page.notify = () => {
    if (!isFirst) return
    isFirst = false
    six.send({
      type: wire.XS_WRITE,
      requestId: 9,
      transactionId: 0,
      payload: wire.bytesOf('/public/six\0now'),
    })
  }
  daemon.store.makeNode(ZERO, '/public')
  daemon.store.setPermissions(ZERO, '/public', [{ domid: 0, access: 'b' }])
  five?.send({ type: wire.XS_WATCH, payload: wire.encodeStrings('/public', 't') })
  five?.take()
  six.send({
    type: wire.XS_WATCH,
    requestId: 1,
    transactionId: 0,
    payload: wire.encodeStrings('/public', 't'),
  })
  zero.send({ type: wire.XS_WRITE, payload: wire.bytesOf('/public/zero\0now') })
  assert.deepEqual(events(five?.take() ?? []), ['/public/six t', '/public/zero t'])
})
