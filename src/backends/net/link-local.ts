// The IPv6 address that belongs to an Ethernet address on its own link: fe80::/64 and the modified
// EUI-64 (RFC 4291, 2.5.6 and appendix A).

/** Its 16 bytes. */
export function linkLocalOf(mac: number): Uint8Array<ArrayBuffer> {
  const address = new Uint8Array(16)
  const high = Math.floor(mac / 2 ** 24)
  address.set([0xfe, 0x80])
  address.set([(high >>> 16) ^ 2, high >>> 8, high, 0xff, 0xfe, mac >>> 16, mac >>> 8, mac], 8)
  return address
}

/** As text. */
export function linkLocalText(mac: number): string {
  const view = new DataView(linkLocalOf(mac).buffer)
  const words = [8, 10, 12, 14].map((at) => view.getUint16(at).toString(16))
  return `fe80::${words.join(':')}`
}
