// The backend as a well-behaved frontend sees it. What is expected is what netif.h says, and how
// Linux's netback and netfront go about it.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Frame } from './frame.ts'
import { netif_extra_gso, netif_extra_mcast } from './netif.ts'
import { segments } from './segment.ts'
import { etherFrame, transportFrame } from './test-frames.ts'
import { NetHost } from './test-frontend.ts'

const OTHER = 0x00163e0000ff
const OURS = 0x00163e000001
const frame = (bytes: Uint8Array, more: Partial<Frame> = {}): Frame => ({
  bytes,
  isBlank: false,
  isValidated: false,
  ...more,
})
const gsoExtra = (size: number, type = 1) =>
  pad(netif_extra_gso.encode({ type: 1, size, gso_type: type }))
const pad = (bytes: Uint8Array) => {
  const entry = new Uint8Array(12)
  entry.set(bytes)
  return entry
}

test('the backend says what it can do, waits, and connects when the frontend has', () => {
  const net = new NetHost()
  const guest = net.frontend()
  assert.equal(guest.read('state'), '2')
  for (const feature of ['sg', 'gso-tcpv4', 'gso-tcpv6', 'rx-copy', 'split-event-channels']) {
    assert.equal(guest.read(`feature-${feature}`), '1', feature)
  }
  assert.equal(guest.read('multi-queue-max-queues'), '2')
  guest.connect()
  assert.equal(guest.read('state'), '4')
  assert.equal(guest.vif.queueCount, 1)
  assert.deepEqual(net.complaints, [])
})

test('a packet of one request arrives whole and is answered', () => {
  const guest = new NetHost().frontend().connect()
  const bytes = etherFrame(OTHER, OURS)
  guest.fill(2, bytes, 100)
  guest.transmit([guest.request({ page: 2, offset: 100, size: bytes.length, id: 77 })])
  assert.deepEqual(guest.sent, [frame(bytes, { gso: undefined })])
  assert.deepEqual(guest.txAnswers(), [{ id: 77, status: 0 }])
  assert.ok(guest.isPending('tx'))
})

test('the first request gives the size of the packet, the others those of their pieces', () => {
  const guest = new NetHost().frontend().connect()
  const bytes = transportFrame({ payload: 9000 })
  guest.fill(0, bytes.subarray(0, 1000), 3000)
  guest.fill(1, bytes.subarray(1000, 5096))
  guest.fill(2, bytes.subarray(5096), 8)
  guest.transmit([
    guest.request({ page: 0, offset: 3000, size: bytes.length, flags: 4, id: 1 }),
    guest.request({ page: 1, size: 4096, flags: 4, id: 2 }),
    guest.request({ page: 2, offset: 8, size: bytes.length - 5096, id: 3 }),
  ])
  assert.deepEqual(
    guest.sent.map((sent) => sent.bytes),
    [bytes],
  )
  assert.deepEqual(
    guest.txAnswers(),
    [1, 2, 3].map((id) => ({ id, status: 0 })),
  )
})

test('a large packet keeps its mark, and the slot of its mark is answered with null', () => {
  const guest = new NetHost().frontend().connect()
  const bytes = transportFrame({ payload: 5000 })
  guest.fill(0, bytes.subarray(0, 4096))
  guest.fill(1, bytes.subarray(4096))
  guest.transmit([
    guest.request({ page: 0, size: bytes.length, flags: 1 | 2 | 4 | 8, id: 5 }),
    gsoExtra(1448),
    guest.request({ page: 1, size: bytes.length - 4096, id: 6 }),
  ])
  const [sent] = guest.sent
  assert.deepEqual(sent?.gso, { type: 'tcpv4', size: 1448 })
  assert.ok(sent.isBlank)
  assert.deepEqual(guest.txAnswers(), [
    { id: 5, status: 0 },
    { id: 0, status: 1 },
    { id: 6, status: 0 },
  ])
})

test('packets of several queues are sent, and those of a flow received at one queue', () => {
  const guest = new NetHost().frontend().connect(2)
  assert.equal(guest.vif.queueCount, 2)
  const bytes = etherFrame(OTHER, OURS)
  guest.fill(0, bytes)
  guest.transmit([guest.request({ size: bytes.length, id: 9 })], 1)
  assert.equal(guest.sent.length, 1)
  assert.deepEqual(guest.txAnswers(1), [{ id: 9, status: 0 }])
  guest.post(8, 0)
  guest.post(8, 1)
  for (let i = 0; i < 4; i++) guest.vif.deliver(frame(transportFrame()))
  const counts = [guest.rxAnswers(0).length, guest.rxAnswers(1).length]
  assert.deepEqual(
    counts.toSorted((a, b) => a - b),
    [0, 4],
  )
})

