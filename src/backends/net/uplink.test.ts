import assert from 'node:assert/strict'
import { test } from 'node:test'
import { encodeFrame, FrameReader } from './frame-stream.ts'
import { formatMac, isGroup, parseMac } from './mac.ts'
import { Switch } from './switch.ts'
import { etherFrame, transportFrame } from './test-frames.ts'
import { NetHost } from './test-frontend.ts'
import { isForUplink, type Uplink, wire } from './uplink.ts'

const BROADCAST = 0xffff_ffff_ffff
const GATEWAY = { mac: 0x5255_0a00_0202, addresses: [0x0a00_0202] }
const OURS = 0x00163e000001

function arp(target: readonly number[]): Uint8Array {
  const payload = new Uint8Array(28)
  payload.set([0, 1, 8, 0, 6, 4, 0, 1])
  payload.set(target, 24)
  return etherFrame(BROADCAST, OURS, payload, 0x0806)
}

function dhcp(): Uint8Array {
  const bytes = transportFrame({ protocol: 'udp', to: BROADCAST })
  bytes.set([0, 68, 0, 67], 34)
  return bytes
}

// fe80::5055:aff:fe00:202, of 52:55:0a:00:02:02.
const gateway = [0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0x50, 0x55, 0x0a, 0xff, 0xfe, 0, 0x02, 0x02]
const linkLocal = [0xfe, 0x80, 0, 0, 0, 0, 0, 0, 2, 0x16, 0x3e, 0xff, 0xfe, 0, 0, 1]
const global = [0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]
const unspecified = Array.from({ length: 16 }, () => 0)

/** An ICMPv6 message to a group; as the kernel sends them, but for the checksum. */
function icmp6(
  type: number,
  target: readonly number[] = [],
  from: readonly number[] = linkLocal,
): Uint8Array {
  const packet = new Uint8Array(64)
  packet.set([0x60, 0, 0, 0, 0, 24, 58, 255, ...from])
  packet.set([type, 0, 0, 0, 0, 0, 0, 0, ...target], 40)
  return etherFrame(0x3333_0000_0002, OURS, packet, 0x86dd)
}

/** A gateway, an interface and a switch without a guest, and what each was given. */
function wired() {
  const up: Uint8Array[] = []
  const down: Uint8Array[] = []
  const across: Uint8Array[] = []
  const uplink: Uplink = {
    ...GATEWAY,
    onFrame: () => {},
    send: (bytes) => up.push(bytes),
    pause: () => {},
    resume: () => {},
    close: () => {},
  }
  const vif: Parameters<typeof wire>[0] = {
    isLow: true,
    deliver: ({ bytes }) => down.push(bytes),
    onFrame: () => {},
    onLow: () => {},
  }
  wire(vif, { send: ({ bytes }) => across.push(bytes) }, uplink)
  const send = (bytes: Uint8Array) => vif.onFrame({ bytes, isBlank: false, isValidated: false })
  return { up, down, across, send }
}

/** A TCP packet to the gateway, whose addresses are these. */
function tcp6(from: readonly number[], to: readonly number[], payload = 0): Uint8Array {
  const bytes = transportFrame({ version: 6, to: GATEWAY.mac, payload })
  bytes.set([...from, ...to], 22)
  return bytes
}

/** The complement of the sum that RFC 1071 and RFC 8200, 8.1 tell of: 0 if the checksum is right. */
function icmp6Sum(frame: Uint8Array): number {
  const message = frame.subarray(54)
  const pseudo = [...frame.subarray(22, 54), 0, 0, message.length >> 8, message.length & 255]
  const bytes = Uint8Array.from([...pseudo, 0, 0, 0, 58, ...message, 0])
  let sum = 0
  for (let at = 0; at + 1 < bytes.length; at += 2) {
    sum += (bytes[at] as number) * 256 + (bytes[at + 1] as number)
    sum = (sum & 0xffff) + (sum >>> 16)
  }
  return ~sum & 0xffff
}

test('a packet from a link-local address to elsewhere comes back as one beyond its scope', () => {
  const { up, down, across, send } = wired()
  const packet = tcp6(linkLocal, global, 3000)
  send(packet)
  assert.deepEqual([up.length, across.length, down.length], [0, 0, 1])
  const [answer = new Uint8Array()] = down
  // RFC 4443, 3.1; at most 1280 bytes, of which as many as fit are those of the packet.
  assert.deepEqual([...answer.subarray(14, 22)], [0x60, 0, 0, 0, 0x04, 0xd8, 58, 255])
  assert.deepEqual([...answer.subarray(22, 54)], [...gateway, ...linkLocal])
  assert.deepEqual([...answer.subarray(54, 56)], [1, 2])
  assert.deepEqual(answer.subarray(62), packet.subarray(14, 14 + 1232))
  assert.equal(answer.length, 14 + 1280)
  assert.equal(icmp6Sum(answer), 0)
  // An error is no reason for another; and what stays on the link, or comes from elsewhere, goes on.
  const error = tcp6(linkLocal, global)
  error[20] = 58
  error[54] = 1
  for (const bytes of [error, tcp6(linkLocal, gateway), tcp6(global, global)]) send(bytes)
  assert.deepEqual([up.length, down.length], [3, 1])
})

