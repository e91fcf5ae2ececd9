// The quota of memory. The numbers and errors are those that xenstored 4.17.7 gave for the same
// requests, where nothing else is said; it counts a path in a transaction with the number of that.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { DEFAULT_QUOTAS } from './quotas.ts'
import { ringClient, streamClient, type TestClient, TestPage } from './test-clients.ts'
import * as wire from './wire.ts'
import { Xenstored } from './xenstored.ts'

const HUNDRED = 'v'.repeat(100)

function setUp() {
  const page = new TestPage()
  const daemon = new Xenstored({ quotas: DEFAULT_QUOTAS })
  const told: string[] = []
  daemon.introduceDomain(5, page, (text) => told.push(text))
  const guest = ringClient(daemon, 5, page)
  const tool = streamClient(daemon)
  const ask = (client: TestClient, type: number, transactionId: number, strings: string[]) => {
    // The value of WRITE does not end with a NUL.
    const text = type === wire.XS_WRITE ? strings.join('\0') : `${strings.join('\0')}\0`
    client.send({ type, transactionId, payload: wire.bytesOf(text) })
    const answers = client.take().filter((m) => m.type !== wire.XS_WATCH_EVENT)
    return answers.map((m) => wire.textOf(m.payload).replace(/\0$/, '')).join()
  }
  const memory = () => daemon.usageOf(5)?.memory ?? -1
  const world = {
    daemon,
    told,
    guest,
    memory,
    asGuest: (type: number, ...strings: string[]) => ask(guest, type, 0, strings),
    within: (id: number, type: number, ...strings: string[]) => ask(guest, type, id, strings),
    asTool: (type: number, ...strings: string[]) => ask(tool, type, 0, strings),
    /** Leaves so many bytes until the domain has all that it may have. */
    leave: (bytes: number) => {
      assert.equal(
        ask(tool, wire.XS_CONTROL, 0, ['quota', 'set', 'memory', String(memory() + bytes)]),
        'OK',
      )
    },
  }
  world.asTool(wire.XS_MKDIR, '/h')
  world.asTool(wire.XS_SET_PERMS, '/h', 'n5')
  return world
}

test('nodes, permissions and watches are counted as xenstored counts them', () => {
  const { asGuest, asTool, memory } = setUp()
  const steps: [expected: number, answer: string][] = []
  const after = (expected: number, answer: string) => {
    steps.push([expected, answer])
    assert.equal(memory(), expected, `step ${steps.length}`)
  }
  after(34, '')
  after(172, asGuest(wire.XS_WRITE, '/h/a', HUNDRED))
  after(82, asGuest(wire.XS_WRITE, '/h/a', HUNDRED.slice(90)))
  after(90, asGuest(wire.XS_SET_PERMS, '/h/a', 'n5', 'r6'))
  after(173, asGuest(wire.XS_MKDIR, '/h/bb/cc'))
  after(90, asGuest(wire.XS_RM, '/h/bb'))
  after(95, asGuest(wire.XS_WATCH, '/h', 'tok'))
  after(117, asGuest(wire.XS_WATCH, 'rel', 'tok'))
  after(112, asGuest(wire.XS_UNWATCH, '/h', 'tok'))
  after(58, asTool(wire.XS_SET_PERMS, '/h/a', 'n6'))
  after(104, asTool(wire.XS_SET_PERMS, '/h/a', 'n5'))
  after(124, asTool(wire.XS_WRITE, '/h/a', HUNDRED.slice(70)))
  assert.deepEqual(new Set(steps.slice(1).map(([, answer]) => answer)), new Set(['OK']))
})

test('what a transaction has looked at is counted until it ends', () => {
  const { asGuest, within, memory } = setUp()
  asGuest(wire.XS_WRITE, '/h/a', HUNDRED.slice(90))
  asGuest(wire.XS_SET_PERMS, '/h/a', 'n5', 'r6')
  const before = memory()
  asGuest(wire.XS_TRANSACTION_START, '')
  assert.equal(memory(), before)
  // xenstored: 57, 57, 97, 188, with three more for each of up to three paths.
  within(1, wire.XS_READ, '/h/a')
  assert.equal(memory() - before, 54)
  within(1, wire.XS_READ, '/h/a')
  assert.equal(memory() - before, 54)
  within(1, wire.XS_WRITE, '/h/a', HUNDRED.slice(50))
  assert.equal(memory() - before, 94)
  within(1, wire.XS_WRITE, '/h/new', HUNDRED.slice(93))
  assert.equal(memory() - before, 179)
  within(1, wire.XS_TRANSACTION_END, 'F')
  assert.equal(memory(), before)
})

test('messages that are not read are counted whole until their last byte is', () => {
  const { daemon, guest, asGuest, asTool, memory } = setUp()
  asGuest(wire.XS_WATCH, '/h', 't2')
  const before = memory()
  guest.send({ type: wire.XS_READ, payload: wire.bytesOf(`/h\0`) })
  for (let i = 0; i < 40; i++) asTool(wire.XS_WRITE, `/h/ev${i}`, 'x')
  // 40 nodes, whose names are also in their parent.
  const nodes = 10 * 43 + 30 * 45
  assert.equal(memory() - before - nodes, daemon.ringOf(5)?.connection.output.bytes)
  // The ring holds 1024 bytes: the answer, ten events of 26 bytes, twenty-seven and a part of 27.
  assert.equal(memory() - before - nodes, 3 * 27)
  assert.equal(guest.take().length, 41)
  assert.equal(memory() - before, nodes)
})

