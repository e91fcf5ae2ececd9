// One string of vif = […] as plain values, by xl-network-configuration(5). Which of it the network
// backend can do is for the backend to say.

import { didYouMean } from '../../base/did-you-mean.ts'
import { type Parameter, parametersOf, SpecError } from './spec-text.ts'

export interface VifSpec {
  /** Lower case, with colons; the backend makes one if there is none. */
  readonly mac?: string
  readonly bridge?: string
  readonly gatewayDevice?: string
  readonly ip?: string
  readonly script?: string
  readonly backend?: string
  readonly vifName?: string
  readonly model?: string
  readonly type?: string
  readonly deviceId?: number
  readonly mtu?: number
  readonly rate?: RateLimit
  readonly isTrusted: boolean
}

/** So many bytes are credited to the guest each so many microseconds. */
export interface RateLimit {
  readonly bytes: number
  readonly intervalUs: number
}

/** By the name in the file: the field that takes the text as it is. */
const TEXTS: Readonly<Record<string, keyof VifSpec>> = {
  bridge: 'bridge',
  gatewaydev: 'gatewayDevice',
  netdev: 'gatewayDevice',
  ip: 'ip',
  script: 'script',
  backend: 'backend',
  vifname: 'vifName',
  model: 'model',
}
const READ = ['mac', 'type', 'devid', 'mtu', 'rate']
const KEYS = [...Object.keys(TEXTS), ...READ]

const RATE_UNITS: Readonly<Record<string, number>> = {
  B: 1,
  KB: 1000,
  MB: 1e6,
  GB: 1e9,
  b: 1 / 8,
  Kb: 1000 / 8,
  Mb: 1e6 / 8,
  Gb: 1e9 / 8,
}
const INTERVAL_UNITS: Readonly<Record<string, number>> = { us: 1, ms: 1000, s: 1e6 }
const DEFAULT_INTERVAL_US = 50_000

/** @throws SpecError */
export function parseVifSpec(text: string): VifSpec {
  const fields: Record<string, unknown> = { isTrusted: true }
  if (text.trim() === '') return { isTrusted: true }
  for (const parameter of parametersOf(text)) {
    const { key, value, start, end } = parameter
    if (value === undefined) {
      if (key === 'trusted' || key === 'untrusted') fields['isTrusted'] = key === 'trusted'
      else if (key !== '') throw new SpecError(`"${key}" is no flag`, 'KEY=VALUE', start, end)
      continue
    }
    const field = TEXTS[key]
    if (field !== undefined) fields[field] = value.trim()
    else Object.assign(fields, readKey(parameter, value.trim()))
  }
  return fields as unknown as VifSpec
}

function readKey({ key, start, end }: Parameter, value: string): Partial<VifSpec> {
  const wrong = (hint: string) => new SpecError(`${key} cannot be "${value}"`, hint, start, end)
  switch (key) {
    case 'mac': {
      if (!/^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/i.test(value)) throw wrong('six pairs of hex digits')
      if (Number.parseInt(value.slice(0, 2), 16) & 1) throw wrong('it is a group address')
      return { mac: value.toLowerCase() }
    }
    case 'type':
      if (value !== 'vif' && value !== 'ioemu') throw wrong('it is vif or ioemu')
      return { type: value }
    case 'devid':
      if (!/^\d{1,4}$/.test(value)) throw wrong('it is a number')
      return { deviceId: Number(value) }
    case 'mtu':
      if (!/^\d{2,5}$/.test(value) || Number(value) > 65535) throw wrong('it is 10 to 65535')
      return { mtu: Number(value) }
    case 'rate': {
      const rate = rateOf(value)
      if (!rate) throw wrong('such as 10Mb/s or 1MB/s@20ms')
      return { rate }
    }
    default: {
      const near = didYouMean(key, KEYS)
      const hint = near ? `did you mean "${near}"?` : 'network interfaces have no such parameter'
      throw new SpecError(`Unknown parameter "${key}"`, hint, start, start + key.length)
    }
  }
}

/** `RATE/s` or `RATE/s@INTERVAL`. */
function rateOf(text: string): RateLimit | undefined {
  const match = /^(\d+)([GMK]?[Bb])\/s(?:@(\d+)(us|ms|s))?$/.exec(text)
  const [, amount, unit = '', interval, intervalUnit = ''] = match ?? []
  if (amount === undefined) return undefined
  const bytesPerSecond = Number(amount) * (RATE_UNITS[unit] ?? 0)
  const intervalUs =
    interval === undefined
      ? DEFAULT_INTERVAL_US
      : Number(interval) * (INTERVAL_UNITS[intervalUnit] ?? 0)
  const bytes = Math.floor((bytesPerSecond * intervalUs) / 1e6)
  return bytes > 0 && intervalUs > 0 ? { bytes, intervalUs } : undefined
}
