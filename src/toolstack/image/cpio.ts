// Writes cpio archives in the "newc" format, which Linux takes as an initial ramdisk (Linux's
// Documentation/driver-api/early-userspace/buffer-format.rst). Times are zero and owners root, so
// the same entries give the same bytes.

import { invariant } from '../../base/errors.ts'

/** One entry; `path` has no leading slash, and its folder must come before it. */
export type CpioEntry =
  | { readonly kind: 'folder'; readonly path: string; readonly mode?: number }
  | {
      readonly kind: 'file'
      readonly path: string
      readonly mode?: number
      readonly data: Uint8Array | string
    }
  | { readonly kind: 'link'; readonly path: string; readonly target: string }
  | {
      readonly kind: 'character device'
      readonly path: string
      readonly mode?: number
      readonly major: number
      readonly minor: number
    }

const S_IFDIR = 0o040000
const S_IFCHR = 0o020000
const S_IFREG = 0o100000
const S_IFLNK = 0o120000
const HEADER_SIZE = 110

/**
 * The archive of the entries, in their order. Modes default to 755, 644 and 600.
 * @throws Bug when a path is absolute, or given twice (Linux would unpack the later one over the
 *   earlier)
 */
export function writeCpio(entries: readonly CpioEntry[]): Uint8Array<ArrayBuffer> {
  checkPaths(entries)
  const parts = entries.flatMap((entry, i) => encodeEntry(entry, i))
  parts.push(...encode('TRAILER!!!', { ino: 0, mode: 0, nlink: 1 }, new Uint8Array(0)))
  const size = parts.reduce((sum, part) => sum + part.length, 0)
  const archive = new Uint8Array(size)
  let at = 0
  for (const part of parts) {
    archive.set(part, at)
    at += part.length
  }
  return archive
}

function checkPaths(entries: readonly CpioEntry[]): void {
  const seen = new Set<string>()
  for (const { path } of entries) {
    invariant(path !== '' && !path.startsWith('/'), `cpio path "${path}" is not relative`)
    invariant(!seen.has(path), `cpio path "${path}" is given twice`)
    seen.add(path)
  }
}

interface Fields {
  readonly ino: number
  readonly mode: number
  readonly nlink: number
  readonly rdevMajor?: number
  readonly rdevMinor?: number
}

function encodeEntry(entry: CpioEntry, ino: number): Uint8Array[] {
  const nothing = new Uint8Array(0)
  switch (entry.kind) {
    case 'folder':
      return encode(entry.path, { ino, mode: S_IFDIR | (entry.mode ?? 0o755), nlink: 2 }, nothing)
    case 'file':
      return encode(
        entry.path,
        { ino, mode: S_IFREG | (entry.mode ?? 0o644), nlink: 1 },
        typeof entry.data === 'string' ? new TextEncoder().encode(entry.data) : entry.data,
      )
    case 'link':
      return encode(
        entry.path,
        { ino, mode: S_IFLNK | 0o777, nlink: 1 },
        new TextEncoder().encode(entry.target),
      )
    case 'character device':
      return encode(
        entry.path,
        {
          ino,
          mode: S_IFCHR | (entry.mode ?? 0o600),
          nlink: 1,
          rdevMajor: entry.major,
          rdevMinor: entry.minor,
        },
        nothing,
      )
  }
}

/** Header and name, padded together, then the data, padded. */
function encode(path: string, fields: Fields, data: Uint8Array): Uint8Array[] {
  const name = new TextEncoder().encode(`${path}\0`)
  const numbers = [
    fields.ino,
    fields.mode,
    0, // uid
    0, // gid
    fields.nlink,
    0, // mtime
    data.length,
    0, // device of the file
    0,
    fields.rdevMajor ?? 0,
    fields.rdevMinor ?? 0,
    name.length,
    0, // checksum: only in the "070702" format
  ]
  const header = `070701${numbers.map((n) => n.toString(16).toUpperCase().padStart(8, '0')).join('')}`
  return [
    new TextEncoder().encode(header),
    name,
    padding(HEADER_SIZE + name.length),
    data,
    padding(data.length),
  ]
}

function padding(size: number): Uint8Array {
  return new Uint8Array(-size & 3)
}
