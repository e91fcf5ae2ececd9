// Cuts a large TCP frame into segments, as a network card with segmentation offload does: for
// receivers that cannot take it whole. RFC 9293 (TCP), RFC 791 and 8200 (IP).

import { writeIpv4Checksum, writeTransportChecksum } from './checksum.ts'
import type { Frame } from './frame.ts'
import { type IpHeaders, ipHeaders, PROTOCOL_TCP, setU16, u16 } from './headers.ts'

/** Linux sends no smaller segments (TCP_MIN_SND_MSS); it bounds what one frame can become. */
export const LEAST_SEGMENT_SIZE = 48

const TCP_FLAGS = 13
const FIN = 0x01
const PSH = 0x08
const CWR = 0x80

/** Is the frame what its mark says: TCP over the right IP, in segments of a bearable size. */
export function isSegmentable({ bytes, gso }: Frame): boolean {
  if (!gso || gso.size < LEAST_SEGMENT_SIZE) return false
  const headers = ipHeaders(bytes)
  if (headers?.payload === undefined || headers.protocol !== PROTOCOL_TCP) return false
  return headers.version === (gso.type === 'tcpv4' ? 4 : 6)
}

/** The segments, with all checksums; the frame itself if it is not a large one. */
export function segments(frame: Frame): Frame[] {
  const headers = ipHeaders(frame.bytes)
  if (!frame.gso || headers?.payload === undefined || !isSegmentable(frame)) return [frame]
  const { bytes, gso } = frame
  const { payload } = headers
  const out: Frame[] = []
  for (let from = payload; from < bytes.length || out.length === 0; from += gso.size) {
    const to = Math.min(from + gso.size, bytes.length)
    const piece = new Uint8Array(payload + to - from)
    piece.set(bytes.subarray(0, payload))
    piece.set(bytes.subarray(from, to), payload)
    adapt(piece, headers, out.length, from - payload, to === bytes.length)
    out.push({ bytes: piece, isBlank: false, isValidated: true })
  }
  return out
}

/** Makes the copied headers those of one segment. */
function adapt(
  bytes: Uint8Array,
  headers: IpHeaders,
  index: number,
  offset: number,
  isLast: boolean,
): void {
  const { version, ip, transport } = headers
  if (version === 4) {
    setU16(bytes, ip + 2, bytes.length - ip)
    setU16(bytes, ip + 4, u16(bytes, ip + 4) + index)
    writeIpv4Checksum(bytes, headers)
  } else {
    setU16(bytes, ip + 4, bytes.length - ip - 40)
  }
  const view = new DataView(bytes.buffer)
  view.setUint32(transport + 4, view.getUint32(transport + 4) + offset)
  let flags = bytes[transport + TCP_FLAGS] as number
  if (!isLast) flags &= ~(FIN | PSH)
  if (index > 0) flags &= ~CWR
  bytes[transport + TCP_FLAGS] = flags
  writeTransportChecksum(bytes, headers)
}
