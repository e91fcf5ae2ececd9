// Ethernet addresses: as text, and as numbers of 48 bits, which maps and comparisons take best.

export const BROADCAST = 0xffff_ffff_ffff

/** The address at an offset of a frame. */
export function macAt(bytes: Uint8Array, at: number): number {
  let mac = 0
  for (let i = 0; i < 6; i++) mac = mac * 256 + (bytes[at + i] ?? 0)
  return mac
}

/** Puts an address into a frame. */
export function setMac(bytes: Uint8Array, at: number, mac: number): void {
  for (let i = 5, rest = mac; i >= 0; i--, rest = Math.floor(rest / 256)) bytes[at + i] = rest % 256
}

/** Is it an address of a group: broadcast or multicast. */
export function isGroup(mac: number): boolean {
  return (Math.floor(mac / 2 ** 40) & 1) !== 0
}

/** `00:16:3e:12:34:56` as a number; undefined if it is no address. */
export function parseMac(text: string): number | undefined {
  if (!/^[\da-f]{2}(:[\da-f]{2}){5}$/i.test(text)) return undefined
  return Number.parseInt(text.replaceAll(':', ''), 16)
}

export function formatMac(mac: number): string {
  const digits = mac.toString(16).padStart(12, '0')
  return digits.replace(/..(?!$)/g, '$&:')
}
