// Frontends of console and xenstore that do what none should, on the raw ring pages of a domain: the
// backend refuses, tells the user once, and serves other domains as if nothing had been. The guest
// itself never runs: its end of the rings is TypeScript, its other end the whole host.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { xencons_interface } from '../../src/backends/console/ring.ts'
import { DEFAULT_QUOTAS } from '../../src/backends/xenstore/quotas.ts'
import { xenstore_domain_interface } from '../../src/backends/xenstore/ring.ts'
import { RingGuest } from '../../src/backends/xenstore/ring-guest.ts'
import * as wire from '../../src/backends/xenstore/wire.ts'
import { SPECIAL_PAGES } from '../../src/toolstack/build/memory-map.ts'
import type { GuestDomain } from '../../src/toolstack/guest-domain.ts'
import { tinyPvhKernel } from '../../src/toolstack/image/tiny-kernel.ts'
import { XenHost } from '../../src/toolstack/xen-host.ts'
import { HVM_PARAM_CONSOLE_EVTCHN, HVM_PARAM_STORE_EVTCHN } from '../../src/xen/abi/hvm-params.ts'
import { Random } from './random.ts'

const PAGE = 4096
const kernel = await tinyPvhKernel()

/** A paused domain whose rings the test plays. */
class RawGuest {
  readonly host: XenHost
  readonly guest: GuestDomain
  readonly store: RingGuest
  readonly complaints: string[] = []

  constructor(host: XenHost, name: string) {
    this.host = host
    const config = { name, commandLine: '', memoryMiB: 4, vcpus: 1 }
    this.guest = host.createGuest(config, { kernel })
    this.guest.domain.pause()
    this.guest.onComplaint = (text) => this.complaints.push(text)
    this.store = new RingGuest({
      read: (offset, length) => this.read(SPECIAL_PAGES.xenstore, offset, length),
      write: (offset, bytes) => this.write(SPECIAL_PAGES.xenstore, offset, bytes),
      notify: () => this.notify(HVM_PARAM_STORE_EVTCHN),
    })
  }

  get home(): string {
    return `/local/domain/${this.guest.domain.domid}`
  }

  read(gfn: number, offset: number, length: number): Uint8Array {
    const bytes = this.guest.domain.readPhysical(gfn * PAGE + offset, length)
    assert.ok(bytes)
    return bytes
  }

  write(gfn: number, offset: number, bytes: Uint8Array): void {
    assert.ok(this.guest.domain.writePhysical(gfn * PAGE + offset, bytes))
  }

  write32(gfn: number, offset: number, value: number): void {
    const bytes = new Uint8Array(4)
    new DataView(bytes.buffer).setUint32(0, value >>> 0, true)
    this.write(gfn, offset, bytes)
  }

  /** Sends the event of a ring, and lets the host do what it does then. */
  notify(param: number): void {
    const { domain } = this.guest
    domain.channels.send(Number(domain.params.get(param)))
    this.host.step()
  }

  /** A request, and all that comes back. */
  ask(type: number, payload: Uint8Array, transactionId = 0, requestId = 1): wire.Message[] {
    this.store.send({ type, payload, transactionId, requestId })
    const messages: wire.Message[] = []
    for (let isMore = true; isMore; ) {
      const news = this.store.pull()
      messages.push(...news)
      isMore = this.store.push() || news.length > 0
    }
    return messages
  }

  /** The reply to a request as text; errors by their names. */
  reply(type: number, ...strings: string[]): string {
    const answers = this.ask(type, wire.encodeStrings(...strings))
    const found = answers.find((m) => m.type !== wire.XS_WATCH_EVENT)
    return found ? wire.textOf(found.payload).replace(/\0$/, '') : 'no answer'
  }

  print(text: string): void {
    const field = (name: 'out_prod' | 'out_cons') => xencons_interface.offsetOf(name)
    const view = new DataView(this.read(SPECIAL_PAGES.console, field('out_prod'), 4).slice().buffer)
    const producer = view.getUint32(0, true)
    const out = xencons_interface.offsetOf('out')
    for (const [i, byte] of new TextEncoder().encode(text).entries()) {
      this.write(SPECIAL_PAGES.console, out + ((producer + i) % 2048), Uint8Array.of(byte))
    }
    this.write32(SPECIAL_PAGES.console, field('out_prod'), producer + text.length)
    this.notify(HVM_PARAM_CONSOLE_EVTCHN)
  }
}

/** A guest that means harm, and one that must not be hurt by it. */
class Pair {
  readonly host = new XenHost({ time: 'virtual', wallBase: { seconds: 0, nanoseconds: 0 } })
  readonly bad = new RawGuest(this.host, 'bad')
  readonly good = new RawGuest(this.host, 'good')
  #turn = 0

