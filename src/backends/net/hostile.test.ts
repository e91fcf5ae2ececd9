// Frontends that do what none should: the backend refuses, says so once, goes on serving others,
// and serves the same guest again when it comes back properly.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { macAt } from './mac.ts'
import { Switch } from './switch.ts'
import { etherFrame, transportFrame } from './test-frames.ts'
import { NetHost, type TestFrontend } from './test-frontend.ts'
import { wire } from './uplink.ts'

const extra = (type: number, flags = 0, rest: readonly number[] = []) =>
  Uint8Array.from({ length: 12 }, (_, i) => [type, flags, ...rest][i] ?? 0)
const MORE = 4
const EXTRA = 8

/** What ends an interface: nothing can be made of the ring any more. */
const VIOLATIONS: Readonly<Record<string, (guest: TestFrontend) => void>> = {
  'more requests than a ring has': (guest) => {
    guest.setRingWord('tx', 0, 257)
    guest.kick()
  },
  'an index that goes back': (guest) => {
    guest.setRingWord('tx', 0, 0xffff_fff0)
    guest.kick()
  },
  'extra information that is missing': (guest) =>
    guest.transmit([guest.request({ size: 60, flags: EXTRA })]),
  'extra information without an end': (guest) =>
    guest.transmit([
      guest.request({ size: 60, flags: EXTRA }),
      ...Array(255).fill(extra(1, 1, [64, 0, 1])),
    ]),
  'extra information of no type': (guest) =>
    guest.transmit([guest.request({ size: 60, flags: EXTRA }), extra(0)]),
  'extra information of a type beyond all': (guest) =>
    guest.transmit([guest.request({ size: 60, flags: EXTRA }), extra(5)]),
  'segments of no size': (guest) =>
    guest.transmit([guest.request({ size: 60, flags: EXTRA }), extra(1, 0, [0, 0, 1])]),
  'segments of an unknown protocol': (guest) =>
    guest.transmit([guest.request({ size: 60, flags: EXTRA }), extra(1, 0, [64, 0, 3])]),
  'a packet that goes on where there is nothing': (guest) =>
    guest.transmit([guest.request({ size: 60, flags: MORE })]),
  'a packet of the whole ring': (guest) =>
    guest.transmit(Array.from({ length: 256 }, () => guest.request({ size: 1, flags: MORE }))),
  'a piece that crosses the end of its page': (guest) =>
    guest.transmit([
      guest.request({ size: 5000, flags: MORE }),
      guest.request({ size: 4096, offset: 1 }),
    ]),
}

/** What fails a packet, and nothing else. */
const FAILURES: Readonly<Record<string, (guest: TestFrontend) => Uint8Array[]>> = {
  'less than a header': (guest) => [guest.request({ size: 13 })],
  'pieces larger than the whole': (guest) => [
    guest.request({ size: 60, flags: MORE }),
    guest.request({ size: 61 }),
  ],
  'a head that crosses the end of its page': (guest) => [
    guest.request({ size: 100, offset: 4000 }),
  ],
  'an offset beyond the page': (guest) => [guest.request({ size: 60, offset: 65_535 })],
  'a reference that does not exist': (guest) => [guest.request({ size: 60, gref: 0xffff_ffff })],
  'a reference that is not granted': (guest) => [guest.request({ size: 60, gref: 300 })],
  'nineteen pieces': (guest) => [
    guest.request({ size: 60, flags: MORE }),
    ...Array.from({ length: 18 }, (_, i) => guest.request({ size: 1, flags: i < 17 ? MORE : 0 })),
  ],
  'a checksum where there is none': (guest) => [guest.request({ size: 60, flags: 1 })],
  'a large packet that is no TCP': (guest) => [
    guest.request({ size: 60, flags: EXTRA }),
    extra(1, 0, [0xa8, 5, 1]),
  ],
  'segments too small to bear': (guest) => {
    guest.fill(0, transportFrame())
    return [guest.request({ size: 154, flags: EXTRA }), extra(1, 0, [1, 0, 1])]
  },
}

for (const [what, misbehave] of Object.entries(VIOLATIONS)) {
  test(`${what}: the interface stops, once, until the frontend comes again`, () => {
    const net = new NetHost()
    const guest = net.frontend().connect()
    guest.fill(0, etherFrame(1, 2))
    misbehave(guest)
    misbehave(guest)
    guest.kick()
    assert.equal(guest.sent.length, 0)
    assert.equal(net.complaints.length, 1, net.complaints.join('\n'))
    assert.match(net.complaints[0] ?? '', /^vif1\.0: the frontend broke the protocol: /)
    assert.equal(guest.guest.domain.grants.activeGrants().length, 0)
    for (const state of [5, 6, 1]) guest.write('state', state)
    guest.ports.length = 0
    const fresh = guest.connect()
    assert.equal(fresh.read('state'), '4')
  })
}

for (const [what, entries] of Object.entries(FAILURES)) {
  test(`${what}: the packet fails, its requests are answered, and others pass`, () => {
    const net = new NetHost()
    const guest = net.frontend().connect()
    guest.fill(0, etherFrame(2, 4))
    const bad = entries(guest)
    guest.transmit(bad)
    const answers = guest.txAnswers()
    assert.equal(answers.length, bad.length)
    assert.ok(answers.every(({ status }) => status === -1 || status === 1))
    guest.transmit(entries(guest))
    guest.txAnswers()
    guest.sendFrame(etherFrame(2, 4))
    assert.equal(guest.sent.length, 1)
    assert.deepEqual(guest.txAnswers(), [{ id: 0, status: 0 }])
    assert.equal(guest.vif.counters.sentFailed, 2)
    assert.equal(net.complaints.length, 1)
  })
}

