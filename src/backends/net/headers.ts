// Where the headers of a frame lie: Ethernet with at most one VLAN tag (IEEE 802.1Q), IPv4 (RFC
// 791), IPv6 with the extension headers of RFC 8200, TCP and UDP. Every field is checked against
// the bytes that there are.

export const ETHERTYPE_IPV4 = 0x0800
export const ETHERTYPE_ARP = 0x0806
const ETHERTYPE_VLAN = 0x8100
export const ETHERTYPE_IPV6 = 0x86dd
export const PROTOCOL_TCP = 6
export const PROTOCOL_UDP = 17
export const PROTOCOL_ICMPV6 = 58

const IPV6_HOP_BY_HOP = 0
const IPV6_ROUTING = 43
const IPV6_FRAGMENT = 44
const IPV6_DESTINATION = 60
const MOST_EXTENSIONS = 8

const LEAST_IPV4_BYTES = 20
const IPV6_BYTES = 40
const LEAST_TCP_BYTES = 20
const UDP_BYTES = 8
const IPV4_FRAGMENT_BITS = 0x3fff

/** The headers of an IP packet, as offsets into the frame. */
export interface IpHeaders {
  readonly version: 4 | 6
  readonly ip: number
  /** Where the protocol's header begins. */
  readonly transport: number
  readonly protocol: number
  /** Where the protocol's payload begins; undefined if it is neither TCP nor UDP, or a fragment. */
  readonly payload: number | undefined
}

/** The type of an Ethernet frame, and where what it says begins. */
export function etherType(bytes: Uint8Array): { readonly type: number; readonly at: number } {
  const type = u16(bytes, 12)
  return type === ETHERTYPE_VLAN ? { type: u16(bytes, 16), at: 18 } : { type, at: 14 }
}

/** Finds the headers; undefined if the frame is no IP packet, or cut short. */
export function ipHeaders(bytes: Uint8Array): IpHeaders | undefined {
  const { type, at } = etherType(bytes)
  if (type === ETHERTYPE_IPV4) return ipv4Headers(bytes, at)
  return type === ETHERTYPE_IPV6 ? ipv6Headers(bytes, at) : undefined
}

/** The 16-bit word in network order; 0 beyond the end. */
export function u16(bytes: Uint8Array, at: number): number {
  return ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0)
}

export function setU16(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 8
  bytes[at + 1] = value
}

function ipv4Headers(bytes: Uint8Array, ip: number): IpHeaders | undefined {
  if (ip + LEAST_IPV4_BYTES > bytes.length) return undefined
  const first = bytes[ip] as number
  const transport = ip + (first & 15) * 4
  if (first >> 4 !== 4 || transport < ip + LEAST_IPV4_BYTES || transport > bytes.length) {
    return undefined
  }
  const protocol = bytes[ip + 9] as number
  const isFragment = (u16(bytes, ip + 6) & IPV4_FRAGMENT_BITS) !== 0
  const payload = isFragment ? undefined : payloadOf(bytes, protocol, transport)
  return { version: 4, ip, transport, protocol, payload }
}

function ipv6Headers(bytes: Uint8Array, ip: number): IpHeaders | undefined {
  let transport = ip + IPV6_BYTES
  if (transport > bytes.length || (bytes[ip] as number) >> 4 !== 6) return undefined
  let protocol = bytes[ip + 6] as number
  for (let i = 0; i < MOST_EXTENSIONS; i++) {
    const isSkipped = [IPV6_HOP_BY_HOP, IPV6_ROUTING, IPV6_DESTINATION].includes(protocol)
    if (protocol === IPV6_FRAGMENT) {
      return { version: 6, ip, transport, protocol, payload: undefined }
    }
    if (!isSkipped) break
    if (transport + 8 > bytes.length) return undefined
    protocol = bytes[transport] as number
    transport += ((bytes[transport + 1] as number) + 1) * 8
    if (transport > bytes.length) return undefined
  }
  return { version: 6, ip, transport, protocol, payload: payloadOf(bytes, protocol, transport) }
}

function payloadOf(bytes: Uint8Array, protocol: number, transport: number): number | undefined {
  if (protocol === PROTOCOL_UDP) {
    return transport + UDP_BYTES <= bytes.length ? transport + UDP_BYTES : undefined
  }
  if (protocol !== PROTOCOL_TCP || transport + LEAST_TCP_BYTES > bytes.length) return undefined
  const length = ((bytes[transport + 12] as number) >> 4) * 4
  const payload = transport + length
  return length >= LEAST_TCP_BYTES && payload <= bytes.length ? payload : undefined
}
