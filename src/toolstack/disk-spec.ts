// Disk specifications in the syntax of xl-disk-configuration(5):
//   [key=value|flag,]* [target, [format, [vdev, [access]]]], [key=value|flag,]* [target=...]
// with its deprecated prefixes. One key is ours: `snapshot=1` keeps all writes in memory.

import { didYouMean } from '../base/did-you-mean.ts'
import { Mistake, readSpec, type SpecKind } from './device-spec.ts'
import { virtualDeviceNumber } from './virtual-device.ts'

const FORMATS = ['raw', 'qcow2', 'vhd'] as const
export type DiskFormat = (typeof FORMATS)[number]

export interface DiskSpec {
  /** Path of the image; undefined for an empty CD-ROM drive. */
  readonly target: string | undefined
  /** Undefined if it is not said, which means raw. */
  readonly format: DiskFormat | undefined
  readonly vdev: string
  /** The number of `vdev`. */
  readonly devid: number
  readonly isReadOnly: boolean
  readonly isCdrom: boolean
  readonly hasDiscard: boolean
  /** Writes stay in memory and end with the domain. */
  readonly isSnapshot: boolean
}

/** What each key and flag of xl is to us: `set` fills the draft; a text says why it is refused. */
type Parameter = ((draft: Draft, value: string) => void) | string

interface Draft {
  target?: string | undefined
  format?: DiskFormat | undefined
  vdev?: string
  isReadOnly?: boolean
  isCdrom?: boolean
  hasDiscard?: boolean
  isSnapshot?: boolean
  /** Positional parameters and keys that have been given, were it with an empty value. */
  readonly given: Set<string>
}

const DISK: SpecKind = {
  what: 'disk',
  remedy: 'See xl-disk-configuration(5); an example: /images/root.qcow2,qcow2,xvda,w',
  // By name, the target is all that follows, commas and blanks included.
  rest: 'target',
}

const POSITIONS = ['target', 'format', 'vdev', 'access'] as const

const COLO = 'COLO replication is not supported'

/** All of xl's keys and flags, and `snapshot`, which is ours. */
const PARAMETERS: Readonly<Record<string, Parameter>> = {
  target: (draft, value) => {
    draft.target = value || draft.target
  },
  format: setFormat,
  vdev: setVdev,
  access: setAccess,
  devtype: (draft, value) => {
    if (value !== 'cdrom' && value !== '') throw new Mistake(`There is no devtype "${value}"`)
    draft.isCdrom = value === 'cdrom'
  },
  cdrom: (draft) => {
    draft.isCdrom = true
  },
  backend: (_, value) => {
    if (value === '' || value === '0' || value === 'Domain-0') return
    throw new Mistake(`Disks are served by Domain-0 only, not by "${value}"`)
  },
  backendtype: (_, value) => {
    if (!['', 'phy', 'qdisk', 'standalone'].includes(value)) {
      throw new Mistake(`There is no backendtype "${value}"`)
    }
    if (value === 'standalone') throw new Mistake('The backendtype "standalone" is not supported')
  },
  script: 'Scripts are not run; give the device or file that the script would have made',
  'direct-io-safe': () => {},
  discard: (draft) => {
    draft.hasDiscard = true
  },
  'no-discard': (draft) => {
    draft.hasDiscard = false
  },
  trusted: () => {},
  untrusted: 'A backend that the guest does not trust is not supported',
  specification: (_, value) => {
    if (value === 'virtio') throw new Mistake('Virtio disks are not supported')
    if (value !== 'xen' && value !== '') throw new Mistake(`There is no specification "${value}"`)
  },
  snapshot: (draft, value) => {
    if (value !== '0' && value !== '1') throw new Mistake('snapshot is 0 or 1')
    draft.isSnapshot = value === '1'
  },
  colo: COLO,
  'colo-host': COLO,
  'colo-port': COLO,
  'colo-export': COLO,
  'active-disk': COLO,
  'hidden-disk': COLO,
}

const FLAGS = new Set([
  'cdrom',
  'direct-io-safe',
  'discard',
  'no-discard',
  'trusted',
  'untrusted',
  'colo',
])

/** Prefixes that are stripped and ignored, as the manual page says. */
const IGNORED_PREFIX = /^(?:tapdisk|tap2?|aio|ioemu|file|phy):/
const SCRIPT_PREFIX = /^(?:iscsi|e?nbd|drbd):/
const FORMAT_PREFIX = /^(raw|qcow2?|vhd|qed):/

/**
 * Reads a disk specification.
 * @throws SpecError
 */
export function parseDiskSpec(text: string): DiskSpec {
  const draft: Draft = { given: new Set() }
  return readSpec(
    DISK,
    text,
    (piece) => take(draft, piece.text),
    () => finish(draft),
  )
}

