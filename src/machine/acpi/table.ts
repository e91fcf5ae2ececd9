// A table of ACPI: the common header, the body, and the checksum that makes all bytes sum to zero.

import { TABLE_HEADER } from './layouts.ts'

/** What Xen signs its tables with. */
export const OEM_ID = ascii('Xen')
const OEM_TABLE_ID = ascii('HVM')
const CREATOR_ID = ascii('HVML')

/** A whole table, checksum included. */
export function table(
  signature: string,
  revision: number,
  body: Uint8Array | readonly number[],
): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(TABLE_HEADER.size + body.length)
  TABLE_HEADER.write(new DataView(bytes.buffer), 0, {
    signature: ascii(signature),
    length: bytes.length,
    revision,
    oemId: OEM_ID,
    oemTableId: OEM_TABLE_ID,
    creatorId: CREATOR_ID,
  })
  bytes.set(body, TABLE_HEADER.size)
  bytes[TABLE_HEADER.offsetOf('checksum')] = checksum(bytes)
  return bytes
}

/** The byte that brings the sum of all bytes to 0 modulo 256; its own place must hold 0. */
export function checksum(bytes: Uint8Array): number {
  return -bytes.reduce((sum, byte) => sum + byte, 0) & 0xff
}

export function ascii(text: string): Uint8Array {
  return new TextEncoder().encode(text)
}
