// The physical address space of a PVH domain, as libxl lays it out: RAM from 0, a hole below
// 4 GiB with the ACPI tables and eight special pages, the rest of the RAM from 4 GiB.
// One difference: libxl lets RAM reach up to the special pages, over the ACPI tables; here it
// ends where the tables begin.

import {
  XEN_HVM_MEMMAP_TYPE_ACPI,
  XEN_HVM_MEMMAP_TYPE_RAM,
  XEN_HVM_MEMMAP_TYPE_RESERVED,
} from '../../xen/abi/start-info.ts'
import { PAGE_SIZE, pageDown, pageUp } from './guest-physical-memory.ts'

/** RAM below 4 GiB ends here at the latest: libxl's address for the ACPI tables. */
export const LOW_MEMORY_LIMIT = 0xfc000000
const HIGH_MEMORY = 2 ** 32

/** One past the last of the special pages (X86_HVM_END_SPECIAL_REGION), as a frame number. */
const SPECIAL_END = 0xff000
const SPECIAL_COUNT = 8

/** Frame numbers of the special pages; their order is libxl's. */
export const SPECIAL_PAGES = {
  paging: SPECIAL_END - 8,
  access: SPECIAL_END - 7,
  sharing: SPECIAL_END - 6,
  bufferedIoreq: SPECIAL_END - 5,
  xenstore: SPECIAL_END - 4,
  ioreq: SPECIAL_END - 3,
  identityPageTable: SPECIAL_END - 2,
  console: SPECIAL_END - 1,
} as const

export interface MemoryRange {
  /** Guest-physical address, in bytes. */
  readonly address: number
  /** In bytes. */
  readonly size: number
  /** XEN_HVM_MEMMAP_TYPE_*. */
  readonly type: number
}

export interface AcpiTable {
  /** Guest-physical address. */
  readonly address: number
  readonly bytes: Uint8Array
}

export const SPECIAL_RANGE: MemoryRange = {
  address: SPECIAL_PAGES.paging * PAGE_SIZE,
  size: SPECIAL_COUNT * PAGE_SIZE,
  type: XEN_HVM_MEMMAP_TYPE_RESERVED,
}

/** The domain's map, by address. `memoryBytes` of RAM are split around the hole. */
export function pvhMemoryMap(memoryBytes: number, acpi: readonly AcpiTable[]): MemoryRange[] {
  const low = Math.min(memoryBytes, LOW_MEMORY_LIMIT)
  const map: MemoryRange[] = [
    { address: 0, size: low, type: XEN_HVM_MEMMAP_TYPE_RAM },
    ...acpiRanges(acpi),
    SPECIAL_RANGE,
  ]
  if (memoryBytes > low) {
    map.push({ address: HIGH_MEMORY, size: memoryBytes - low, type: XEN_HVM_MEMMAP_TYPE_RAM })
  }
  return map
}

/** Each range starts on a page and ends with its last table; tables in adjacent pages are one. */
function acpiRanges(tables: readonly AcpiTable[]): MemoryRange[] {
  const ranges: MemoryRange[] = []
  for (const table of tables.toSorted((a, b) => a.address - b.address)) {
    const end = table.address + table.bytes.length
    const last = ranges.at(-1)
    if (last && table.address <= pageUp(last.address + last.size)) {
      const size = Math.max(end - last.address, last.size)
      ranges[ranges.length - 1] = { ...last, size }
    } else {
      const address = pageDown(table.address)
      ranges.push({ address, size: end - address, type: XEN_HVM_MEMMAP_TYPE_ACPI })
    }
  }
  return ranges
}