/** The specification that {@link parseDiskSpec} reads as this disk. */
export function formatDiskSpec(disk: DiskSpec): string {
  const parts = [
    ...(disk.format === undefined ? [] : [`format=${disk.format}`]),
    `vdev=${disk.vdev}`,
    `access=${disk.isReadOnly ? 'ro' : 'rw'}`,
    ...(disk.isCdrom ? ['cdrom'] : []),
    ...(disk.hasDiscard ? [] : ['no-discard']),
    ...(disk.isSnapshot ? ['snapshot=1'] : []),
    ...(disk.target === undefined ? [] : [`target=${disk.target}`]),
  ]
  return parts.join(',')
}

function take(draft: Draft, piece: string): void {
  const text = draft.given.size === 0 ? withoutPrefix(draft, piece) : piece
  const [, key, value] = /^([a-z][\w-]*)=(.*)$/s.exec(text) ?? []
  const word = text.trimEnd()
  if (key !== undefined && value !== undefined) {
    if (FLAGS.has(key)) throw new Mistake(`"${key}" takes no value`)
    set(draft, key, key === 'target' ? value : value.trimEnd())
  } else if (FLAGS.has(word)) set(draft, word, '')
  else setPosition(draft, word)
}

/** Deprecated prefixes of the target: `file:/path`, `tap:aio:qcow2:/path`. */
function withoutPrefix(draft: Draft, text: string): string {
  let rest = text
  for (;;) {
    const ignored = IGNORED_PREFIX.exec(rest)
    const format = FORMAT_PREFIX.exec(rest)
    if (SCRIPT_PREFIX.test(rest)) throw new Mistake(String(PARAMETERS['script']))
    if (format?.[1] !== undefined) setFormat(draft, format[1])
    const found = ignored ?? format
    if (!found) return rest
    // As xl: with a prefix, the format is not positional any more.
    draft.given.add('format')
    rest = rest.slice(found[0].length)
  }
}

function setPosition(draft: Draft, word: string): void {
  const position = POSITIONS.find((name) => !draft.given.has(name))
  if (!position) throw new Mistake(`"${word}" is one positional parameter too many`)
  // The old syntax: hdc:cdrom.
  const [vdev, devtype] = position === 'vdev' ? word.split(':') : [word]
  set(draft, position, vdev ?? '')
  if (devtype !== undefined) set(draft, 'devtype', devtype)
}

function set(draft: Draft, key: string, value: string): void {
  const parameter = Object.hasOwn(PARAMETERS, key) ? PARAMETERS[key] : undefined
  if (parameter === undefined) {
    throw new Mistake(`There is no parameter "${key}"`, meant(key, Object.keys(PARAMETERS)))
  }
  if (typeof parameter === 'string') throw new Mistake(parameter)
  const isEmptyTarget = key === 'target' && draft.target === undefined
  if (draft.given.has(key) && !isEmptyTarget) throw new Mistake(`"${key}" is given twice`)
  draft.given.add(key)
  parameter(draft, value)
}

function setFormat(draft: Draft, value: string): void {
  if (value === '') return
  if (value === 'qcow' || value === 'qed') {
    throw new Mistake(`The format ${value} is not supported; qemu-img convert makes qcow2 of it`)
  }
  if (!isFormat(value)) {
    throw new Mistake(`There is no format "${value}"`, meant(value, FORMATS) ?? 'raw, qcow2 or vhd')
  }
  draft.format = value
}

function isFormat(text: string): text is DiskFormat {
  return FORMATS.some((format) => format === text)
}

function meant(text: string, known: readonly string[]): string | undefined {
  const near = didYouMean(text, known)
  return near === undefined ? undefined : `did you mean "${near}"?`
}

function setVdev(draft: Draft, value: string): void {
  if (value === '') return
  if (virtualDeviceNumber(value) === undefined) {
    throw new Mistake(`"${value}" is no virtual device such as xvda, hdc or sdb1`)
  }
  draft.vdev = value
}

function setAccess(draft: Draft, value: string): void {
  if (value === '') return
  if (!['r', 'ro', 'w', 'rw'].includes(value)) {
    throw new Mistake(`There is no access "${value}"`, 'r (or ro) and w (or rw) are there')
  }
  draft.isReadOnly = value.startsWith('r') && value !== 'rw'
}

function finish(draft: Draft): DiskSpec {
  const { vdev, target, isCdrom = false, isSnapshot = false } = draft
  const devid = vdev === undefined ? undefined : virtualDeviceNumber(vdev)
  if (vdev === undefined || devid === undefined) {
    throw new Mistake('It names no virtual device (vdev), such as xvda')
  }
  if (target === undefined && !isCdrom) throw new Mistake('It names no image (target)')
  return {
    target,
    format: draft.format,
    vdev,
    devid,
    // As xl: a CD-ROM is read-only, whatever is said.
    isReadOnly: isCdrom || (draft.isReadOnly ?? false),
    isCdrom,
    hasDiscard: draft.hasDiscard ?? true,
    isSnapshot,
  }
}
