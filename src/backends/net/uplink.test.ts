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
