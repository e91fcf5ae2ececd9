// Frames for tests, put together from the documents' own layouts.

import { setU16 } from './headers.ts'

const text = (characters: number): Uint8Array<ArrayBuffer> =>
  Uint8Array.from({ length: characters }, (_, i) => (i * 7 + (i >> 8)) & 255)

/** An Ethernet header and a payload that no protocol claims. */
export function etherFrame(
  to: number,
  from: number,
  payload = text(46),
  type = 0x88b5,
): Uint8Array {
  const bytes = new Uint8Array(14 + payload.length)
  for (const [at, mac] of [
    [0, to],
    [6, from],
  ] as const) {
    setU16(bytes, at, Math.floor(mac / 2 ** 32))
    new DataView(bytes.buffer).setUint32(at + 2, mac % 2 ** 32)
  }
  setU16(bytes, 12, type)
  bytes.set(payload, 14)
  return bytes
}

export interface TransportFrame {
  readonly version?: 4 | 6
  readonly protocol?: 'tcp' | 'udp'
  readonly payload?: number
  readonly to?: number
  readonly from?: number
  readonly tcpFlags?: number
}

/** A TCP or UDP packet over IPv4 or IPv6; its transport checksum is blank. */
export function transportFrame(options: TransportFrame = {}): Uint8Array {
  const { version = 4, protocol = 'tcp', payload = 100, tcpFlags = 0x18 } = options
  const head = protocol === 'tcp' ? 20 : 8
  const segment = new Uint8Array(head + payload)
  const view = new DataView(segment.buffer)
  view.setUint16(0, 40000)
  view.setUint16(2, 5001)
  if (protocol === 'tcp') {
    view.setUint32(4, 0xffff_ff00)
    view.setUint32(8, 0x1234_5678)
    segment[12] = 5 << 4
    segment[13] = tcpFlags
    view.setUint16(14, 65535)
  } else {
    view.setUint16(4, segment.length)
  }
  segment.set(text(payload), head)
  const ip = version === 4 ? ipv4(segment, protocol) : ipv6(segment, protocol)
  const type = version === 4 ? 0x0800 : 0x86dd
  return etherFrame(options.to ?? 0x00163e000002, options.from ?? 0x00163e000001, ip, type)
}

function ipv4(segment: Uint8Array, protocol: 'tcp' | 'udp'): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(20 + segment.length)
  const view = new DataView(bytes.buffer)
  bytes[0] = 0x45
  view.setUint16(2, bytes.length & 0xffff)
  view.setUint16(4, 0xfffe)
  view.setUint16(6, 0x4000)
  bytes[8] = 64
  bytes[9] = protocol === 'tcp' ? 6 : 17
  bytes.set([10, 9, 0, 1, 10, 9, 0, 2], 12)
  let sum = 0
  for (let at = 0; at < 20; at += 2) sum += view.getUint16(at)
  view.setUint16(10, ~((sum & 0xffff) + (sum >>> 16)) & 0xffff)
  bytes.set(segment, 20)
  return bytes
}

function ipv6(segment: Uint8Array, protocol: 'tcp' | 'udp'): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(40 + segment.length)
  const view = new DataView(bytes.buffer)
  bytes[0] = 0x60
  view.setUint16(4, segment.length & 0xffff)
  bytes[6] = protocol === 'tcp' ? 6 : 17
  bytes[7] = 64
  bytes.set([0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1], 8)
  bytes.set([0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2], 24)
  bytes.set(segment, 40)
  return bytes
}