test('pages to receive into that are not granted, or not for writing, fail their frame only', () => {
  const net = new NetHost()
  const guest = net.frontend().connect()
  const frame = { bytes: etherFrame(2, 4), isBlank: false, isValidated: false }
  guest.post(1, 0, () => 300)
  guest.vif.deliver(frame)
  guest.post(1, 0, () => {
    const ref = guest.grant(60)
    // GTF_permit_access | GTF_readonly
    guest.guest.domain.grants.entries.writeRaw(ref, Uint8Array.of(5, 0, 0, 0, 60, 0, 0, 0))
    return ref
  })
  guest.vif.deliver(frame)
  guest.post(1)
  guest.vif.deliver(frame)
  assert.deepEqual(
    guest.rxAnswers().map(({ status }) => status),
    [-1, -1, 60],
  )
  assert.equal(net.complaints.length, 1)
  assert.equal(guest.vif.counters.receivedDropped, 2)
})

test('an impossible index of the receive ring stops the interface', () => {
  const net = new NetHost()
  const guest = net.frontend().connect()
  guest.setRingWord('rx', 0, 0x8000_0000)
  guest.vif.deliver({ bytes: etherFrame(2, 4), isBlank: false, isValidated: false })
  assert.equal(net.complaints.length, 1)
  assert.ok(!guest.vif.isConnected)
})

test('what is wrong in xenstore is refused before anything is mapped', () => {
  const wrongs: Readonly<Record<string, string | number>>[] = [
    { 'request-rx-copy': 0 },
    { 'multi-queue-num-queues': 99 },
    { 'multi-queue-num-queues': 0 },
    { 'tx-ring-ref': 'abc' },
    { 'tx-ring-ref': 4294967295 },
    { 'tx-ring-ref': 300 },
    { 'rx-ring-ref': '-1' },
    { 'event-channel-tx': 1000 },
    { 'event-channel-rx': '99999999999999999999' },
  ]
  for (const wrong of wrongs) {
    const net = new NetHost()
    const guest = net.frontend()
    guest.offer(1)
    for (const [key, value] of Object.entries(wrong)) guest.write(key, value)
    guest.write('state', 4)
    net.deliver()
    assert.equal(guest.read('state'), '5', JSON.stringify(wrong))
    assert.equal(guest.guest.domain.grants.activeGrants().length, 0)
    assert.equal(net.complaints.length, 1)
    assert.equal(net.host.hypervisor.control.channels.boundPorts().length, 0)
  }
})

test('states that are none, and folders that vanish, do no harm', () => {
  const net = new NetHost()
  const guest = net.frontend().connect()
  for (const state of ['', 'abc', '99', '-1', '4']) guest.write('state', state)
  assert.ok(guest.vif.isConnected)
  net.store.remove(guest.front)
  assert.ok(!guest.vif.isConnected)
  guest.vif.destroy()
  guest.vif.destroy()
})

test('a guest that floods with forged senders and a bad ring does not keep others from talking', () => {
  const net = new NetHost()
  const bridge = new Switch('xenbr0', () => net.host.clock.now())
  const guests = [1, 2, 3].map(() => net.frontend().connect())
  const [bad, a, b] = guests as [TestFrontend, TestFrontend, TestFrontend]
  for (const { vif } of guests)
    wire(
      vif,
      bridge.attach(vif.name, (frame) => vif.deliver(frame)),
    )
  b.post(24)
  for (let i = 0; i < 3000; i++) {
    bad.sendFrame(etherFrame(0x00163e777777, 0x0200_0000_0000 + i))
    if (i % 200 === 0) bad.txAnswers()
  }
  bad.setRingWord('tx', 0, 0x1234)
  bad.kick()
  assert.ok(bridge.learnt <= 1025)
  b.sendFrame(etherFrame(0x00163e000001, 0x00163e000002))
  a.sendFrame(etherFrame(0x00163e000002, 0x00163e000001))
  // What was flooded comes first, and no more of it than may wait.
  let heard = 0
  for (let i = 0; i < 200; i++) {
    heard += b.rxAnswers().filter(({ bytes }) => macAt(bytes, 6) === 0x00163e000001).length
    b.post(24)
  }
  assert.equal(heard, 1)
  assert.equal(net.complaints.filter((text) => text.includes('broke the protocol')).length, 1)
})

test('rings full of random bytes never harm the host', () => {
  const net = new NetHost()
  let seed = 1
  const random = () => {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0
    return seed >>> 8
  }
  for (let round = 0; round < 60; round++) {
    const guest = net.frontend().connect()
    for (let page = 0; page < 8; page++) guest.fill(page, Uint8Array.from({ length: 512 }, random))
    guest.post(24)
    for (let batch = 0; batch < 8 && guest.vif.isConnected; batch++) {
      guest.transmit(
        Array.from({ length: 1 + (random() % 40) }, () =>
          random() % 3
            ? guest.request({
                page: random() % 9,
                size: random() % (random() % 2 ? 200 : 65536),
                offset: random() % 2 ? 0 : random() % 65536,
                flags: random() % 16,
                id: random() % 65536,
              })
            : extra(random() % 6, random() % 2, [random(), random() % 8, random() % 4]),
        ),
      )
      guest.vif.deliver({
        bytes: transportFrame({ payload: random() % 9000 }),
        isBlank: true,
        isValidated: true,
      })
    }
    guest.vif.destroy()
    assert.equal(guest.guest.domain.grants.activeGrants().length, 0)
    net.host.hypervisor.destroyDomain(guest.guest.domain)
  }
  assert.equal(net.host.hypervisor.control.channels.boundPorts().length, 0)
})
