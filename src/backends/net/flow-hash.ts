// Which flow a frame belongs to, as a number: all frames of a flow go through one queue, so that
// they stay in order. FNV-1a over addresses, protocol and ports.

import { ipHeaders } from './headers.ts'

const FNV_OFFSET = 0x811c9dc5
const FNV_PRIME = 0x01000193

export function flowHash(bytes: Uint8Array): number {
  const headers = ipHeaders(bytes)
  if (!headers) return hashed(bytes, 0, Math.min(12, bytes.length), FNV_OFFSET)
  const { version, ip, transport, protocol, payload } = headers
  const [from, to] = version === 4 ? [ip + 12, ip + 20] : [ip + 8, ip + 40]
  const hash = hashed(bytes, from, to, FNV_OFFSET ^ protocol)
  // Fragments but the first have no ports: none of a packet's may count them.
  return payload === undefined ? hash : hashed(bytes, transport, transport + 4, hash)
}

function hashed(bytes: Uint8Array, from: number, to: number, start: number): number {
  let hash = start
  for (let at = from; at < to; at++) hash = Math.imul(hash ^ (bytes[at] as number), FNV_PRIME)
  return hash >>> 0
}