test('a gateway hears of the address that its guest is about to take, until that speaks itself', () => {
  const { up, across, send } = wired()
  const solicitsNeighbour = 135
  const question = icmp6(solicitsNeighbour, global, unspecified)
  send(icmp6(solicitsNeighbour, linkLocal, unspecified))
  assert.deepEqual([up.length, across.length], [0, 1])
  send(question)
  assert.deepEqual([up.length, across.length], [1, 2])
  const [said = new Uint8Array()] = up
  assert.deepEqual([...said.subarray(0, 12)], [82, 85, 10, 0, 2, 2, 0, 0x16, 0x3e, 0, 0, 1])
  assert.deepEqual([...said.subarray(22, 54)], [...global, ...gateway])
  assert.equal(said[54], solicitsNeighbour)
  assert.deepEqual([...said.subarray(62, 78)], gateway)
  assert.equal(icmp6Sum(said), 0)
  send(tcp6(global, global))
  send(question)
  assert.deepEqual([up.length, across.length], [2, 3])
  // Cut short, it says nothing.
  const { up: none, send: sendOther } = wired()
  sendOther(question.subarray(0, 70))
  assert.equal(none.length, 0)
})

test('of IPv6 the gateway gets what is for routers, and who asks for its own address', () => {
  const [solicitsRouter, advertisesRouter, solicitsNeighbour] = [133, 134, 135]
  assert.ok(isForUplink(icmp6(solicitsRouter), GATEWAY))
  assert.ok(isForUplink(icmp6(solicitsNeighbour, gateway), GATEWAY))
  assert.ok(!isForUplink(icmp6(solicitsNeighbour, [...gateway.slice(0, 15), 3]), GATEWAY))
  assert.ok(!isForUplink(icmp6(advertisesRouter), GATEWAY))
  const dhcp6 = transportFrame({ version: 6, protocol: 'udp', to: 0x3333_0001_0002 })
  assert.ok(!isForUplink(dhcp6, GATEWAY))
  dhcp6.set([2, 34, 2, 35], 54)
  assert.ok(isForUplink(dhcp6, GATEWAY))
  assert.ok(!isForUplink(icmp6(solicitsRouter).subarray(0, 40), GATEWAY))
  assert.ok(!isForUplink(icmp6(solicitsRouter, [], unspecified), GATEWAY))
})

test('the gateway gets what is for its address, questions for it, and DHCP; nobody else does', () => {
  assert.ok(isForUplink(transportFrame({ to: GATEWAY.mac }), GATEWAY))
  assert.ok(isForUplink(arp([10, 0, 2, 2]), GATEWAY))
  assert.ok(isForUplink(dhcp(), GATEWAY))
  assert.ok(!isForUplink(transportFrame({ to: 0x00163e000002 }), GATEWAY))
  assert.ok(!isForUplink(arp([10, 0, 2, 16]), GATEWAY))
  assert.ok(!isForUplink(transportFrame({ protocol: 'udp', to: BROADCAST }), GATEWAY))
  assert.ok(!isForUplink(new Uint8Array(14).fill(0xff), GATEWAY))
})

test('an interface reaches its gateway and its switch, and holds the gateway back when full', () => {
  const guest = new NetHost().frontend().connect()
  const up: Uint8Array[] = []
  const calls: string[] = []
  const uplink: Uplink = {
    ...GATEWAY,
    onFrame: () => {},
    send: (bytes) => up.push(bytes),
    pause: () => calls.push('pause'),
    resume: () => calls.push('resume'),
    close: () => {},
  }
  const bridge = new Switch('xenbr0', () => 0)
  const others: Uint8Array[] = []
  bridge.attach('other', ({ bytes }) => others.push(bytes))
  wire(
    guest.vif,
    bridge.attach('ours', (frame) => guest.vif.deliver(frame)),
    uplink,
  )
  guest.sendFrame(transportFrame({ to: GATEWAY.mac }), 1)
  guest.sendFrame(etherFrame(0x00163e000002, OURS))
  assert.deepEqual([up.length, others.length], [1, 1])
  // It was sent with a blank checksum.
  assert.notDeepEqual(up[0]?.subarray(50, 52), Uint8Array.of(0, 0))
  for (let i = 0; i < 40; i++) uplink.onFrame(transportFrame({ payload: 40_000, to: OURS }))
  assert.equal(calls[0], 'pause')
  calls.length = 0
  for (let i = 0; i < 16; i++) guest.post(24)
  assert.equal(calls.at(-1), 'resume')
})

test('frames come out of the stream however it is cut', () => {
  const frames = [etherFrame(1, 2), new Uint8Array(0), transportFrame({ payload: 3000 })]
  const stream = Buffer.concat(frames.map(encodeFrame))
  assert.deepEqual([...stream.subarray(0, 4)], [0, 0, 0, 60])
  for (const step of [1, 3, 64, 1000, stream.length]) {
    const reader = new FrameReader()
    const got: Uint8Array[] = []
    for (let at = 0; at < stream.length; at += step)
      got.push(...reader.add(stream.subarray(at, at + step)))
    assert.deepEqual(
      got.map((bytes) => [...bytes]),
      frames.map((bytes) => [...bytes]),
    )
  }
  assert.throws(() => new FrameReader().add(Uint8Array.of(1, 0, 0, 0)), RangeError)
})

test('addresses are read and written as people write them', () => {
  assert.equal(parseMac('00:16:3E:0a:0B:ff'), 0x00163e0a0bff)
  assert.equal(formatMac(0x00163e0a0bff), '00:16:3e:0a:0b:ff')
  for (const text of [
    '',
    '00:16:3e:0a:0b',
    '0:16:3e:0a:0b:ff',
    '00:16:3e:0a:0b:fg',
    '00163e0a0bff',
  ]) {
    assert.equal(parseMac(text), undefined, text)
  }
  assert.ok(isGroup(0x01005e000001))
  assert.ok(!isGroup(0x00163e000001))
})