  /** The other guest's console and store work; nothing was said of it. */
  checkOther(): void {
    const { good } = this
    const value = `turn ${this.#turn++}`
    assert.equal(good.reply(wire.XS_WRITE, 'data/turn'), 'OK')
    const payload = wire.bytesOf(`data/turn\0${value}`)
    assert.equal(wire.decodeString(good.ask(wire.XS_WRITE, payload)[0]?.payload ?? payload), 'OK')
    assert.equal(good.reply(wire.XS_READ, 'data/turn'), value)
    good.print(`${value}\n`)
    assert.ok(good.guest.console.scrollback.text().endsWith(`${value}\n`))
    assert.deepEqual(good.complaints, [])
  }
}

const storeWord = (name: Parameters<typeof xenstore_domain_interface.offsetOf>[0]) =>
  xenstore_domain_interface.offsetOf(name)
const ERROR_RINGIDX = 2
const ERROR_PROTO = 3

/** A header without its message, in the request ring. */
function header(bad: RawGuest, len: number, type = wire.XS_READ): void {
  const words = { type, req_id: 1, tx_id: 0, len }
  bad.write(SPECIAL_PAGES.xenstore, 0, wire.xsd_sockmsg.encode(words))
  bad.store.set('req_prod', wire.xsd_sockmsg.size)
}

const set = (word: Parameters<typeof storeWord>[0], value: number) => (bad: RawGuest) =>
  bad.write32(SPECIAL_PAGES.xenstore, storeWord(word), value)

/** What breaks the ring of xenstore, and the error that its page then shows (xs_wire.h). */
const BREAKS: Readonly<Record<string, readonly [act: (bad: RawGuest) => void, error: number]>> = {
  'more requests than the ring has bytes': [set('req_prod', 1025), ERROR_RINGIDX],
  'a request index that went back': [set('req_prod', 0xffff_fff0), ERROR_RINGIDX],
  'a consumer of requests ahead of the producer': [set('req_cons', 8), ERROR_RINGIDX],
  'a consumer of answers ahead of the producer': [set('rsp_cons', 1), ERROR_RINGIDX],
  'a producer of answers that the host did not write': [set('rsp_prod', 4096), ERROR_RINGIDX],
  'a payload of 4097 bytes': [(bad) => header(bad, 4097), ERROR_PROTO],
  'a payload of 4 GiB': [(bad) => header(bad, 0xffff_ffff), ERROR_PROTO],
  'a payload of 2 GiB of no type': [(bad) => header(bad, 0x8000_0000, 77), ERROR_PROTO],
}

for (const [what, [act, error]] of Object.entries(BREAKS)) {
  test(`xenstore, ${what}: the page says so, the user is told once, others are served`, () => {
    const pair = new Pair()
    const { bad } = pair
    for (let again = 0; again < 3; again++) {
      act(bad)
      for (let i = 0; i < 3; i++) bad.notify(HVM_PARAM_STORE_EVTCHN)
      assert.equal(bad.store.get('error'), error)
      assert.equal(bad.store.get('rsp_prod'), what.startsWith('a producer of answers') ? 4096 : 0)
      pair.checkOther()
      // As a kernel that is started anew does (docs/misc/xenstore-ring.txt).
      bad.store.set('connection', 1)
      bad.notify(HVM_PARAM_STORE_EVTCHN)
      assert.equal(bad.store.get('connection'), 0)
      assert.equal(bad.store.get('error'), 0)
      assert.equal(bad.reply(wire.XS_READ, 'name'), 'bad', 'it is served again')
      bad.store.set('connection', 1)
      bad.notify(HVM_PARAM_STORE_EVTCHN)
    }
    assert.equal(bad.complaints.length, 1, bad.complaints.join('; '))
    assert.match(bad.complaints[0] ?? '', /^xenstore: .*; it is not served until it connects anew$/)
  })
}

