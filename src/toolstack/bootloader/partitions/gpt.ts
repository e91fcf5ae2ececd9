// GUID partition tables (UEFI specification 2.10, section 5.3). The header and the table are checked
// by their CRCs; where the first copy is damaged, the second one at the end of the disk counts.
// Disks with sectors of 4,096 bytes are recognised, too: images of such disks exist.

import { Layout } from '../../../base/layout.ts'
import { ImageError } from '../../../backends/block/storage.ts'
import { crc32 } from '../../image/decompress/crc.ts'
import type { ByteSource } from '../disk-reader.ts'
import { MOST_PARTITIONS, type Partition } from './partition.ts'

const HEADER = new Layout('GPT header', {
  signature: 'u64',
  revision: 'u32',
  headerSize: 'u32',
  headerCrc32: 'u32',
  reserved: 'u32',
  myLba: 'u64',
  alternateLba: 'u64',
  firstUsableLba: 'u64',
  lastUsableLba: 'u64',
  diskGuid: { bytes: 16 },
  partitionEntryLba: 'u64',
  numberOfPartitionEntries: 'u32',
  sizeOfPartitionEntry: 'u32',
  partitionEntryArrayCrc32: 'u32',
})
/** Bytes of the header without the reserved rest of its sector. */
const HEADER_SIZE = 92
const CRC_OFFSET = HEADER.offsetOf('headerCrc32')

const ENTRY = new Layout('GPT partition entry', {
  partitionTypeGuid: { bytes: 16 },
  uniquePartitionGuid: { bytes: 16 },
  startingLba: 'u64',
  endingLba: 'u64',
  attributes: 'u64',
  partitionName: { bytes: 72 },
})

/** "EFI PART" */
const SIGNATURE = 0x5452_4150_2049_4645n
const SECTOR_SIZES = [512, 4096]
/** The table takes 16 KiB; a larger one is a mistake, or an attack on our memory. */
const MOST_TABLE_BYTES = 2 ** 20
const LEGACY_BIOS_BOOTABLE = 4n

const UNUSED = '00000000-0000-0000-0000-000000000000'
const TYPES: Readonly<Record<string, string>> = {
  'c12a7328-f81f-11d2-ba4b-00a0c93ec93b': 'EFI system',
  '21686148-6449-6e6f-744e-656564454649': 'BIOS boot',
  '0fc63daf-8483-4772-8e79-3d69d8477de4': 'Linux',
  '4f68bce3-e8cd-4db1-96e7-fbcaf984b709': 'Linux root (x86-64)',
  'bc13c2ff-59e6-4262-a352-b275fd6f7172': 'Linux boot (XBOOTLDR)',
  '0657fd6d-a4ab-43c4-84e5-0933c84b4f4f': 'Linux swap',
  'e6d6d379-f507-44c2-a23c-238f2a3df928': 'Linux LVM',
  'a19d880f-05fc-4d3b-a006-743f0f84911e': 'Linux RAID',
  'ebd0a0a2-b9e5-4433-87c0-68b6b72699c7': 'Microsoft basic data',
}

/**
 * The partitions of a GPT; undefined if there is no trace of one.
 * @throws ImageError if there is one, and both copies are damaged
 */
export function readGpt(disk: ByteSource): Partition[] | undefined {
  const complaints: string[] = []
  for (const sector of SECTOR_SIZES) {
    const last = Math.floor(disk.size / sector) - 1
    for (const [copy, lba] of [
      ['first', 1],
      ['second', last],
    ] as const) {
      const found = readCopy(disk, sector, lba)
      if (Array.isArray(found)) return found
      if (found !== undefined) complaints.push(`The ${copy} copy: ${found}.`)
    }
  }
  if (complaints.length === 0) return undefined
  throw new ImageError(`Its GUID partition table is damaged. ${complaints.join(' ')}`)
}

/** The partitions; or what is wrong with this copy; undefined if there is none. */
function readCopy(disk: ByteSource, sector: number, lba: number): Partition[] | string | undefined {
  if (lba < 1 || (lba + 1) * sector > disk.size) return undefined
  const bytes = disk.read(lba * sector, sector)
  const header = HEADER.decode(bytes)
  if (header.signature !== SIGNATURE) return undefined
  const { headerSize } = header
  if (headerSize < HEADER_SIZE || headerSize > sector) return `its header has ${headerSize} bytes`
  bytes.fill(0, CRC_OFFSET, CRC_OFFSET + 4)
  if (crc32(bytes.subarray(0, headerSize)) !== header.headerCrc32)
    return 'its header has a wrong CRC'
  if (header.myLba !== BigInt(lba)) return `its header is meant for sector ${header.myLba}`
  const { numberOfPartitionEntries: count, sizeOfPartitionEntry: size } = header
  if (size < ENTRY.size || size % 8 !== 0 || count * size > MOST_TABLE_BYTES) {
    return `it has ${count} entries of ${size} bytes`
  }
  const tableOffset = Number(header.partitionEntryLba) * sector
  if (tableOffset + count * size > disk.size) return 'its entries lie behind the end of the disk'
  const table = disk.read(tableOffset, count * size)
  if (crc32(table) !== header.partitionEntryArrayCrc32) return 'its entries have a wrong CRC'
  return partitionsOf(table, size, sector)
}

function partitionsOf(table: Uint8Array, entrySize: number, sector: number): Partition[] {
  const partitions: Partition[] = []
  for (let i = 0; (i + 1) * entrySize <= table.length; i++) {
    const entry = ENTRY.decode(table.subarray(i * entrySize))
    const type = guidText(entry.partitionTypeGuid)
    if (type === UNUSED || entry.endingLba < entry.startingLba) continue
    if (partitions.length === MOST_PARTITIONS) break
    partitions.push({
      number: i + 1,
      scheme: 'gpt',
      offset: Number(entry.startingLba) * sector,
      size: Number(entry.endingLba - entry.startingLba + 1n) * sector,
      type: TYPES[type] ?? `type ${type}`,
      isActive: (entry.attributes & LEGACY_BIOS_BOOTABLE) !== 0n,
    })
  }
  return partitions
}

/** A GUID as text: its first three parts are stored with the lowest byte first. */
function guidText(bytes: Uint8Array): string {
  const order = [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15]
  const hex = order.map((i) => (bytes[i] ?? 0).toString(16).padStart(2, '0')).join('')
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-')
}
