// The memory map of a PVH guest, as xl lays it out: RAM from 0, a hole below 4 GiB for the ACPI
// tables, the local APIC and the special pages, and the rest of the RAM above 4 GiB.
// (Xen public/arch-x86/hvm/start_info.h; the types are those of ACPI's INT 15h E820 interface.)

/** Types of a range: XEN_HVM_MEMMAP_TYPE_*. */
export const E820Type = { ram: 1, reserved: 2, acpi: 3, nvs: 4 } as const
export type E820Type = (typeof E820Type)[keyof typeof E820Type]

/** A range of guest-physical addresses, in bytes. */
export interface E820Entry {
  readonly address: number
  readonly bytes: number
  readonly type: E820Type
}

/** RAM below 4 GiB ends here at the latest: at the ACPI tables, the lowest of what lies there. */
export const PVH_LOW_RAM_LIMIT = 0xfc000000
/** Where RAM goes on that does not fit below the hole. */
export const PVH_HIGH_RAM_START = 0x100000000
/** The eight special pages: console, xenstore and so on (xl's X86_HVM_END_SPECIAL_REGION). */
export const PVH_SPECIAL_PAGES = { address: 0xfeff8000, bytes: 0x8000 } as const

/** A range of RAM, in bytes. */
export interface RamRange {
  readonly address: number
  readonly bytes: number
}

/** Where `bytes` bytes of RAM lie: one range, or two if they do not fit below the hole. */
export function pvhRamRanges(bytes: number): RamRange[] {
  const low = Math.min(bytes, PVH_LOW_RAM_LIMIT)
  const ranges = [{ address: 0, bytes: low }]
  if (bytes > low) ranges.push({ address: PVH_HIGH_RAM_START, bytes: bytes - low })
  return ranges
}

/**
 * The map, in ascending order, for a guest with `ramBytes` bytes of RAM and the ACPI tables in
 * `acpi`. Without tables (xl.cfg `acpi = 0`) there is no such range.
 */
export function pvhMemoryMap(ramBytes: number, acpi?: RamRange): E820Entry[] {
  const map: E820Entry[] = pvhRamRanges(ramBytes).map((ram) => ({ ...ram, type: E820Type.ram }))
  if (acpi) map.push({ ...acpi, type: E820Type.acpi })
  map.push({ ...PVH_SPECIAL_PAGES, type: E820Type.reserved })
  return map.sort((a, b) => a.address - b.address)
}
