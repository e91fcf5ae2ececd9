// The header of a qcow2 image, versions 2 and 3 (QEMU's docs/interop/qcow2.txt, "Header" and "Header
// extensions"), read and checked. All numbers are big-endian. Not supported, and refused: encryption,
// external data files, extended L2 entries, and whatever else the image marks as incompatible.

import { SECTOR } from '../disk-image.ts'
import { type ByteStorage, ImageError, readExactly } from '../storage.ts'

/** Unpacks a compressed cluster of `size` bytes; undefined if that fails. `input` may be longer. */
export type Inflate = (
  method: 'deflate' | 'zstd',
  input: Uint8Array,
  size: number,
) => Uint8Array | undefined

export interface Qcow2Header {
  readonly version: 2 | 3
  /** Bytes of the disk. */
  readonly size: number
  readonly clusterBits: number
  readonly l1Offset: number
  readonly l1Entries: number
  readonly refcountTableOffset: number
  readonly refcountTableClusters: number
  /** Bits of a reference count: 1 to 64. */
  readonly refcountBits: number
  readonly snapshotCount: number
  readonly snapshotsOffset: number
  readonly compression: 'deflate' | 'zstd'
  /** The image was not closed: its reference counts may be wrong. */
  readonly isDirty: boolean
  /** Somebody found the image's structure damaged and said so. */
  readonly isCorrupt: boolean
  readonly hasAutoclear: boolean
  readonly backing: { readonly name: string; readonly format: string | undefined } | undefined
}

/** Where the fields are that are written back. */
export const REFCOUNT_TABLE_FIELD = 48
export const INCOMPATIBLE_FIELD = 72
export const AUTOCLEAR_FIELD = 88

const MAGIC = 0x514649fb
const V2_BYTES = 72
const V3_BYTES = 104
const DIRTY = 1n
const CORRUPT = 2n
const COMPRESSION_TYPE = 8n
const SUPPORTED = DIRTY | CORRUPT | COMPRESSION_TYPE
const INCOMPATIBLE_NAMES = ['dirty', 'corrupt', 'data-file', 'compression-type', 'extended-l2']
const EXTENSION_END = 0
const EXTENSION_BACKING_FORMAT = 0xe2792aca
/** As QEMU: more would only serve to make readers allocate memory. */
const MAX_L1_BYTES = 32 * 2 ** 20
const MAX_REFCOUNT_TABLE_BYTES = 8 * 2 ** 20
const MAX_SNAPSHOTS = 65536
const MAX_NAME = 1023
/** Larger than any file system takes, and exact as a number. */
const MAX_BYTES = 2 ** 52

/** @throws ImageError if it is no qcow2 image, is damaged, or needs what is not supported */
export function readQcow2Header(storage: ByteStorage): Qcow2Header {
  const start = readExactly(storage, 0, V2_BYTES, 'header')
  const v2 = new DataView(start.buffer)
  if (v2.getUint32(0) !== MAGIC) throw new ImageError('It is no qcow2 image.')
  const version = v2.getUint32(4)
  if (version !== 2 && version !== 3) {
    throw new ImageError(`It is qcow2 of version ${version}; 2 and 3 are supported.`)
  }
  const clusterBits = v2.getUint32(20)
  if (clusterBits < 9 || clusterBits > 21) {
    throw new ImageError(`Its clusters cannot have 2^${clusterBits} bytes.`)
  }
  if (v2.getUint32(32) !== 0) throw new ImageError('It is encrypted, which is not supported.')
  const more = version === 3 ? readVersion3(storage) : VERSION_2
  const header = {
    version,
    size: numberAt(v2, 24),
    clusterBits,
    l1Entries: v2.getUint32(36),
    l1Offset: numberAt(v2, 40),
    refcountTableOffset: numberAt(v2, REFCOUNT_TABLE_FIELD),
    refcountTableClusters: v2.getUint32(56),
    snapshotCount: v2.getUint32(60),
    snapshotsOffset: numberAt(v2, 64),
    ...more,
    backing: readBacking(storage, v2, more.headerBytes, 2 ** clusterBits),
  } as const
  checkGeometry(header)
  return header
}

const VERSION_2 = {
  refcountBits: 16,
  compression: 'deflate',
  isDirty: false,
  isCorrupt: false,
  hasAutoclear: false,
  headerBytes: V2_BYTES,
} as const

