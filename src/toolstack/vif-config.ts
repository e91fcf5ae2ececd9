// What a user asks for in a network interface: the text of xl-network-configuration(5), with two
// keys of our own (`gateway` and `forward`), and the same as an object, for the library. Keys that
// mean nothing here are taken, with a warning.

import { didYouMean } from '../base/did-you-mean.ts'
import { isGroup, parseMac } from '../backends/net/mac.ts'
import type { Rate } from '../backends/net/rate-limit.ts'
import { formatForward, ipv4Number, parseForward, type PortForward } from './port-forward.ts'
import { Mistake, type Piece, readSpec, type SpecKind, type SpecRemark } from './device-spec.ts'

export interface VifConfig {
  /** Ethernet address, such as 00:16:3e:01:02:03; made from the domain's name if not given. */
  readonly mac?: string
  /** Name of the switch; `xenbr0` if not given. */
  readonly bridge?: string
  /** Whether it has a way to the outside; if not given, it has one unless a bridge is named. */
  readonly hasGateway?: boolean
  readonly forwards?: readonly PortForward[]
  /** The address that the gateway gives to the guest. */
  readonly ip?: string
  readonly mtu?: number
  /** What the guest may send at most. */
  readonly rate?: Rate
  /** Name of the host's end; vifDOMID.DEVID if not given. */
  readonly vifname?: string
  readonly devid?: number
  readonly isTrusted?: boolean
}

export const DEFAULT_BRIDGE = 'xenbr0'
const DEFAULT_RATE_INTERVAL_US = 50_000

/** What a key says; undefined if its value makes no sense. */
type KeyReader = (value: string) => VifConfig | undefined

interface Key {
  readonly summary: string
  readonly takes: string
  readonly read: KeyReader
}

/** Keys that may be given several times add up; of others the last one holds. */
export const VIF_KEYS: ReadonlyMap<string, Key> = new Map(
  Object.entries({
    mac: {
      summary:
        "the guest's Ethernet address; otherwise made from the domain's name and number, in 00:16:3e",
      takes: 'an Ethernet address of one interface, such as 00:16:3e:01:02:03',
      read: (mac: string) => {
        const address = parseMac(mac)
        return address && !isGroup(address) ? { mac } : undefined
      },
    },
    bridge: {
      summary:
        'the built-in switch that it is plugged into; xenbr0 if not given. Naming one also means gateway=none, unless that or a forward is given. If the machine has a bridge of that name, and root runs the host, the switch is joined to it',
      takes: 'a name of letters, digits, dots, dashes and underscores',
      read: (bridge: string) => (/^[\w.-]{1,64}$/.test(bridge) ? { bridge } : undefined),
    },
    gateway: {
      summary:
        'whether it has a way to the outside, through a passt of its own; has no counterpart in xl',
      takes: '"passt" or "none"',
      read: (kind: string) =>
        kind === 'passt' || kind === 'none' ? { hasGateway: kind === 'passt' } : undefined,
    },
    forward: {
      summary:
        'a port of the host that leads to the guest, from 127.0.0.1 unless another address is given; may be repeated; has no counterpart in xl',
      takes: '[udp:][ADDRESS/]HOSTPORT[:GUESTPORT], such as 8080:80 or [::1]/8080:80',
      read: (text: string) => {
        const forward = parseForward(text)
        return forward && { forwards: [forward] }
      },
    },
    ip: {
      summary:
        'the address that the gateway gives to the guest; without a gateway only noted in xenstore',
      takes: 'an IPv4 address',
      read: (ip: string) => (ipv4Number(ip) === undefined ? undefined : { ip }),
    },
    mtu: {
      summary: 'told to the guest through xenstore, and by DHCP',
      takes: 'a number from 68 to 65521',
      read: (text: string) => {
        const mtu = wholeNumber(text)
        return mtu !== undefined && mtu >= 68 && mtu <= 65521 ? { mtu } : undefined
      },
    },
    rate: {
      summary: 'what the guest may send at most, as credit for each interval',
      takes: 'RATE/s or RATE/s@INTERVAL, such as 10Mb/s or 1MB/s@20ms',
      read: (text: string) => {
        const rate = parseRate(text)
        return rate && { rate }
      },
    },
    vifname: {
      summary: "name of the host's end; vifDOMID.DEVID if not given",
      takes: 'a name of at most 15 letters, digits, dots, dashes and underscores',
      read: (vifname: string) => (/^[\w.-]{1,15}$/.test(vifname) ? { vifname } : undefined),
    },
    devid: {
      summary: 'number of the interface; the lowest free one if not given',
      takes: 'a number from 0 to 255',
      read: (text: string) => {
        const devid = wholeNumber(text)
        return devid !== undefined && devid <= 255 ? { devid } : undefined
      },
    },
    trusted: {
      summary: 'tells the guest that it may trust the host',
      takes: 'no value, 0 or 1',
      read: (text: string) => trust(text, true),
    },
    untrusted: {
      summary: 'tells the guest that it should not trust the host',
      takes: 'no value, 0 or 1',
      read: (text: string) => trust(text, false),
    },
  }),
)

