// Inodes: where one lies, by way of its group's descriptor, and what it says (Linux,
// Documentation/filesystems/ext4/inodes.rst, group_descr.rst). Checksums of metadata are looked at
// where the file system has them; the 16 bits that older ones keep of group descriptors are not.

import { Layout, type Plain } from '../../../base/layout.ts'
import { ImageError } from '../../../backends/block/storage.ts'
import type { ByteSource } from '../disk-reader.ts'
import { crc32c, crc32cOfWord } from './checksum.ts'
import type { Superblock } from './superblock.ts'

const DESCRIPTOR_FIELDS = {
  bg_block_bitmap_lo: 'u32',
  bg_inode_bitmap_lo: 'u32',
  bg_inode_table_lo: 'u32',
  unused_0xc: { bytes: 18 },
  bg_checksum: 'u16',
} as const
const DESCRIPTOR = new Layout('ext4_group_desc', DESCRIPTOR_FIELDS, { packed: true })
const INODE_TABLE_HI = 0x28
const DESCRIPTOR_CHECKSUM = DESCRIPTOR.offsetOf('bg_checksum')

const INODE_FIELDS = {
  i_mode: 'u16',
  i_uid: 'u16',
  i_size_lo: 'u32',
  unused_0x8: { bytes: 24 },
  i_flags: 'u32',
  i_version: 'u32',
  i_block: { bytes: 60 },
  i_generation: 'u32',
  i_file_acl_lo: 'u32',
  i_size_high: 'u32',
  unused_0x70: { bytes: 12 },
  i_checksum_lo: 'u16',
  unused_0x7e: { bytes: 2 },
} as const
const INODE = new Layout('ext4_inode', INODE_FIELDS, { packed: true })
const CHECKSUM_LO = INODE.offsetOf('i_checksum_lo')
const EXTRA_ISIZE = 0x80
const CHECKSUM_HI = 0x82
/** `i_extra_isize` of an inode whose checksum has its upper half. */
const EXTRA_WITH_CHECKSUM = 4

const TYPE_MASK = 0xf000
const TYPES: Readonly<Record<number, InodeType>> = {
  0x4000: 'directory',
  0x8000: 'file',
  0xa000: 'link',
}

export const FLAG_ENCRYPTED = 0x800
export const FLAG_EXTENTS = 0x80000
export const FLAG_INLINE_DATA = 0x10000000

export type InodeType = 'file' | 'directory' | 'link' | 'other'

export interface Inode {
  readonly number: number
  readonly type: InodeType
  readonly size: number
  readonly flags: number
  /** The map of its blocks, or what it holds itself: 60 bytes. */
  readonly block: Uint8Array
  /** The whole inode. */
  readonly bytes: Uint8Array
  /** Where its extended attributes begin; the length of `bytes` if it has no room for any. */
  readonly attributesOffset: number
  /** What checksums of its blocks start from; undefined if there are none. */
  readonly checksumSeed: number | undefined
}

/** @throws ImageError */
export function readInode(source: ByteSource, sb: Superblock, number: number): Inode {
  if (number < 1 || number > sb.inodes) {
    throw new ImageError(`Its ext4 file system names inode ${number}, but has ${sb.inodes}.`)
  }
  const group = Math.floor((number - 1) / sb.inodesPerGroup)
  const index = (number - 1) % sb.inodesPerGroup
  const at = inodeTable(source, sb, group) * sb.blockSize + index * sb.inodeSize
  const bytes = source.read(at, sb.inodeSize)
  const raw = INODE.decode(bytes)
  const view = new DataView(bytes.buffer)
  const hasExtra = bytes.length > INODE.size
  const extra = hasExtra ? view.getUint16(EXTRA_ISIZE, true) : 0
  if (INODE.size + extra > bytes.length) {
    throw new ImageError(`Inode ${number} of its ext4 file system is damaged.`)
  }
  const seed = seedOf(sb, number, raw)
  if (seed !== undefined) checkInode(bytes, number, seed, extra)
  return {
    number,
    type: TYPES[raw.i_mode & TYPE_MASK] ?? 'other',
    size: raw.i_size_lo + raw.i_size_high * 2 ** 32,
    flags: raw.i_flags,
    block: raw.i_block,
    bytes,
    attributesOffset: hasExtra ? INODE.size + extra : bytes.length,
    checksumSeed: seed,
  }
}

function seedOf(sb: Superblock, number: number, raw: Plain<typeof INODE_FIELDS>) {
  if (sb.checksumSeed === undefined) return undefined
  return crc32cOfWord(crc32cOfWord(sb.checksumSeed, number), raw.i_generation)
}

function checkInode(bytes: Uint8Array, number: number, seed: number, extra: number): void {
  const copy = bytes.slice()
  const view = new DataView(copy.buffer)
  const hasUpper = extra >= EXTRA_WITH_CHECKSUM
  const lower = view.getUint16(CHECKSUM_LO, true)
  const upper = hasUpper ? view.getUint16(CHECKSUM_HI, true) : 0
  view.setUint16(CHECKSUM_LO, 0)
  if (hasUpper) view.setUint16(CHECKSUM_HI, 0)
  const sum = crc32c(seed, copy)
  const isRight = (sum & 0xffff) === lower && (!hasUpper || sum >>> 16 === upper)
  if (!isRight)
    throw new ImageError(`Inode ${number} of its ext4 file system has a wrong checksum.`)
}

/** Number of the first block of a group's inodes. */
function inodeTable(source: ByteSource, sb: Superblock, group: number): number {
  const bytes = source.read(descriptorOffset(sb, group), sb.descriptorSize)
  const descriptor = DESCRIPTOR.decode(bytes)
  if (sb.checksumSeed !== undefined) {
    bytes.fill(0, DESCRIPTOR_CHECKSUM, DESCRIPTOR_CHECKSUM + 2)
    const sum = crc32c(crc32cOfWord(sb.checksumSeed, group), bytes)
    if ((sum & 0xffff) !== descriptor.bg_checksum) {
      throw new ImageError(`Group ${group} of its ext4 file system has a wrong checksum.`)
    }
  }
  const isWide = sb.descriptorSize > DESCRIPTOR.size
  const high = isWide ? new DataView(bytes.buffer).getUint32(INODE_TABLE_HI, true) : 0
  return descriptor.bg_inode_table_lo + high * 2 ** 32
}

/** Descriptors follow the superblock's block; with META_BG each 2^n groups keep a block of them. */
function descriptorOffset(sb: Superblock, group: number): number {
  const perBlock = sb.blockSize / sb.descriptorSize
  const block = Math.floor(group / perBlock)
  const within = (group % perBlock) * sb.descriptorSize
  const isMeta = sb.firstMetaGroup !== undefined && block >= sb.firstMetaGroup
  // Behind the superblock, which is not always in the first block that counts as data (bigalloc).
  if (!isMeta) return (Math.floor(1024 / sb.blockSize) + 1 + block) * sb.blockSize + within
  const firstGroup = block * perBlock
  const start = sb.firstDataBlock + firstGroup * sb.blocksPerGroup
  return (start + (hasSuperblock(sb, firstGroup) ? 1 : 0)) * sb.blockSize + within
}

/** Groups 0 and 1 and the powers of 3, 5 and 7 keep a copy of the superblock in their first block. */
function hasSuperblock(sb: Superblock, group: number): boolean {
  if (group <= 1 || !sb.isSparse) return true
  return [3, 5, 7].some((base) => {
    let power = base
    while (power < group) power *= base
    return power === group
  })
}
