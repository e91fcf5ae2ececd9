// A forwarded port as a user writes it: [udp:][ADDRESS/]HOSTPORT[:GUESTPORT], an IPv6 address in
// brackets as in URLs.

const MOST_PORT = 65535

/** A port of the host that leads to one of the guest. */
export interface PortForward {
  readonly protocol: 'tcp' | 'udp'
  /** Address of the host to listen on, IPv4 or IPv6. */
  readonly address: string
  readonly hostPort: number
  readonly guestPort: number
}

/** Reads a port; undefined if the text is none. */
export function parseForward(text: string): PortForward | undefined {
  const found =
    /^(?:(tcp|udp):)?(?:(?:([\d.]+)|\[([\da-fA-F:.]+)\])\/)?(\d{1,5})(?::(\d{1,5}))?$/.exec(text)
  if (!found) return undefined
  const [, protocol = 'tcp', four, six, host, guest = host] = found
  const hostPort = Number(host)
  const guestPort = Number(guest)
  const isPort = (port: number) => port >= 1 && port <= MOST_PORT
  if (!isPort(hostPort) || !isPort(guestPort)) return undefined
  if (four !== undefined && ipv4Number(four) === undefined) return undefined
  if (six !== undefined && !isIpv6(six)) return undefined
  const address = six?.toLowerCase() ?? four ?? '127.0.0.1'
  return { protocol: protocol === 'udp' ? 'udp' : 'tcp', address, hostPort, guestPort }
}

/** The text that {@link parseForward} reads as this. */
export function formatForward({ protocol, address, hostPort, guestPort }: PortForward): string {
  const place = address.includes(':') ? `[${address}]` : address
  return `${protocol}:${place}/${hostPort}:${guestPort}`
}

/** An IPv4 address as a number of 32 bits; undefined if the text is none. */
export function ipv4Number(text: string): number | undefined {
  if (!/^\d{1,3}(\.\d{1,3}){3}$/.test(text)) return undefined
  const bytes = text.split('.').map(Number)
  return bytes.every((byte) => byte < 256)
    ? bytes.reduce((sum, byte) => sum * 256 + byte, 0)
    : undefined
}

/** Is it an IPv6 address (RFC 4291, 2.2), without a zone. */
function isIpv6(text: string): boolean {
  const halves = text.split('::')
  if (halves.length > 2) return false
  const groups = halves.flatMap((half) => (half === '' ? [] : half.split(':')))
  const last = groups.at(-1)
  const endsInIpv4 = last?.includes('.') === true
  if (endsInIpv4 && ipv4Number(last) === undefined) return false
  const words = endsInIpv4 ? groups.slice(0, -1) : groups
  if (!words.every((word) => /^[\da-f]{1,4}$/i.test(word))) return false
  const count = words.length + (endsInIpv4 ? 2 : 0)
  return halves.length === 2 ? count < 8 : count === 8
}
