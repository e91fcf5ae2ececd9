// One string of disk = […] as plain values, by xl-disk-configuration(5): positional parameters
// (target, format, vdev, access), the same by name, flags, and the deprecated prefixes. Which of it
// the block backend can do is for the backend to say.

import { didYouMean } from '../../base/did-you-mean.ts'
import { type Parameter, parametersOf, SpecError } from './spec-text.ts'

const FORMATS = ['raw', 'qcow', 'qcow2', 'vhd', 'qed'] as const
export type DiskFormat = (typeof FORMATS)[number]

export interface DiskSpec {
  /** Path of the image or block device; empty for a CD drive without a disc. */
  readonly target: string
  readonly format: DiskFormat
  /** The device as the guest sees it: `xvda`, `hdc`, `sdb1`, `d0p1`, a number. */
  readonly vdev: string
  readonly access: 'ro' | 'rw'
  readonly isCdrom: boolean
  /** Whether the guest is told that it may discard. */
  readonly discard: boolean
  readonly isTrusted: boolean
  /** What is written stays in memory and is gone with the domain; an extension. */
  readonly isSnapshot: boolean
  readonly directIoSafe: boolean
  readonly backend?: string
  readonly backendType?: string
  readonly script?: string
  readonly specification?: string
}

const POSITIONAL = ['target', 'format', 'vdev', 'access']
const NAMED = [
  ...POSITIONAL,
  ...['devtype', 'backend', 'backendtype', 'script', 'specification', 'snapshot'],
]
const FLAGS: Readonly<Record<string, readonly [key: string, value: string]>> = {
  cdrom: ['devtype', 'cdrom'],
  discard: ['discard', '1'],
  'no-discard': ['discard', '0'],
  trusted: ['trusted', '1'],
  untrusted: ['trusted', '0'],
  'direct-io-safe': ['direct-io-safe', '1'],
  snapshot: ['snapshot', '1'],
}
const VDEV = /^(?:(?:xvd|hd|sd|vd)[a-z]+\d*|d\d+(?:p\d+)?|\d+|0x[0-9a-f]+)$/
/** What stood before the target in files for older toolstacks; the last one is the format. */
const PREFIX = /^(?:(?:phy|file|tap2?|aio|tapdisk|qdisk|raw|qcow2|qcow|vhd|qed):)+/

/** @throws SpecError */
export function parseDiskSpec(text: string): DiskSpec {
  const given = new Map<string, Parameter>()
  for (const parameter of parametersOf(text, 'target')) take(parameter, given)
  const read = (key: string) => given.get(key)?.value || undefined
  const vdev = read('vdev')
  if (vdev === undefined) {
    throw new SpecError(
      'The disk has no vdev',
      'such as xvda: TARGET,FORMAT,VDEV,ACCESS',
      0,
      text.length,
    )
  }
  const isCdrom = read('devtype') === 'cdrom'
  const target = read('target') ?? ''
  if (target === '' && !isCdrom) {
    throw new SpecError('The disk has no target', 'only a CD drive can be empty', 0, text.length)
  }
  return {
    target,
    format: choice(given, 'format', FORMATS) ?? 'raw',
    vdev,
    access: accessOf(given) ?? (isCdrom ? 'ro' : 'rw'),
    isCdrom,
    discard: read('discard') !== '0',
    isTrusted: read('trusted') !== '0',
    isSnapshot: (read('snapshot') ?? '0') !== '0',
    directIoSafe: read('direct-io-safe') === '1',
    ...optional('backend', read('backend')),
    ...optional('backendType', choice(given, 'backendtype', ['phy', 'qdisk', 'standalone', 'tap'])),
    ...optional('script', read('script')),
    ...optional('specification', choice(given, 'specification', ['xen', 'virtio'])),
  }
}

function take(parameter: Parameter, given: Map<string, Parameter>): void {
  const { key, value, start, end } = parameter
  const flag = value === undefined ? FLAGS[key] : undefined
  if (flag) return put(flag[0], { ...parameter, value: flag[1] }, given)
  if (value !== undefined) {
    if (NAMED.includes(key)) return put(key, parameter, given)
    const near = didYouMean(key, NAMED)
    const hint = near ? `did you mean "${near}"?` : 'disks have no such parameter'
    throw new SpecError(`Unknown parameter "${key}"`, hint, start, start + key.length)
  }
  const position = POSITIONAL.find((name) => !given.has(name))
  if (position === undefined) {
    if (key === '') return
    throw new SpecError(
      `"${key}" is too much`,
      'four values can stand without their names',
      start,
      end,
    )
  }
  if (position === 'target') takeTarget({ ...parameter, value: key }, given)
  else if (position === 'vdev') takeVdev({ ...parameter, value: key }, given)
  else given.set(position, { ...parameter, value: key })
}

function takeTarget(parameter: Parameter, given: Map<string, Parameter>): void {
  const prefix = PREFIX.exec(parameter.value ?? '')?.[0]
  given.set('target', { ...parameter, value: parameter.value?.slice(prefix?.length ?? 0) })
  if (prefix === undefined) return
  const format = prefix.split(':').findLast((word) => FORMATS.some((known) => known === word))
  if (!given.has('format')) given.set('format', { ...parameter, value: format ?? '' })
}

function takeVdev(parameter: Parameter, given: Map<string, Parameter>): void {
  const [vdev = '', devtype] = (parameter.value ?? '').split(':')
  put('vdev', { ...parameter, value: vdev }, given)
  if (devtype !== undefined) put('devtype', { ...parameter, value: devtype }, given)
}

/** Each parameter may be given once; only the target may be given again, when it was empty. */
function put(key: string, parameter: Parameter, given: Map<string, Parameter>): void {
  const { value = '', start, end } = parameter
  const earlier = given.get(key)
  if (earlier && !(key === 'target' && !earlier.value)) {
    throw new SpecError(`${key} is given twice`, 'leave one out', start, end)
  }
  if (key === 'vdev' && value !== '' && !VDEV.test(value)) {
    throw new SpecError(`"${value}" is no vdev`, 'it is xvda, hdc, sdb1 or the like', start, end)
  }
  if (key === 'devtype' && value !== '' && value !== 'cdrom' && value !== 'disk') {
    throw new SpecError(`devtype cannot be "${value}"`, 'it is cdrom', start, end)
  }
  given.set(key, parameter)
}

function accessOf(given: ReadonlyMap<string, Parameter>): 'ro' | 'rw' | undefined {
  const access = choice(given, 'access', ['ro', 'r', 'rw', 'w'])
  if (access === undefined) return undefined
  return access.startsWith('r') && access !== 'rw' ? 'ro' : 'rw'
}

function choice<T extends string>(
  given: ReadonlyMap<string, Parameter>,
  key: string,
  choices: readonly T[],
): T | undefined {
  const parameter = given.get(key)
  if (!parameter?.value) return undefined
  const found = choices.find((one) => one === parameter.value)
  if (found !== undefined) return found
  const near = didYouMean(parameter.value, choices)
  const hint = near ? `did you mean "${near}"?` : `it is one of ${choices.join(', ')}`
  const { start, end, value } = parameter
  throw new SpecError(`${key} cannot be "${value}"`, hint, start, end)
}

function optional<K extends string>(key: K, value: string | undefined) {
  return (value === undefined ? {} : { [key]: value }) as { readonly [P in K]?: string }
}