test('xenstore: requests that are wrong are answered with errors, and nothing is broken', () => {
  const pair = new Pair()
  const { bad } = pair
  const long = 'x'.repeat(3073)
  const wrong: readonly (readonly [expected: string, type: number, payload: Uint8Array])[] = [
    ['EINVAL', wire.XS_READ, wire.bytesOf('name')],
    ['EINVAL', wire.XS_READ, new Uint8Array()],
    ['EINVAL', wire.XS_READ, wire.bytesOf('name\0more\0')],
    ['EINVAL', wire.XS_WRITE, wire.bytesOf('data/x')],
    ['EINVAL', wire.XS_WATCH, wire.bytesOf('data\0token')],
    ['EINVAL', wire.XS_SET_PERMS, wire.bytesOf('data\0q5\0')],
    ['EINVAL', wire.XS_SET_PERMS, wire.bytesOf('data\0n99999999999999999999x\0')],
    ['EINVAL', wire.XS_TRANSACTION_END, wire.bytesOf('maybe\0')],
    ['EINVAL', wire.XS_READ, wire.bytesOf(`${long}\0`)],
    ['EINVAL', wire.XS_MKDIR, wire.bytesOf('data//x\0')],
    ['EINVAL', wire.XS_MKDIR, wire.bytesOf('/../../etc\0')],
    ['EINVAL', wire.XS_DIRECTORY_PART, wire.bytesOf('data\0')],
    ['EACCES', wire.XS_CONTROL, wire.bytesOf('check\0')],
    ['EACCES', wire.XS_INTRODUCE, wire.encodeStrings('9', '1', '2')],
    ['EACCES', wire.XS_RELEASE, wire.bytesOf('2\0')],
    ['EACCES', wire.XS_SET_TARGET, wire.encodeStrings('1', '2')],
    ['EACCES', wire.XS_RM, wire.bytesOf('/tool\0')],
    ['EACCES', wire.XS_WRITE, wire.bytesOf(`${pair.good.home}/name\0mine`)],
    ['EACCES', wire.XS_READ, wire.bytesOf(`${pair.good.home}/name\0`)],
    ['ENOSYS', wire.XS_ERROR, wire.bytesOf('EINVAL\0')],
    ['ENOSYS', wire.XS_WATCH_EVENT, wire.bytesOf('a\0b\0')],
    ['ENOSYS', 0xffff_ffff, wire.bytesOf('a\0')],
  ]
  for (const [expected, type, payload] of wrong) {
    const answers = bad.ask(type, payload, 0, 0xdead_beef)
    assert.equal(answers.length, 1)
    const [answer] = answers
    assert.equal(wire.decodeString(answer?.payload ?? payload), expected, wire.textOf(payload))
    assert.equal(answer?.requestId, 0xdead_beef, 'a request id is only given back')
  }
  const inNone = bad.ask(wire.XS_READ, wire.encodeStrings('name'), 0x7fff_ffff)
  assert.equal(wire.decodeString(inNone[0]?.payload ?? new Uint8Array()), 'ENOENT')
  assert.deepEqual(bad.complaints, [])
  pair.checkOther()
})

test('xenstore: floods of watches, transactions and nodes end at the quotas', () => {
  const pair = new Pair()
  const { bad } = pair
  const until = (limit: number, act: (i: number) => string) => {
    for (let i = 0; i < limit; i++) {
      const answer = act(i)
      if (/^E[A-Z0-9]+$/.test(answer)) return [i, answer]
    }
    return [limit, 'no end']
  }
  const { nodes, watches, transactions } = DEFAULT_QUOTAS
  // xenstored lets a client have one watch and one transaction more than the quota says.
  assert.deepEqual(
    until(1000, (i) => bad.reply(wire.XS_WATCH, 'data', `t${i}`)),
    [watches + 1, 'E2BIG'],
  )
  assert.deepEqual(
    until(100, () => bad.reply(wire.XS_TRANSACTION_START, '')),
    [transactions + 1, 'ENOSPC'],
  )
  const [made, error] = until(2000, (i) => bad.reply(wire.XS_MKDIR, `data/${i % 40}/${i}`))
  assert.equal(error, 'ENOSPC')
  assert.ok(Number(made) < nodes)
  assert.ok((pair.host.xenstored.store.owned.get(bad.guest.domain.domid)?.nodes ?? 0) <= nodes)
  pair.checkOther()
  const big = bad.ask(wire.XS_WRITE, wire.bytesOf(`data\0${'v'.repeat(4000)}`))
  assert.equal(wire.decodeString(big.at(-1)?.payload ?? new Uint8Array()), 'ENOSPC')
  pair.checkOther()
  // Transactions that are left open hinder nobody, and go with their guest.
  const [begun] = pair.good.ask(wire.XS_TRANSACTION_START, wire.encodeStrings(''))
  const id = Number(wire.decodeString(begun?.payload ?? new Uint8Array()))
  pair.good.ask(wire.XS_WRITE, wire.bytesOf('data/in\0it'), id)
  bad.reply(wire.XS_WRITE, 'data/x')
  const [ended] = pair.good.ask(wire.XS_TRANSACTION_END, wire.encodeStrings('T'), id)
  assert.equal(wire.decodeString(ended?.payload ?? new Uint8Array()), 'OK')
  bad.guest.destroy()
  assert.equal(pair.host.xenstored.store.owned.get(1), undefined)
  pair.checkOther()
})

