// The Internet checksum (RFC 1071) of IPv4 headers, TCP and UDP, for frames whose senders left it
// to whoever sends them on.

import type { Frame } from './frame.ts'
import { type IpHeaders, ipHeaders, PROTOCOL_TCP, PROTOCOL_UDP, setU16, u16 } from './headers.ts'

/** The sum of the bytes as 16-bit words in network order, not yet folded, added to `start`. */
export function sumWords(bytes: Uint8Array, from: number, to: number, start = 0): number {
  let sum = start
  let at = from
  for (; at + 1 < to; at += 2) sum += ((bytes[at] as number) << 8) | (bytes[at + 1] as number)
  return at < to ? sum + ((bytes[at] as number) << 8) : sum
}

/** The complement of the sum in 16 bits. */
export function folded(sum: number): number {
  let rest = sum
  while (rest > 0xffff) rest = (rest & 0xffff) + Math.floor(rest / 0x10000)
  return ~rest & 0xffff
}

/** Writes the checksum of TCP or UDP; the segment reaches to the end of the frame. */
export function writeTransportChecksum(bytes: Uint8Array, headers: IpHeaders): void {
  const { version, ip, transport, protocol } = headers
  const field = transport + (protocol === PROTOCOL_TCP ? 16 : 6)
  setU16(bytes, field, 0)
  const addresses =
    version === 4 ? sumWords(bytes, ip + 12, ip + 20) : sumWords(bytes, ip + 8, ip + 40)
  const length = bytes.length - transport
  const sum = sumWords(bytes, transport, bytes.length, addresses + protocol + length)
  const checksum = folded(sum)
  // In UDP zero says that there is no checksum.
  setU16(bytes, field, checksum === 0 && protocol === PROTOCOL_UDP ? 0xffff : checksum)
}

export function writeIpv4Checksum(bytes: Uint8Array, { ip, transport }: IpHeaders): void {
  setU16(bytes, ip + 10, 0)
  setU16(bytes, ip + 10, folded(sumWords(bytes, ip, transport)))
}

/**
 * The frame with its checksum computed, if that was left to be done. Bytes after the IP packet,
 * which pad a frame to Ethernet's least size, go.
 */
export function withChecksum(frame: Frame): Frame {
  if (!frame.isBlank) return frame
  const headers = ipHeaders(frame.bytes)
  if (headers?.payload === undefined) return { ...frame, isBlank: false }
  const bytes = frame.bytes.slice(0, endOf(frame.bytes, headers, headers.payload))
  writeTransportChecksum(bytes, headers)
  return { ...frame, bytes, isBlank: false, isValidated: true }
}

/** Where the IP packet ends by its own word, as far as that can be. */
function endOf(bytes: Uint8Array, { version, ip }: IpHeaders, payload: number): number {
  const length = version === 4 ? u16(bytes, ip + 2) : u16(bytes, ip + 4) + 40
  const end = ip + length
  return end >= payload && end <= bytes.length ? end : bytes.length
}
