// What a gateway does for IPv6 beside passt, which does not look at scopes and knows of its guest
// only what the last packet said (RFC 4291, 2.5.6; RFC 4443, 3.1; RFC 4861, 4.3; RFC 4862, 5.4).

import { folded, sumWords } from './checksum.ts'
import {
  ETHERTYPE_IPV6,
  type IpHeaders,
  PROTOCOL_ICMPV6,
  PROTOCOL_UDP,
  setU16,
  u16,
} from './headers.ts'
import { linkLocalOf } from './link-local.ts'
import { setMac } from './mac.ts'

/** RFC 8415. */
const DHCPV6_SERVER_PORT = 547

const DESTINATION_UNREACHABLE = 1
const BEYOND_SCOPE = 2
const ROUTER_SOLICITATION = 133
const NEIGHBOUR_SOLICITATION = 135
/** Where a solicitation has the address that is asked for. */
const NEIGHBOUR_TARGET = 8
const SOURCE_LINK_LAYER_ADDRESS = 1

const ETHERNET_BYTES = 14
const IP_BYTES = 40
/** A packet with an error is not to be larger than the least MTU (RFC 8200, 5). */
const MOST_ERROR_BYTES = 1280
const ICMP_HEADER_BYTES = 8

const source = (bytes: Uint8Array, ip: number) => bytes.subarray(ip + 8, ip + 24)
const destination = (bytes: Uint8Array, ip: number) => bytes.subarray(ip + 24, ip + 40)
const isLinkLocal = (address: Uint8Array) => (u16(address, 0) & 0xffc0) === 0xfe80
const isUnspecified = (address: Uint8Array) => address.every((byte) => byte === 0)

/**
 * Is a packet to a group for the gateway: a question for any router, for its own address, or
 * DHCPv6. Questions for other addresses are not: passt would say that it has them all. Nor is what
 * nobody sends yet (from `::`), as it would answer to that.
 */
export function isForRouter(bytes: Uint8Array, headers: IpHeaders, mac: number): boolean {
  if (isUnspecified(source(bytes, headers.ip))) return false
  const { protocol, payload, transport } = headers
  if (protocol === PROTOCOL_UDP && payload !== undefined) {
    return u16(bytes, transport + 2) === DHCPV6_SERVER_PORT
  }
  if (protocol !== PROTOCOL_ICMPV6) return false
  const type = bytes[transport]
  if (type !== NEIGHBOUR_SOLICITATION) return type === ROUTER_SOLICITATION
  const target = transport + NEIGHBOUR_TARGET
  return linkLocalOf(mac).every((byte, i) => bytes[target + i] === byte)
}

/** Does a packet come from an address that means something beyond the guest's link. */
export function isFromGlobal(bytes: Uint8Array, { ip }: IpHeaders): boolean {
  const from = source(bytes, ip)
  return !isLinkLocal(from) && !isUnspecified(from)
}

/**
 * The answer to a packet from a link-local address to one elsewhere, which no router takes further:
 * "beyond scope of source address". Linux sends such packets while its global address is being
 * checked for duplicates; with an answer its connection fails at once, and not after two minutes.
 * Undefined if the packet is none of those.
 */
export function beyondScope(
  bytes: Uint8Array,
  { ip, protocol, transport }: IpHeaders,
  { mac, guestMac }: Ends,
): Uint8Array | undefined {
  const from = source(bytes, ip)
  const to = destination(bytes, ip)
  const isElsewhere = !isLinkLocal(to) && to[0] !== 0xff
  if (!isLinkLocal(from) || !isElsewhere) return undefined
  // No errors about errors: their types are below 128 (RFC 4443, 2.4).
  if (protocol === PROTOCOL_ICMPV6 && (bytes[transport] ?? 0) < 128) return undefined
  const quoted = bytes.subarray(ip, ip + MOST_ERROR_BYTES - IP_BYTES - ICMP_HEADER_BYTES)
  const message = new Uint8Array(ICMP_HEADER_BYTES + quoted.length)
  message.set([DESTINATION_UNREACHABLE, BEYOND_SCOPE])
  message.set(quoted, ICMP_HEADER_BYTES)
  return icmpFrame({ toMac: guestMac, fromMac: mac, to: from, from: linkLocalOf(mac) }, message)
}

/**
 * A question from the guest for the gateway's address, made of one by which the guest looks whether
 * another has the global address that it is about to take; undefined if the frame is none of those.
 * passt learns from it where to send what comes in by forwarded ports: a guest that only serves
 * says nothing by itself.
 */
export function introduction(
  bytes: Uint8Array,
  { ip, protocol, transport }: IpHeaders,
  { mac, guestMac }: Ends,
): Uint8Array | undefined {
  if (protocol !== PROTOCOL_ICMPV6 || bytes[transport] !== NEIGHBOUR_SOLICITATION) return undefined
  const at = transport + NEIGHBOUR_TARGET
  const target = bytes.slice(at, at + 16)
  if (!isUnspecified(source(bytes, ip)) || target.length < 16) return undefined
  if (isLinkLocal(target) || isUnspecified(target)) return undefined
  const message = new Uint8Array(32)
  message[0] = NEIGHBOUR_SOLICITATION
  message.set(linkLocalOf(mac), NEIGHBOUR_TARGET)
  message.set([SOURCE_LINK_LAYER_ADDRESS, 1], 24)
  setMac(message, 26, guestMac)
  return icmpFrame({ toMac: mac, fromMac: guestMac, to: linkLocalOf(mac), from: target }, message)
}

/** The Ethernet addresses of a gateway and of its guest. */
export interface Ends {
  readonly mac: number
  readonly guestMac: number
}

interface Envelope {
  readonly toMac: number
  readonly fromMac: number
  readonly to: Uint8Array
  readonly from: Uint8Array
}

/** A frame with an ICMPv6 message, whose checksum is written. */
function icmpFrame({ toMac, fromMac, to, from }: Envelope, message: Uint8Array): Uint8Array {
  const frame = new Uint8Array(ETHERNET_BYTES + IP_BYTES + message.length)
  setMac(frame, 0, toMac)
  setMac(frame, 6, fromMac)
  setU16(frame, 12, ETHERTYPE_IPV6)
  const ip = ETHERNET_BYTES
  frame[ip] = 0x60
  setU16(frame, ip + 4, message.length)
  frame.set([PROTOCOL_ICMPV6, 255], ip + 6)
  frame.set(from, ip + 8)
  frame.set(to, ip + 24)
  const at = ip + IP_BYTES
  frame.set(message, at)
  const pseudo = sumWords(frame, ip + 8, at, message.length + PROTOCOL_ICMPV6)
  setU16(frame, at + 2, folded(sumWords(frame, at, frame.length, pseudo)))
  return frame
}
