// The partitions of a disk, in the order in which their file systems are looked at for something to
// boot: those of an MBR that are marked as active first, as BIOSes and pygrub do.

import { ImageError } from '../../../backends/block/storage.ts'
import type { ByteSource } from '../disk-reader.ts'
import { readGpt } from './gpt.ts'
import { readMbr } from './mbr.ts'
import type { Partition } from './partition.ts'

/**
 * Undefined if the disk has no partition table: the whole disk may be one file system.
 * @throws ImageError if it has one that is damaged
 */
export function readPartitions(disk: ByteSource): readonly Partition[] | undefined {
  const mbr = readMbr(disk)
  // A GPT counts only behind a protective MBR: left-overs of old tables are no tables.
  const gpt = mbr?.isProtective ? readGpt(disk) : undefined
  if (gpt) return gpt
  if (mbr?.isProtective && mbr.partitions.length === 0) {
    throw new ImageError('Its MBR says that there is a GUID partition table, but there is none.')
  }
  if (!mbr || mbr.partitions.length === 0) return undefined
  return mbr.partitions.toSorted((a, b) => Number(b.isActive) - Number(a.isActive))
}