test('a received frame fills one page after the other, its answers in their slots', () => {
  const guest = new NetHost().frontend().connect()
  guest.post(8)
  const bytes = transportFrame({ payload: 9000 })
  guest.vif.deliver(frame(bytes, { isBlank: true, isValidated: true }))
  const answers = guest.rxAnswers()
  assert.deepEqual(
    answers.map(({ id, offset, flags, status }) => ({ id, offset, flags, status })),
    [
      { id: 0, offset: 0, flags: 1 | 2 | 4, status: 4096 },
      { id: 1, offset: 0, flags: 4, status: 4096 },
      { id: 2, offset: 0, flags: 0, status: bytes.length - 8192 },
    ],
  )
  assert.deepEqual(Buffer.concat(answers.map((answer) => answer.bytes)), Buffer.from(bytes))
  assert.ok(guest.isPending('rx'))
})

test('the mark of a large frame follows its first page', () => {
  const guest = new NetHost().frontend().connect()
  guest.post(8)
  const bytes = transportFrame({ version: 6, payload: 6000 })
  const gso = { type: 'tcpv6', size: 1428 } as const
  guest.vif.deliver(frame(bytes, { isBlank: true, isValidated: true, gso }))
  const [first, extra, last] = guest.rxAnswers()
  assert.equal(first?.flags, 1 | 2 | 4 | 8)
  assert.ok(extra)
  const mark = netif_extra_gso.decode(extra.raw)
  assert.deepEqual([mark.type, mark.flags, mark.size, mark.gso_type], [1, 0, 1428, 2])
  assert.equal(last?.status, bytes.length - 4096)
})

test('frames wait for pages, and the backend asks to be told of them', () => {
  const guest = new NetHost().frontend().connect()
  guest.post(1)
  const bytes = transportFrame({ payload: 9000 })
  guest.vif.deliver(frame(bytes))
  assert.equal(guest.rxAnswers().length, 0)
  assert.equal(guest.ringWord('rx', 4), 2)
  guest.post(2)
  assert.equal(guest.rxAnswers().length, 3)
})

test('what waits for a guest that takes nothing is bounded, and what is too much is counted', () => {
  const guest = new NetHost().frontend().connect()
  const bytes = new Uint8Array(60_000)
  for (let i = 0; i < 200; i++) guest.vif.deliver(frame(bytes))
  assert.ok(!guest.vif.isLow)
  const { receivedDropped } = guest.vif.counters
  assert.ok((200 - receivedDropped) * bytes.length <= 4 * 2 ** 20, String(receivedDropped))
  for (let i = 0; i < 10_000; i++) guest.vif.deliver(frame(new Uint8Array(14)))
  assert.ok(guest.vif.counters.receivedDropped > receivedDropped + 5000)
})

test('a frontend that cannot take large frames gets segments, and checksums if it wants them', () => {
  const guest = new NetHost().frontend()
  guest.connect(1, { 'feature-gso-tcpv4': 0, 'feature-no-csum-offload': 1 })
  guest.post(16)
  const large = frame(transportFrame({ payload: 4000 }), {
    isBlank: true,
    isValidated: true,
    gso: { type: 'tcpv4', size: 1448 },
  })
  guest.vif.deliver(large)
  const answers = guest.rxAnswers()
  assert.deepEqual(
    answers.map(({ bytes }) => bytes),
    segments(large).map(({ bytes }) => bytes),
  )
  assert.equal(answers.length, 3)
  assert.ok(answers.every(({ flags }) => flags === 1))
  guest.vif.deliver(
    frame(transportFrame({ protocol: 'udp' }), { isBlank: true, isValidated: true }),
  )
  const [udp] = guest.rxAnswers()
  assert.equal(udp?.flags, 1)
  assert.notDeepEqual(udp.bytes.subarray(40, 42), Uint8Array.of(0, 0))
})

test('with multicast control only the groups that the guest named come through', () => {
  const guest = new NetHost().frontend().connect()
  guest.write('request-multicast-control', 1)
  const group = 0x01005e000001
  const listed = pad(
    netif_extra_mcast.encode({ type: 2, addr: Uint8Array.of(0x01, 0, 0x5e, 0, 0, 1) }),
  )
  guest.transmit([guest.request({ size: 0, flags: 8, id: 3 }), listed])
  assert.deepEqual(guest.txAnswers(), [
    { id: 3, status: 0 },
    { id: 0, status: 1 },
  ])
  guest.post(8)
  for (const to of [group, group + 1, 0xffff_ffff_ffff, OURS]) {
    guest.vif.deliver(frame(etherFrame(to, OTHER)))
  }
  assert.equal(guest.rxAnswers().length, 3)
  const unlisted = listed.slice()
  unlisted[0] = 3
  guest.transmit([guest.request({ size: 0, flags: 8 }), unlisted])
  guest.vif.deliver(frame(etherFrame(group, OTHER)))
  assert.equal(guest.rxAnswers().length, 0)
  guest.write('request-multicast-control', 0)
  guest.vif.deliver(frame(etherFrame(group + 1, OTHER)))
  assert.equal(guest.rxAnswers().length, 1)
})

