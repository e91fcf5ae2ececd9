// Writes captures in the pcapng format (draft-ietf-opsawg-pcapng): a section, its interfaces with
// their names, and packets with nanoseconds and directions. tshark, Wireshark and tcpdump read it.

const SECTION_HEADER = 0x0a0d0d0a
const INTERFACE_DESCRIPTION = 1
const ENHANCED_PACKET = 6
const BYTE_ORDER_MAGIC = 0x1a2b3c4d
const LINKTYPE_ETHERNET = 1

const OPT_END = 0
const SHB_USERAPPL = 4
const IF_NAME = 2
const IF_TSRESOL = 9
const EPB_FLAGS = 2
/** A power of ten: timestamps in nanoseconds. */
const NANOSECONDS = 9
const LENGTH_UNKNOWN = 0xffffffffffffffffn

/** As the interface of the host sees it: in is from the guest. */
export type Direction = 'in' | 'out'

/** What a capture file begins with. */
export function captureStart(): Uint8Array {
  const body = new Uint8Array(16)
  const view = new DataView(body.buffer)
  view.setUint32(0, BYTE_ORDER_MAGIC, true)
  view.setUint16(4, 1, true)
  view.setBigUint64(8, LENGTH_UNKNOWN, true)
  return block(SECTION_HEADER, [body, option(SHB_USERAPPL, text('Xenolith'))])
}

/** An interface; the first one of a file has number 0. */
export function captureInterface(name: string): Uint8Array {
  const body = new Uint8Array(8)
  new DataView(body.buffer).setUint16(0, LINKTYPE_ETHERNET, true)
  const options = [option(IF_NAME, text(name)), option(IF_TSRESOL, Uint8Array.of(NANOSECONDS))]
  return block(INTERFACE_DESCRIPTION, [body, ...options])
}

/** A packet of an interface, at a time in nanoseconds since 1970. */
export function capturedPacket(
  number: number,
  timeNs: bigint,
  frame: Uint8Array,
  direction: Direction,
): Uint8Array {
  const body = new Uint8Array(20 + padded(frame.length))
  const view = new DataView(body.buffer)
  view.setUint32(0, number, true)
  view.setUint32(4, Number(timeNs >> 32n), true)
  view.setUint32(8, Number(timeNs & 0xffffffffn), true)
  view.setUint32(12, frame.length, true)
  view.setUint32(16, frame.length, true)
  body.set(frame, 20)
  const flags = Uint8Array.of(direction === 'in' ? 1 : 2, 0, 0, 0)
  return block(ENHANCED_PACKET, [body, option(EPB_FLAGS, flags)])
}

function text(value: string): Uint8Array {
  return new TextEncoder().encode(value)
}

function padded(length: number): number {
  return (length + 3) & ~3
}

function option(code: number, value: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(4 + padded(value.length))
  const view = new DataView(bytes.buffer)
  view.setUint16(0, code, true)
  view.setUint16(2, value.length, true)
  bytes.set(value, 4)
  return bytes
}

/** The length of a block stands at both of its ends. */
function block(type: number, parts: readonly Uint8Array[]): Uint8Array {
  const all = [...parts, option(OPT_END, new Uint8Array())]
  const length = all.reduce((sum, part) => sum + part.length, 12)
  const bytes = new Uint8Array(length)
  const view = new DataView(bytes.buffer)
  view.setUint32(0, type, true)
  view.setUint32(4, length, true)
  let at = 8
  for (const part of all) {
    bytes.set(part, at)
    at += part.length
  }
  view.setUint32(at, length, true)
  return bytes
}
