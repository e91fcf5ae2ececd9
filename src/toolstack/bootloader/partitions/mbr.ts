// The partition table of a master boot record: four entries in the first sector, and logical
// partitions as a chain of such tables through an extended partition, each entry counted from the
// start of its table, each link from the start of the extended partition. The layout is that of
// IBM's PC DOS, as the UEFI specification has it (2.10, section 5.2.1).

import { Layout } from '../../../base/layout.ts'
import { SECTOR } from '../../../backends/block/disk-image.ts'
import type { ByteSource } from '../disk-reader.ts'
import type { Partition } from './partition.ts'

const ENTRY = new Layout('MBR partition record', {
  bootIndicator: 'u8',
  startingChs: { bytes: 3 },
  osType: 'u8',
  endingChs: { bytes: 3 },
  startingLba: 'u32',
  sizeInLba: 'u32',
})
const ENTRIES_OFFSET = 446
const ENTRIES = 4
const SIGNATURE_OFFSET = 510
const SIGNATURE = 0xaa55
const ACTIVE = 0x80
const FIRST_LOGICAL = 5
/** Logical partitions; the chain may be a loop. */
const MOST_LOGICAL = 60

const EXTENDED: ReadonlySet<number> = new Set([0x05, 0x0f, 0x85])
/** The whole disk, for programs that do not know GPT. */
const GPT_PROTECTIVE = 0xee

const TYPES: Readonly<Record<number, string>> = {
  0x07: 'NTFS',
  0x0b: 'FAT',
  0x0c: 'FAT',
  0x0e: 'FAT',
  0x82: 'Linux swap',
  0x83: 'Linux',
  0x8e: 'Linux LVM',
  0xef: 'EFI system',
  0xfd: 'Linux RAID',
}

export interface MbrTable {
  readonly partitions: readonly Partition[]
  /** An entry says that the real table is a GPT. */
  readonly isProtective: boolean
}

/** Undefined if the first sector has no MBR with partitions. */
export function readMbr(disk: ByteSource): MbrTable | undefined {
  const entries = readEntries(disk, 0)
  if (!entries) return undefined
  const isProtective = entries.some(({ osType }) => osType === GPT_PROTECTIVE)
  const partitions: Partition[] = []
  for (const [i, entry] of entries.entries()) {
    if (entry.osType === 0 || entry.osType === GPT_PROTECTIVE || entry.sizeInLba === 0) continue
    if (EXTENDED.has(entry.osType)) readLogical(disk, entry.startingLba, partitions)
    else partitions.push(partitionOf(i + 1, entry, 0))
  }
  if (partitions.length === 0 && !isProtective) return undefined
  return { partitions: partitions.sort((a, b) => a.number - b.number), isProtective }
}

type Entry = ReturnType<typeof ENTRY.decode>

/** Undefined if there is no such sector, it lacks the signature, or it is boot code and no table. */
function readEntries(disk: ByteSource, sector: number): Entry[] | undefined {
  if ((sector + 1) * SECTOR > disk.size) return undefined
  const bytes = disk.read(sector * SECTOR, SECTOR)
  const view = new DataView(bytes.buffer)
  if (view.getUint16(SIGNATURE_OFFSET, true) !== SIGNATURE) return undefined
  const entries = Array.from({ length: ENTRIES }, (_, i) =>
    ENTRY.read(view, ENTRIES_OFFSET + i * ENTRY.size),
  )
  // The boot sector of a FAT has the same signature, and code or text in this place.
  return entries.every(({ bootIndicator }) => bootIndicator === 0 || bootIndicator === ACTIVE)
    ? entries
    : undefined
}

function readLogical(disk: ByteSource, start: number, partitions: Partition[]): void {
  let sector = start
  for (let number = FIRST_LOGICAL; number < FIRST_LOGICAL + MOST_LOGICAL; number++) {
    const [entry, next] = readEntries(disk, sector) ?? []
    if (!entry) return
    if (entry.osType !== 0 && entry.sizeInLba > 0)
      partitions.push(partitionOf(number, entry, sector))
    if (!next || !EXTENDED.has(next.osType) || next.startingLba === 0) return
    sector = start + next.startingLba
  }
}

function partitionOf(number: number, entry: Entry, base: number): Partition {
  return {
    number,
    scheme: 'msdos',
    offset: (base + entry.startingLba) * SECTOR,
    size: entry.sizeInLba * SECTOR,
    type: TYPES[entry.osType] ?? `type 0x${entry.osType.toString(16)}`,
    isActive: entry.bootIndicator === ACTIVE,
  }
}