/** Keys of xl that are taken and mean nothing here, and why. */
export const IGNORED_VIF_KEYS: ReadonlyMap<string, string> = new Map(
  Object.entries({
    script: 'no hotplug scripts are run: the switch is built in',
    model: 'it is for emulated network cards, which a PV or PVH guest has not',
    type: 'it is for emulated network cards, which a PV or PVH guest has not',
    gatewaydev: 'it is for the script vif-route',
    netdev: 'it is for the script vif-route',
    backend: 'all backends are in this process',
    accel: 'it is obsolete',
  }),
)

const VIF: SpecKind = {
  what: 'network interface',
  remedy:
    'See docs/reference/network-interfaces.md; an example: mac=00:16:3e:01:02:03,bridge=xenbr0',
}

/**
 * Reads a specification such as `mac=00:16:3e:01:02:03,bridge=xenbr0,rate=10Mb/s`.
 * @param warn told of each key that is ignored
 * @throws SpecError for an unknown key, or a value that makes no sense
 */
export function parseVifSpec(
  spec: string,
  warn: (remark: SpecRemark) => void = () => {},
): VifConfig {
  const config: VifConfig = {}
  const forwards: PortForward[] = []
  const take = ({ text, start, end }: Piece) => {
    const [, key = '', value = ''] = /^([^=]*?)\s*(?:=\s*(.*))?$/s.exec(text.trimEnd()) ?? []
    if (key === '' && value === '') return
    const hint = IGNORED_VIF_KEYS.get(key)
    if (hint !== undefined) return warn({ message: `${key} is ignored`, hint, start, end })
    const known = VIF_KEYS.get(key)
    if (!known) throw new Mistake(`There is no key "${key}"`, meantKey(key))
    const read = known.read(value)
    if (!read) throw new Mistake(`${key} cannot be "${value}"`, `it takes ${known.takes}`)
    forwards.push(...(read.forwards ?? []))
    Object.assign(config, read, forwards.length > 0 && { forwards })
  }
  return readSpec(VIF, spec, take, () => {
    checkVif(config)
    return config
  })
}

function checkVif({ hasGateway, forwards }: VifConfig): void {
  if (hasGateway !== false || !forwards?.length) return
  throw new Mistake(
    'An interface without a gateway cannot have ports forwarded',
    'leave out gateway=none, or the forwards',
  )
}

/** The specification that {@link parseVifSpec} reads as this configuration. */
export function formatVifSpec(config: VifConfig): string {
  const { forwards = [], rate, hasGateway, isTrusted, ...plain } = config
  const bits = rate && Math.ceil((rate.bytes * 8e6) / rate.intervalUs)
  const parts = [
    ...Object.entries(plain).flatMap(([key, value]) =>
      value === undefined ? [] : [`${key}=${value}`],
    ),
    ...(hasGateway === undefined ? [] : [`gateway=${hasGateway ? 'passt' : 'none'}`]),
    ...(rate ? [`rate=${bits}b/s@${rate.intervalUs}us`] : []),
    ...(isTrusted === false ? ['untrusted'] : []),
    ...forwards.map((forward) => `forward=${formatForward(forward)}`),
  ]
  return parts.join(',')
}

function meantKey(key: string): string {
  const keys = [...VIF_KEYS.keys(), ...IGNORED_VIF_KEYS.keys()]
  const near = didYouMean(key, keys)
  return near === undefined ? `the keys are ${keys.join(', ')}` : `did you mean "${near}"?`
}

/** Does the interface have a way to the outside. */
export function hasGateway({ hasGateway, bridge, forwards }: VifConfig): boolean {
  return hasGateway ?? (bridge === undefined || (forwards?.length ?? 0) > 0)
}

function trust(text: string, isTrusted: boolean): VifConfig | undefined {
  if (text === '' || text === '1') return { isTrusted }
  return text === '0' ? { isTrusted: !isTrusted } : undefined
}

function wholeNumber(text: string): number | undefined {
  return /^\d{1,9}$/.test(text) ? Number(text) : undefined
}

/** Bits or bytes a second, in powers of ten as libxl has them, and how often credit is given. */
function parseRate(text: string): Rate | undefined {
  const found = /^(\d{1,15})([GMK]?)([bB])\/s(?:@(\d{1,9})(ms|us|s)?)?$/.exec(text)
  if (!found) return undefined
  const [, amount, prefix = '', unit, interval, intervalUnit = 'us'] = found
  const scale = { '': 1, K: 1e3, M: 1e6, G: 1e9 }[prefix] ?? 1
  const perSecond = (Number(amount) * scale) / (unit === 'b' ? 8 : 1)
  const factor = { us: 1, ms: 1e3, s: 1e6 }[intervalUnit] ?? 1
  const intervalUs = interval === undefined ? DEFAULT_RATE_INTERVAL_US : Number(interval) * factor
  const bytes = Math.floor((perSecond * intervalUs) / 1e6)
  return bytes > 0 && intervalUs <= 4_294_967_295 ? { bytes, intervalUs } : undefined
}
