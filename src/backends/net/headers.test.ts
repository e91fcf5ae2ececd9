import assert from 'node:assert/strict'
import { test } from 'node:test'
import { flowHash } from './flow-hash.ts'
import { ipHeaders } from './headers.ts'
import { etherFrame, transportFrame } from './test-frames.ts'

test('headers of TCP and UDP over both versions of IP are found', () => {
  const places = (bytes: Uint8Array) => {
    const found = ipHeaders(bytes)
    return found && [found.version, found.ip, found.transport, found.payload]
  }
  assert.deepEqual(places(transportFrame()), [4, 14, 34, 54])
  assert.deepEqual(places(transportFrame({ protocol: 'udp' })), [4, 14, 34, 42])
  assert.deepEqual(places(transportFrame({ version: 6 })), [6, 14, 54, 74])
  assert.deepEqual(places(transportFrame({ version: 6, protocol: 'udp' })), [6, 14, 54, 62])
  assert.equal(places(etherFrame(1, 2)), undefined)
})

test('a VLAN tag is looked behind', () => {
  const plain = transportFrame()
  const tagged = new Uint8Array(plain.length + 4)
  tagged.set(plain.subarray(0, 12))
  tagged.set([0x81, 0, 0, 7], 12)
  tagged.set(plain.subarray(12), 16)
  assert.equal(ipHeaders(tagged)?.payload, 58)
})

test('extension headers are passed over, and fragments have no ports', () => {
  const plain = transportFrame({ version: 6, protocol: 'udp' })
  const extended = new Uint8Array(plain.length + 8)
  extended.set(plain.subarray(0, 54))
  extended[20] = 60
  extended.set([17, 0, 1, 4, 0, 0, 0, 0], 54)
  extended.set(plain.subarray(54), 62)
  assert.equal(ipHeaders(extended)?.payload, 70)
  extended[20] = 44
  assert.deepEqual(ipHeaders(extended)?.payload, undefined)
  const fragment = transportFrame()
  fragment[20] = 0x20
  assert.deepEqual(ipHeaders(fragment)?.payload, undefined)
})

test('frames cut short anywhere and random bytes are no harm', () => {
  const frames = [transportFrame(), transportFrame({ version: 6, protocol: 'udp' })]
  for (const whole of frames) {
    for (let length = 0; length < whole.length; length++) {
      const bytes = whole.slice(0, length)
      const found = ipHeaders(bytes)
      assert.ok((found?.payload ?? 0) <= length)
      flowHash(bytes)
    }
  }
  let seed = 7
  for (let i = 0; i < 5000; i++) {
    const bytes = Uint8Array.from(frames[i & 1] as Uint8Array, (byte) => {
      seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0
      return seed >>> 29 === 0 ? seed >>> 16 : byte
    })
    const found = ipHeaders(bytes)
    assert.ok((found?.payload ?? 0) <= bytes.length)
  }
})

test('the packets of a flow have one hash, those of others mostly another', () => {
  const hashes = Array.from({ length: 64 }, (_, i) => {
    const bytes = transportFrame()
    bytes[35] = i
    return flowHash(bytes) % 4
  })
  assert.equal(flowHash(transportFrame()), flowHash(transportFrame({ payload: 5 })))
  for (const queue of [0, 1, 2, 3]) {
    assert.ok(hashes.filter((hash) => hash === queue).length > 4, hashes.join(' '))
  }
})
