import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Switch } from './switch.ts'
import { etherFrame } from './test-frames.ts'

const BROADCAST = 0xffff_ffff_ffff
const [A, B, C] = [0x00163e00000a, 0x00163e00000b, 0x00163e00000c]

function network(count = 3) {
  const time = { now: 0 }
  const heard: string[] = []
  const bridge = new Switch('xenbr0', () => time.now)
  const ports = Array.from({ length: count }, (_, i) => {
    const name = 'abcdef'[i] ?? '?'
    return bridge.attach(name, () => heard.push(name))
  })
  const send = (port: number, to: number, from: number) => {
    heard.length = 0
    ports[port]?.send({ bytes: etherFrame(to, from), isBlank: false, isValidated: false })
    return heard.join('')
  }
  return { bridge, ports, send, time }
}

test('a frame for somebody unknown goes everywhere, but not back', () => {
  const { send } = network()
  assert.equal(send(0, B, A), 'bc')
})

test('who was heard at a port gets frames there, and nobody else does', () => {
  const { send } = network()
  send(1, BROADCAST, B)
  assert.equal(send(0, B, A), 'b')
  assert.equal(send(1, A, B), 'a')
})

test('broadcast and multicast go everywhere', () => {
  const { send } = network()
  send(1, A, B)
  assert.equal(send(0, BROADCAST, A), 'bc')
  assert.equal(send(0, 0x3333_0000_0001, A), 'bc')
})

test('who moves to another port is found there with the first frame', () => {
  const { send } = network()
  send(1, A, B)
  send(2, A, B)
  assert.equal(send(0, B, A), 'c')
})

test('a frame whose receiver is behind the same port goes nowhere', () => {
  const { send, ports } = network()
  send(0, C, B)
  assert.equal(send(0, B, A), '')
  assert.equal(ports[0]?.counters.dropped, 1)
})

test('an address that was not heard for 300 seconds is forgotten', () => {
  const { send, time } = network()
  send(1, A, B)
  time.now = 299e9
  assert.equal(send(0, B, A), 'b')
  time.now = 300e9
  assert.equal(send(0, B, A), 'bc')
})

test('what is learnt of a port is bounded, and makes room as it ages', () => {
  const { send, bridge, time } = network()
  for (let i = 0; i < 3000; i++) send(0, BROADCAST, 0x0200_0000_0000 + i)
  assert.equal(bridge.learnt, 1024)
  assert.equal(send(1, 0x0200_0000_0000 + 2999, B), 'ac')
  assert.equal(send(1, 0x0200_0000_0000 + 5, B), 'a')
  time.now = 301e9
  send(0, BROADCAST, 0x0200_0000_0000 + 2999)
  assert.equal(send(1, 0x0200_0000_0000 + 2999, B), 'a')
})

test('frames for bridges themselves, from groups and cut short go nowhere', () => {
  const { send, ports } = network()
  assert.equal(send(0, 0x0180_c200_0000, A), '')
  assert.equal(send(0, 0x0180_c200_000e, A), '')
  assert.equal(send(0, B, BROADCAST), '')
  ports[0]?.send({ bytes: new Uint8Array(13), isBlank: false, isValidated: false })
  assert.equal(ports[0]?.counters.dropped, 4)
})

test('a port that is pulled out hears nothing and is forgotten', () => {
  const { send, ports, bridge } = network()
  send(1, A, B)
  ports[1]?.detach()
  assert.equal(send(0, B, A), 'c')
  assert.equal(bridge.ports.length, 2)
  assert.equal(send(1, A, B), '')
})

test('each port counts what comes in and what goes out', () => {
  const { send, ports } = network()
  send(0, BROADCAST, A)
  send(1, A, B)
  assert.deepEqual(ports[0]?.counters, {
    frames: 1,
    bytes: 60,
    sentFrames: 1,
    sentBytes: 60,
    dropped: 0,
  })
})