test('a limited guest sends what its credit allows, and the rest when there is more', () => {
  const net = new NetHost()
  const guest = net.frontend({ rate: { bytes: 1000, intervalUs: 10_000 } }).connect()
  const bytes = etherFrame(OTHER, OURS, new Uint8Array(386))
  guest.fill(0, bytes)
  guest.transmit(Array.from({ length: 6 }, () => guest.request({ size: bytes.length })))
  assert.equal(guest.sent.length, 2)
  const { clock, timers } = net.host
  for (const sent of [4, 6]) {
    assert.equal(timers.nextDeadline() - clock.now(), 10_000_000)
    clock.skipTo(timers.nextDeadline())
    timers.runExpired(clock.now())
    assert.ok(
      guest.sent.length >= sent - 1 && guest.sent.length <= sent + 1,
      String(guest.sent.length),
    )
  }
})

test('a frontend that closes gets everything back, and may come again', () => {
  const net = new NetHost()
  const guest = net.frontend().connect()
  const grants = guest.guest.domain.grants
  assert.equal(grants.activeGrants().length, 2)
  guest.write('state', 5)
  assert.equal(guest.read('state'), '5')
  assert.equal(grants.activeGrants().length, 0)
  guest.write('state', 6)
  assert.equal(guest.read('state'), '6')
  guest.write('state', 1)
  assert.equal(guest.read('state'), '2')
  for (const { tx, rx } of guest.ports.splice(0)) {
    assert.equal(guest.guest.domain.channels.close(tx), 0)
    assert.equal(guest.guest.domain.channels.close(rx), 0)
  }
  const again = guest.connect()
  assert.equal(again.read('state'), '4')
})

test('unplugging waits for the guest, and then leaves nothing', () => {
  const guest = new NetHost().frontend().connect()
  let isClosed = false
  guest.vif.detach(() => {
    isClosed = true
    guest.vif.destroy()
  })
  assert.equal(guest.read('state'), '5')
  assert.equal(guest.read('online'), '0')
  assert.ok(!isClosed)
  guest.write('state', 5)
  guest.write('state', 6)
  assert.ok(isClosed)
  assert.equal(guest.read('state'), undefined)
  assert.equal(guest.guest.domain.grants.activeGrants().length, 0)
})

test('a tap sees what passes, and both ends are counted', () => {
  const guest = new NetHost().frontend().connect()
  const seen: string[] = []
  const stop = guest.vif.listen(({ bytes }, direction) => seen.push(`${direction} ${bytes.length}`))
  guest.post(2)
  guest.sendFrame(etherFrame(OTHER, OURS))
  guest.vif.deliver(frame(etherFrame(OURS, OTHER, new Uint8Array(86))))
  stop()
  guest.sendFrame(etherFrame(OTHER, OURS))
  assert.deepEqual(seen, ['in 60', 'out 100'])
  const { sentFrames, sentBytes, receivedFrames, receivedBytes } = guest.vif.counters
  assert.deepEqual([sentFrames, sentBytes, receivedFrames, receivedBytes], [2, 120, 1, 100])
})

test('after a suspend the interface is offered anew, and holds nothing of the guest any more', () => {
  const net = new NetHost()
  const guest = net.frontend().connect()
  const { grants, channels } = guest.guest.domain
  assert.ok(grants.activeGrants().length > 0)
  assert.equal(guest.read('state'), '4')
  const sent: number[] = []
  guest.vif.onFrame = ({ bytes }) => sent.push(bytes.length)
  guest.vif.renew()
  assert.equal(guest.read('state'), '2')
  assert.deepEqual(grants.activeGrants(), [])
  assert.equal(net.store.read(`/local/domain/${guest.guest.domain.domid}/device/vif/0/state`), '1')
  assert.equal(guest.vif.isConnected, false)
  // What was there is there again, for a frontend that begins from the beginning.
  assert.equal(guest.read('feature-sg'), '1')
  channels.closeAll()
  guest.connect()
  assert.equal(guest.read('state'), '4')
  guest.sendFrame(etherFrame(OTHER, OURS))
  assert.deepEqual(sent, [60])
  assert.deepEqual(net.complaints, [])
})
