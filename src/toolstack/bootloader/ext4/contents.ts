// The contents of a file or directory: from its blocks, or from the inode itself where they are so
// short (Linux, Documentation/filesystems/ext4/inlinedata.rst, attributes.rst).

import { ImageError } from '../../../backends/block/storage.ts'
import type { ByteSource } from '../disk-reader.ts'
import { blockMap } from './block-map.ts'
import { FLAG_ENCRYPTED, FLAG_EXTENTS, FLAG_INLINE_DATA, type Inode } from './inode.ts'
import type { Superblock } from './superblock.ts'

const ATTRIBUTE_MAGIC = 0xea020000
const ATTRIBUTE_HEADER = 4
const ATTRIBUTE_ENTRY = 16
/** The attribute `system.data`: index of the name space, and the rest of the name. */
const SYSTEM = 7
const DATA = 'data'

/** @throws ImageError if it is longer than `mostBytes`, encrypted or damaged */
export function readContents(
  source: ByteSource,
  sb: Superblock,
  inode: Inode,
  mostBytes: number,
): Uint8Array {
  const { size, flags } = inode
  if (size > mostBytes) {
    throw new ImageError(`It has ${size} bytes, where at most ${mostBytes} are expected.`)
  }
  if (flags & FLAG_ENCRYPTED) throw new ImageError('It is encrypted.')
  if (flags & FLAG_INLINE_DATA) return inlineData(inode).slice(0, size)
  // A symbolic link that is short enough stands in place of the map.
  const isFastLink = inode.type === 'link' && size < inode.block.length && !(flags & FLAG_EXTENTS)
  if (isFastLink) return inode.block.slice(0, size)
  const bytes = new Uint8Array(size)
  const { blockSize } = sb
  const blocks = Math.ceil(size / blockSize)
  for (const { logical, physical, count } of blockMap(source, sb, inode, blocks)) {
    const at = logical * blockSize
    const length = Math.min(count * blockSize, size - at)
    bytes.set(source.read(physical * blockSize, length), at)
  }
  return bytes
}

/** What the inode holds: 60 bytes in place of the map, and the rest as an extended attribute. */
function inlineData(inode: Inode): Uint8Array {
  const rest = attributeData(inode) ?? new Uint8Array()
  const bytes = new Uint8Array(inode.block.length + rest.length)
  bytes.set(inode.block)
  bytes.set(rest, inode.block.length)
  return bytes
}

function attributeData({ bytes, attributesOffset }: Inode): Uint8Array | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const first = attributesOffset + ATTRIBUTE_HEADER
  if (first > bytes.length || view.getUint32(attributesOffset, true) !== ATTRIBUTE_MAGIC) {
    return undefined
  }
  for (let at = first; at + ATTRIBUTE_ENTRY <= bytes.length; ) {
    const nameLength = view.getUint8(at)
    const index = view.getUint8(at + 1)
    if (nameLength === 0 && index === 0) return undefined
    const name = bytes.subarray(at + ATTRIBUTE_ENTRY, at + ATTRIBUTE_ENTRY + nameLength)
    if (index === SYSTEM && String.fromCharCode(...name) === DATA) {
      const start = first + view.getUint16(at + 2, true)
      return bytes.subarray(start, start + view.getUint32(at + 8, true))
    }
    at += ATTRIBUTE_ENTRY + Math.ceil(nameLength / 4) * 4
  }
  return undefined
}