test('xenstore: a guest that never reads holds up nobody, and is told off once', () => {
  const pair = new Pair()
  const { bad, host } = pair
  for (let i = 0; i < 20; i++) bad.reply(wire.XS_WATCH, 'data', `token-${i}`)
  assert.equal(bad.reply(wire.XS_SET_PERMS, 'data', 'b1'), 'OK')
  const { connection } = host.xenstored.ringOf(1) ?? {}
  // Others write below its watches; each event is another one.
  for (let i = 0; i < 3000; i++) {
    host.xenstore.write(`${bad.home}/data/${'n'.repeat(40)}${i % 1500}`, 'x')
  }
  assert.ok((connection?.output.dropped ?? 0) > 0, 'events were dropped')
  assert.deepEqual(bad.complaints, [
    'xenstore: it makes xenstore remember 2097152 bytes or more; at 2621440 its requests will be refused',
    'xenstore: events are lost: it does not read them',
  ])
  pair.checkOther()
  // Requests whose answers find no room are not even taken.
  for (let i = 0; i < 100; i++) {
    bad.store.send({
      type: wire.XS_READ,
      requestId: i,
      transactionId: 0,
      payload: wire.encodeStrings('name'),
    })
  }
  assert.ok(bad.store.unsent > 0)
  assert.ok((connection?.output.replies ?? 99) <= DEFAULT_QUOTAS.outstandingReplies)
  pair.checkOther()
})

test('xenstore: random bytes in the whole page, for thousands of events', () => {
  const random = new Random(5)
  const pair = new Pair()
  const { bad } = pair
  for (let i = 0; i < 3000; i++) {
    const at = random.below(4) === 0 ? 2048 + random.below(28) : random.below(2048)
    bad.write(SPECIAL_PAGES.xenstore, at, random.bytes(1 + random.below(16)))
    if (random.below(8) === 0) bad.store.set('connection', 1)
    if (random.below(3) === 0) {
      const fill = random.below(1100)
      bad.store.set('req_prod', bad.store.get('req_cons') + fill)
      bad.store.set('rsp_cons', bad.store.get('rsp_prod'))
    }
    bad.notify(HVM_PARAM_STORE_EVTCHN)
    if (i % 500 === 0) pair.checkOther()
  }
  pair.checkOther()
  assert.ok(bad.complaints.length <= 4, bad.complaints.join('; '))
})

const consoleWord = (name: 'in_cons' | 'in_prod' | 'out_cons' | 'out_prod', value: number) => {
  return (bad: RawGuest) =>
    bad.write32(SPECIAL_PAGES.console, xencons_interface.offsetOf(name), value)
}

for (const [what, act] of Object.entries({
  'more output than the ring has bytes': consoleWord('out_prod', 2049),
  'an output index that went back': consoleWord('out_prod', 0xffff_ff00),
  'a consumer of output ahead of the producer': consoleWord('out_cons', 1),
  'a consumer of input ahead of the producer': consoleWord('in_cons', 1),
  'input that the host did not write': consoleWord('in_prod', 1025),
})) {
  test(`console, ${what}: the user is told once, others are served`, () => {
    const pair = new Pair()
    const { bad } = pair
    act(bad)
    for (let i = 0; i < 3; i++) {
      bad.guest.console.write(Uint8Array.of(0x61))
      bad.notify(HVM_PARAM_CONSOLE_EVTCHN)
    }
    assert.equal(bad.complaints.length, 1)
    assert.match(bad.complaints[0] ?? '', /^console: the indices of its (in|out)put ring/)
    assert.equal(bad.reply(wire.XS_READ, 'name'), 'bad', 'its own store is another matter')
    pair.checkOther()
  })
}

test('console: a guest that prints without end costs a bounded memory', () => {
  const pair = new Pair()
  const { bad } = pair
  for (let i = 0; i < 800; i++) bad.print('y'.repeat(2048))
  assert.ok(bad.guest.console.scrollback.text().length <= (1 << 20) + 100)
  assert.deepEqual(bad.complaints, [])
  pair.checkOther()
})

test('console: what is typed to a guest that never reads is bounded', () => {
  const pair = new Pair()
  for (let i = 0; i < 2000; i++) pair.bad.guest.console.write(new Uint8Array(1024))
  assert.equal(pair.bad.guest.console.waitingInput, 1 << 20)
  const lost = 'console: what is typed is lost: it does not read its input'
  assert.deepEqual(pair.bad.complaints, [lost])
  pair.checkOther()
})
