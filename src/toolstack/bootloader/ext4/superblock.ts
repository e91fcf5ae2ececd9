// The superblock of ext2, ext3 and ext4 (Linux, Documentation/filesystems/ext4/super.rst), checked so
// far that what is derived from it can be relied on: sizes are powers of two within their limits.

import { Layout, type Plain } from '../../../base/layout.ts'
import { ImageError } from '../../../backends/block/storage.ts'
import type { ByteSource } from '../disk-reader.ts'
import { CRC32C_START, crc32c } from './checksum.ts'

const FIELDS = {
  s_inodes_count: 'u32',
  s_blocks_count_lo: 'u32',
  unused_0x8: { bytes: 12 },
  s_first_data_block: 'u32',
  s_log_block_size: 'u32',
  s_log_cluster_size: 'u32',
  s_blocks_per_group: 'u32',
  s_clusters_per_group: 'u32',
  s_inodes_per_group: 'u32',
  unused_0x2c: { bytes: 12 },
  s_magic: 'u16',
  unused_0x3a: { bytes: 18 },
  s_rev_level: 'u32',
  unused_0x50: { bytes: 8 },
  s_inode_size: 'u16',
  s_block_group_nr: 'u16',
  s_feature_compat: 'u32',
  s_feature_incompat: 'u32',
  s_feature_ro_compat: 'u32',
  s_uuid: { bytes: 16 },
  s_volume_name: { bytes: 16 },
  unused_0x88: { bytes: 118 },
  s_desc_size: 'u16',
  unused_0x100: { bytes: 4 },
  s_first_meta_bg: 'u32',
  unused_0x108: { bytes: 72 },
  s_blocks_count_hi: 'u32',
  unused_0x154: { bytes: 33 },
  s_checksum_type: 'u8',
  unused_0x176: { bytes: 250 },
  s_checksum_seed: 'u32',
  unused_0x274: { bytes: 392 },
  s_checksum: 'u32',
} as const

const SUPERBLOCK = new Layout('ext4_super_block', FIELDS, { packed: true })
const SUPERBLOCK_OFFSET = 1024
const MAGIC = 0xef53

const INCOMPAT_FILETYPE = 0x2
const INCOMPAT_RECOVER = 0x4
const INCOMPAT_META_BG = 0x10
const INCOMPAT_EXTENTS = 0x40
const INCOMPAT_64BIT = 0x80
const INCOMPAT_CSUM_SEED = 0x2000
/**
 * Those above, and: multiple mount protection, flexible groups, extended attributes in inodes, large
 * directories, inline data, encryption (files that are not encrypted can be read), case folding.
 */
const INCOMPAT_KNOWN = 0x3e7d6
const INCOMPAT_NAMES: readonly (readonly [number, string])[] = [
  [0x1, 'compression'],
  [0x8, 'journal_dev'],
  [0x1000, 'dirdata'],
]
const COMPAT_HAS_JOURNAL = 0x4
const RO_COMPAT_SPARSE_SUPER = 0x1
const RO_COMPAT_METADATA_CSUM = 0x400

/** Blocks of 1 KiB to 64 KiB. */
const MOST_LOG_BLOCK_SIZE = 6
const OLD_INODE_SIZE = 128
const OLD_DESCRIPTOR_SIZE = 32

export interface Superblock {
  readonly kind: 'ext2' | 'ext3' | 'ext4'
  readonly blockSize: number
  readonly blocks: number
  readonly firstDataBlock: number
  readonly blocksPerGroup: number
  readonly inodes: number
  readonly inodesPerGroup: number
  readonly inodeSize: number
  readonly descriptorSize: number
  /** Groups of groups from this one on keep their descriptors themselves; undefined if none do. */
  readonly firstMetaGroup: number | undefined
  /** Only some groups have a copy of the superblock. */
  readonly isSparse: boolean
  readonly hasFileTypes: boolean
  readonly needsRecovery: boolean
  /** What checksums of metadata start from; undefined if there are none. */
  readonly checksumSeed: number | undefined
  readonly uuid: string
  readonly label: string
}

/**
 * Undefined if there is none.
 * @throws ImageError if it is damaged, or needs what we do not have
 */
export function readSuperblock(source: ByteSource): Superblock | undefined {
  if (source.size < SUPERBLOCK_OFFSET + SUPERBLOCK.size) return undefined
  const bytes = source.read(SUPERBLOCK_OFFSET, SUPERBLOCK.size)
  const sb = SUPERBLOCK.decode(bytes)
  if (sb.s_magic !== MAGIC) return undefined
  checkFeatures(sb.s_feature_incompat)
  const hasChecksums = (sb.s_feature_ro_compat & RO_COMPAT_METADATA_CSUM) !== 0
  if (hasChecksums) {
    const sum = crc32c(CRC32C_START, bytes.subarray(0, SUPERBLOCK.offsetOf('s_checksum')))
    if (sum !== sb.s_checksum) throw damaged('has a wrong checksum')
  }
  return { ...geometryOf(sb), ...identityOf(sb, hasChecksums) }
}