function readVersion3(storage: ByteStorage) {
  const view = new DataView(readExactly(storage, 0, V3_BYTES, 'header').buffer)
  const incompatible = view.getBigUint64(INCOMPATIBLE_FIELD)
  const unknown = incompatible & ~SUPPORTED
  if (unknown !== 0n) {
    const bit = unknown.toString(2).length - 1
    const name = INCOMPATIBLE_NAMES[bit] ?? `bit ${bit}`
    throw new ImageError(`It needs the feature ${name}, which is not supported.`)
  }
  const order = view.getUint32(96)
  if (order > 6) throw new ImageError(`Its reference counts cannot have 2^${order} bits.`)
  const headerBytes = view.getUint32(100)
  if (headerBytes < V3_BYTES || headerBytes % 8 !== 0 || headerBytes > 512) {
    throw new ImageError(`Its header cannot have ${headerBytes} bytes.`)
  }
  const hasType = (incompatible & COMPRESSION_TYPE) !== 0n && headerBytes > V3_BYTES
  const type = hasType ? readExactly(storage, V3_BYTES, 1, 'header')[0] : 0
  if (type !== 0 && type !== 1) throw new ImageError(`Its compression type ${type} is not known.`)
  return {
    refcountBits: 2 ** order,
    compression: type === 1 ? 'zstd' : 'deflate',
    isDirty: (incompatible & DIRTY) !== 0n,
    isCorrupt: (incompatible & CORRUPT) !== 0n,
    hasAutoclear: view.getBigUint64(AUTOCLEAR_FIELD) !== 0n,
    headerBytes,
  } as const
}

function checkGeometry(header: Omit<Qcow2Header, 'backing'>): void {
  const { size, clusterBits, l1Entries, l1Offset, refcountTableOffset } = header
  const clusterBytes = 2 ** clusterBits
  if (size > MAX_BYTES || size % SECTOR !== 0) {
    throw new ImageError(`Its disk cannot have ${size} bytes.`)
  }
  if (l1Entries * 8 > MAX_L1_BYTES) throw new ImageError('Its L1 table is too large.')
  if (l1Entries < l1EntriesFor(size, clusterBits)) {
    throw new ImageError('Its L1 table is too short for its size.')
  }
  for (const [offset, what] of [
    [l1Offset, 'L1 table'],
    [refcountTableOffset, 'refcount table'],
  ] as const) {
    if (offset % clusterBytes !== 0) throw new ImageError(`Its ${what} is not at a cluster.`)
  }
  const { refcountTableClusters: clusters } = header
  if (clusters === 0 || clusters * clusterBytes > MAX_REFCOUNT_TABLE_BYTES) {
    throw new ImageError(`Its refcount table cannot have ${clusters} clusters.`)
  }
  if (header.snapshotCount > MAX_SNAPSHOTS) throw new ImageError('It has too many snapshots.')
}

/** Entries of the L1 table that a disk of `size` bytes needs. */
export function l1EntriesFor(size: number, clusterBits: number): number {
  return Math.ceil(size / 2 ** (2 * clusterBits - 3))
}

function readBacking(
  storage: ByteStorage,
  view: DataView,
  headerBytes: number,
  clusterBytes: number,
): Qcow2Header['backing'] {
  const offset = numberAt(view, 8)
  const length = view.getUint32(16)
  if (offset === 0) return undefined
  if (length === 0) return undefined
  if (length > MAX_NAME || offset + length > clusterBytes) {
    throw new ImageError('The name of the image below it is not in its header.')
  }
  const name = textOf(readExactly(storage, offset, length, 'name of the image below'))
  return { name, format: readBackingFormat(storage, headerBytes, Math.min(offset, clusterBytes)) }
}

/** Looks through the header extensions, which end at the latest at `end`. */
function readBackingFormat(storage: ByteStorage, start: number, end: number): string | undefined {
  for (let at = start; at + 8 <= end; ) {
    const view = new DataView(readExactly(storage, at, 8, 'header extensions').buffer)
    const type = view.getUint32(0)
    const length = view.getUint32(4)
    if (type === EXTENSION_END) return undefined
    if (at + 8 + length > end) throw new ImageError('Its header extensions are too long.')
    if (type === EXTENSION_BACKING_FORMAT) {
      return textOf(readExactly(storage, at + 8, length, 'header extensions'))
    }
    at += 8 + Math.ceil(length / 8) * 8
  }
  return undefined
}

function textOf(bytes: Uint8Array): string {
  const text = new TextDecoder('utf-8').decode(bytes)
  if (text.includes('\0')) throw new ImageError('A name in its header has a NUL character.')
  return text
}

/** 64 bits; what is beyond 2^53 is beyond any file, too. */
function numberAt(view: DataView, at: number): number {
  return view.getUint32(at) * 2 ** 32 + view.getUint32(at + 4)
}
