// The entries of a directory. One with a hash tree is read like any other: the blocks of the tree
// look like unused entries (Linux, Documentation/filesystems/ext4/directory.rst).

import { ImageError } from '../../../backends/block/storage.ts'
import { crc32c } from './checksum.ts'
import { FLAG_INLINE_DATA, type Inode } from './inode.ts'
import type { Superblock } from './superblock.ts'

const ENTRY_HEADER = 8
/** The entry at the end of a block that holds its checksum: no inode, no name, this type. */
const TAIL_SIZE = 12
const TAIL_TYPE = 0xde
/** Where the inode of the parent stands in a directory that its inode holds. */
const INLINE_PARENT = 4
const INLINE_FIRST_PART = 60

/** Numbers of inodes by name. */
export function readEntries(
  sb: Superblock,
  inode: Inode,
  contents: Uint8Array,
): Map<string, number> {
  const entries = new Map<string, number>()
  if (inode.flags & FLAG_INLINE_DATA) {
    // Two pieces, each with entries of its own: no entry goes from one to the other.
    addEntries(sb, inode, contents.subarray(INLINE_PARENT, INLINE_FIRST_PART), entries)
    addEntries(sb, inode, contents.subarray(INLINE_FIRST_PART), entries)
    return entries
  }
  for (let at = 0; at < contents.length; at += sb.blockSize) {
    const block = contents.subarray(at, at + sb.blockSize)
    checkTail(inode, block)
    addEntries(sb, inode, block, entries)
  }
  return entries
}

function addEntries(
  sb: Superblock,
  inode: Inode,
  block: Uint8Array,
  entries: Map<string, number>,
): void {
  const view = new DataView(block.buffer, block.byteOffset, block.byteLength)
  const decoder = new TextDecoder()
  for (let at = 0; at + ENTRY_HEADER <= block.length; ) {
    const number = view.getUint32(at, true)
    const length = entryLength(view.getUint16(at + 4, true), block.length)
    const nameLength = sb.hasFileTypes ? view.getUint8(at + 6) : view.getUint16(at + 6, true)
    const isRight =
      length >= ENTRY_HEADER + nameLength && length % 4 === 0 && at + length <= block.length
    if (!isRight) {
      throw new ImageError(`Directory ${inode.number} of its ext4 file system is damaged.`)
    }
    if (number !== 0) {
      const name = block.subarray(at + ENTRY_HEADER, at + ENTRY_HEADER + nameLength)
      entries.set(decoder.decode(name), number)
    }
    at += length
  }
}

/** In blocks of 64 KiB a length that 16 bits cannot hold is written as one of these. */
function entryLength(stored: number, blockLength: number): number {
  return (stored === 0xffff || stored === 0) && blockLength === 0x10000 ? blockLength : stored
}

function checkTail({ number, checksumSeed }: Inode, block: Uint8Array): void {
  const at = block.length - TAIL_SIZE
  if (checksumSeed === undefined || at < 0) return
  const view = new DataView(block.buffer, block.byteOffset, block.byteLength)
  const isTail =
    view.getUint32(at, true) === 0 &&
    view.getUint16(at + 4, true) === TAIL_SIZE &&
    view.getUint8(at + 6) === 0 &&
    view.getUint8(at + 7) === TAIL_TYPE
  // Blocks of the hash tree have none, and nothing is found by them here.
  if (!isTail || crc32c(checksumSeed, block.subarray(0, at)) === view.getUint32(at + 8, true))
    return
  throw new ImageError(`Directory ${number} of its ext4 file system has a wrong checksum.`)
}