test('at the hard limit requests that need more are refused, and the user is told once', () => {
  const { asGuest, within, leave, told } = setUp()
  asGuest(wire.XS_WRITE, '/h/a', HUNDRED)
  leave(10)
  assert.deepEqual(told, [])
  assert.equal(asGuest(wire.XS_WATCH, '/h', 'tokenxx'), 'OK')
  assert.equal(asGuest(wire.XS_WATCH, '/h', 't'), 'ENOMEM')
  assert.equal(asGuest(wire.XS_MKDIR, '/h/b'), 'EIO')
  assert.equal(asGuest(wire.XS_WRITE, '/h/a', HUNDRED), 'OK')
  assert.equal(asGuest(wire.XS_WRITE, '/h/a', HUNDRED.slice(10)), 'OK')
  assert.equal(asGuest(wire.XS_TRANSACTION_START, ''), '1')
  assert.equal(within(1, wire.XS_READ, '/h/a'), 'ENOMEM')
  assert.equal(within(1, wire.XS_WRITE, '/h/c', 'x'), 'ENOMEM')
  assert.equal(within(1, wire.XS_TRANSACTION_END, 'T'), 'OK')
  leave(150)
  assert.equal(asGuest(wire.XS_TRANSACTION_START, ''), '2')
  assert.equal(within(2, wire.XS_WRITE, '/h/a', HUNDRED + HUNDRED), 'EIO')
  assert.equal(within(2, wire.XS_WRITE, '/h/a', ''), 'OK')
  assert.equal(within(2, wire.XS_TRANSACTION_END, 'T'), 'OK')
  leave(200)
  assert.equal(asGuest(wire.XS_WRITE, '/h/x/y/z', HUNDRED), 'EIO')
  assert.equal(asGuest(wire.XS_DIRECTORY, '/h'), 'a')
  const refusals = told.filter((text) => /used up the \d+ bytes/.test(text))
  assert.equal(refusals.length, 3, 'once for each of the limits')
  const others = told.filter((text) => !refusals.includes(text))
  assert.deepEqual(others, ['events are lost: it does not read them'])
})

test('a domain above its limit is not served until it is below again; tools are', () => {
  const { asGuest, asTool, leave, guest, told } = setUp()
  assert.equal(asGuest(wire.XS_WATCH, '/h', 't'), 'OK')
  leave(100)
  // Unlike xenstored, which answers EIO: the host must be able to write what it has to.
  assert.equal(asTool(wire.XS_WRITE, '/h/a', HUNDRED), 'OK')
  assert.equal(asGuest(wire.XS_READ, '/h'), '')
  assert.equal(guest.take().length, 0, 'the event is dropped, the request waits')
  assert.match(told.join(), /used up/)
  assert.equal(asTool(wire.XS_RM, '/h/a'), 'OK')
  // Enough is free for the answer, and for the events of the removal.
  assert.deepEqual(
    guest.take().map(({ type }) => type),
    [wire.XS_WATCH_EVENT, wire.XS_READ],
  )
  leave(-10)
  assert.equal(asGuest(wire.XS_READ, '/h'), '')
  leave(10)
  assert.deepEqual(
    guest.take().map(({ type }) => type),
    [wire.XS_READ],
  )
})

test('at the soft limit the user is told once; a limit of 0 is none', () => {
  const { asGuest, asTool, memory, told } = setUp()
  asTool(wire.XS_CONTROL, 'quota-soft', 'set', 'memory', String(memory() + 100))
  assert.equal(asGuest(wire.XS_WRITE, '/h/a', 'short'), 'OK')
  assert.deepEqual(told, [])
  for (const name of ['b', 'c', 'd']) {
    assert.equal(asGuest(wire.XS_WRITE, `/h/${name}`, HUNDRED), 'OK')
  }
  assert.equal(told.length, 1)
  assert.match(told[0] ?? '', /134 bytes or more; at 2621440 its requests will be refused/)
  asTool(wire.XS_CONTROL, 'quota-soft', 'set', 'memory', '0')
  asTool(wire.XS_CONTROL, 'quota', 'set', 'memory', '0')
  assert.equal(asGuest(wire.XS_WRITE, '/h/e', HUNDRED), 'OK')
  assert.equal(told.length, 1)
})

test('a restored daemon counts what the saved one did', () => {
  const { daemon, asGuest, within, memory } = setUp()
  asGuest(wire.XS_WRITE, '/h/a', HUNDRED)
  asGuest(wire.XS_WATCH, 'x', 'tok')
  asGuest(wire.XS_TRANSACTION_START, '')
  within(1, wire.XS_WRITE, '/h/b/c', HUNDRED)
  within(1, wire.XS_READ, '/h/none')
  const restored = new Xenstored()
  restored.restore(structuredClone(daemon.save()), () => new TestPage())
  assert.equal(restored.usageOf(5)?.memory, memory())
})