type Raw = Plain<typeof FIELDS>

function checkFeatures(features: number): void {
  const unknown = features & ~INCOMPAT_KNOWN
  if (unknown === 0) return
  const name = INCOMPAT_NAMES.find(([bit]) => (unknown & bit) !== 0)?.[1]
  throw new ImageError(
    `Its ext4 file system has the feature ${name ?? `0x${(unknown >>> 0).toString(16)}`}, which is ` +
      'not supported.',
  )
}

function geometryOf(sb: Raw) {
  const is64Bit = (sb.s_feature_incompat & INCOMPAT_64BIT) !== 0
  const isOld = sb.s_rev_level === 0
  if (sb.s_log_block_size > MOST_LOG_BLOCK_SIZE) throw damaged('has blocks of an impossible size')
  const blockSize = 1024 << sb.s_log_block_size
  const inodeSize = isOld ? OLD_INODE_SIZE : sb.s_inode_size
  const isPower = (n: number) => n > 0 && (n & (n - 1)) === 0
  if (inodeSize < OLD_INODE_SIZE || inodeSize > blockSize || !isPower(inodeSize)) {
    throw damaged(`has inodes of ${inodeSize} bytes`)
  }
  const descriptorSize = is64Bit ? sb.s_desc_size : OLD_DESCRIPTOR_SIZE
  const leastDescriptor = is64Bit ? 2 * OLD_DESCRIPTOR_SIZE : OLD_DESCRIPTOR_SIZE
  if (descriptorSize < leastDescriptor || descriptorSize > 1024 || !isPower(descriptorSize)) {
    throw damaged(`has group descriptors of ${descriptorSize} bytes`)
  }
  const bits = 8 * blockSize
  // With clusters (bigalloc) a group has more blocks than its bitmap has bits.
  const mostBlocks = bits * 2 ** Math.min(30, sb.s_log_cluster_size)
  if (sb.s_blocks_per_group < 1 || sb.s_blocks_per_group > mostBlocks) {
    throw damaged(`has groups of ${sb.s_blocks_per_group} blocks`)
  }
  if (sb.s_inodes_per_group < 1 || sb.s_inodes_per_group > bits) {
    throw damaged(`has groups of ${sb.s_inodes_per_group} inodes`)
  }
  const hasMetaGroups = (sb.s_feature_incompat & INCOMPAT_META_BG) !== 0
  return {
    blockSize,
    blocks: sb.s_blocks_count_lo + (is64Bit ? sb.s_blocks_count_hi * 2 ** 32 : 0),
    firstDataBlock: sb.s_first_data_block,
    blocksPerGroup: sb.s_blocks_per_group,
    inodes: sb.s_inodes_count,
    inodesPerGroup: sb.s_inodes_per_group,
    inodeSize,
    descriptorSize,
    firstMetaGroup: hasMetaGroups ? sb.s_first_meta_bg : undefined,
    isSparse: (sb.s_feature_ro_compat & RO_COMPAT_SPARSE_SUPER) !== 0,
  }
}

function identityOf(sb: Raw, hasChecksums: boolean) {
  const hasOwnSeed = (sb.s_feature_incompat & INCOMPAT_CSUM_SEED) !== 0
  const seed = hasOwnSeed ? sb.s_checksum_seed : crc32c(CRC32C_START, sb.s_uuid)
  const hex = [...sb.s_uuid].map((byte) => byte.toString(16).padStart(2, '0')).join('')
  const hasJournal = (sb.s_feature_compat & COMPAT_HAS_JOURNAL) !== 0
  const isExt4 = (sb.s_feature_incompat & (INCOMPAT_EXTENTS | INCOMPAT_64BIT)) !== 0
  return {
    kind: isExt4 ? ('ext4' as const) : hasJournal ? ('ext3' as const) : ('ext2' as const),
    hasFileTypes: (sb.s_feature_incompat & INCOMPAT_FILETYPE) !== 0,
    needsRecovery: (sb.s_feature_incompat & INCOMPAT_RECOVER) !== 0,
    checksumSeed: hasChecksums ? seed : undefined,
    uuid: hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-'),
    label: new TextDecoder().decode(sb.s_volume_name).replace(/\0.*$/s, ''),
  }
}

function damaged(how: string): ImageError {
  return new ImageError(`The superblock of its ext4 file system ${how}.`)
}
