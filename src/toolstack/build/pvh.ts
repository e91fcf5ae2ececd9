// Lays out and fills the memory of a PVH domain as xl of Xen 4.17 does: the kernel at the physical
// addresses of its segments; above it, each on a page boundary, the ramdisk and the start info
// with command line, module list and memory map; the ACPI tables and the special pages near 4 GiB.
// `planPvh` only decides and checks, so that it can be shown in a dry run; `writePvh` writes.

import { UserError } from '../../base/errors.ts'
import {
  hvm_memmap_table_entry,
  hvm_modlist_entry,
  hvm_start_info,
  XEN_HVM_START_MAGIC_VALUE,
} from '../../xen/abi/start-info.ts'
import type { KernelImage } from '../image/kernel.ts'
import { type GuestPhysicalMemory, inMiB, PAGE_SIZE, pageUp } from './guest-physical-memory.ts'
import { type KernelPlacement, placeKernel, type Range, writeKernel } from './kernel-placement.ts'
import {
  type AcpiTable,
  LOW_MEMORY_LIMIT,
  type MemoryRange,
  pvhMemoryMap,
  SPECIAL_RANGE,
} from './memory-map.ts'
import { type PvhEntryState, pvhEntryState } from './pvh-entry-state.ts'

const START_INFO_SIZE = hvm_start_info.size(64)
const MODULE_SIZE = hvm_modlist_entry.size(64)
const MAP_ENTRY_SIZE = hvm_memmap_table_entry.size(64)

/** Linux's COMMAND_LINE_SIZE less the NUL: it cuts off what is longer, and says nothing. */
const LINUX_COMMAND_LINE_LIMIT = 2047
/** Ours, for kernels that do not say: xl has none. */
const COMMAND_LINE_LIMIT = 65535

export interface PvhModule {
  /** The file as the user knows it. */
  readonly name: string
  readonly bytes: Uint8Array
}

export interface PvhConfig {
  readonly kernel: KernelImage
  /** The domain's RAM, in bytes: a multiple of the page size. */
  readonly memoryBytes: number
  readonly commandLine: string
  readonly ramdisk?: PvhModule | undefined
  readonly acpi?: { readonly rsdp: number; readonly tables: readonly AcpiTable[] } | undefined
}

/** Where everything goes; addresses and sizes in bytes. */
export interface PvhLayout {
  readonly kernel: KernelPlacement
  readonly ramdisk: Range | undefined
  /** Start info, command line, module list and memory map together. */
  readonly startInfo: Range
  readonly memoryMap: readonly MemoryRange[]
  readonly specialPages: MemoryRange
  readonly entry: PvhEntryState
}

/**
 * Decides where everything goes, and checks that it fits.
 * @throws UserError when the kernel cannot start as PVH, or something does not fit
 */
export function planPvh(config: PvhConfig): PvhLayout {
  const { kernel, ramdisk, memoryBytes } = config
  const entry = pvhEntryPoint(kernel)
  const placement = placeKernel(kernel, entry)
  const commandLine = encodeCommandLine(config.commandLine, kernel)
  const memoryMap = pvhMemoryMap(memoryBytes, config.acpi?.tables ?? [])

  const ramdiskStart = pageUp(placement.end)
  const ramdiskSize = ramdisk?.bytes.length ?? 0
  const startInfoStart = pageUp(ramdiskStart + ramdiskSize)
  const startInfoSize =
    START_INFO_SIZE +
    roundUp8(commandLine.length) +
    (ramdisk ? MODULE_SIZE : 0) +
    memoryMap.length * MAP_ENTRY_SIZE
  const needed = pageUp(startInfoStart + startInfoSize)
  checkFit(config, placement, needed)
  return {
    kernel: placement,
    ramdisk: ramdisk && { start: ramdiskStart, size: ramdiskSize },
    startInfo: { start: startInfoStart, size: startInfoSize },
    memoryMap,
    specialPages: SPECIAL_RANGE,
    entry: pvhEntryState(entry, startInfoStart),
  }
}

/** Writes everything to where {@link planPvh} put it, and zeroes the special pages. */
export function writePvh(config: PvhConfig, layout: PvhLayout, memory: GuestPhysicalMemory): void {
  writeKernel(config.kernel, memory)
  if (config.ramdisk && layout.ramdisk) memory.write(layout.ramdisk.start, config.ramdisk.bytes)
  memory.write(layout.startInfo.start, encodeStartInfo(config, layout))
  for (const table of config.acpi?.tables ?? []) memory.write(table.address, table.bytes)
  memory.zero(layout.specialPages.address, layout.specialPages.size)
}

function pvhEntryPoint(kernel: KernelImage): number {
  const { phys32Entry, source } = kernel.notes
  if (phys32Entry !== undefined) {
    if (phys32Entry < 2n ** 32n) return Number(phys32Entry)
    throw new UserError(
      `Cannot start ${kernel.name} as a PVH domain.`,
      `Its entry point (XEN_ELFNOTE_PHYS32_ENTRY) is 0x${phys32Entry.toString(16)}, above 4 GiB.`,
      'Rebuild the kernel: the entry point is a 32-bit physical address.',
    )
  }
  const multiboot = findMultiboot(kernel)
  const noNote = 'It has no PVH note (XEN_ELFNOTE_PHYS32_ENTRY)'
  if (source !== 'none') {
    throw new UserError(
      `Cannot start ${kernel.name} as a PVH domain.`,
      `${noNote}; its other notes are those of a PV kernel.`,
      'Start it with type="pv", or build the kernel with PVH support (Linux: CONFIG_PVH=y).',
    )
  }
  throw new UserError(
    `Cannot start ${kernel.name} as a PVH domain.`,
    multiboot
      ? `${noNote}: it is a 32-bit ${multiboot} image, made for a boot loader.`
      : `${noNote}, nor any other note for Xen.`,
    'Give a kernel built for Xen (Linux: CONFIG_PVH=y), or add the note to your image.',
  )
}

/** The magic number of a multiboot header, 4-byte aligned within the first 8 or 32 KiB. */
function findMultiboot({ elf }: KernelImage): 'multiboot' | 'multiboot2' | undefined {
  const size = Math.min(elf.bytes.length, 32768) & ~3
  const view = new DataView(elf.bytes.buffer, elf.bytes.byteOffset, size)
  for (let at = 0; at < size; at += 4) {
    const word = view.getUint32(at, true)
    if (word === 0x1badb002 && at < 8192) return 'multiboot'
    if (word === 0xe85250d6) return 'multiboot2'
  }
  return undefined
}

/** UTF-8 with the NUL. */
function encodeCommandLine(text: string, kernel: KernelImage): Uint8Array {
  const isLinux = kernel.notes.guestOs === 'linux'
  const limit = kernel.commandLineLimit ?? (isLinux ? LINUX_COMMAND_LINE_LIMIT : COMMAND_LINE_LIMIT)
  const bytes = new TextEncoder().encode(`${text}\0`)
  if (bytes.length - 1 > limit) {
    throw new UserError(
      'The command line is too long.',
      `It has ${bytes.length - 1} bytes; ${kernel.name} takes ${limit} at most.`,
      'Shorten extra= (or cmdline=, or root=) in the guest file.',
    )
  }
  if (text.includes('\0')) {
    throw new UserError(
      'The command line is not usable.',
      `It has a NUL character at position ${text.indexOf('\0')}, which would end it there.`,
      'Remove the character from extra= (or cmdline=) in the guest file.',
    )
  }
  return bytes
}

function checkFit(config: PvhConfig, placement: KernelPlacement, needed: number): void {
  const { kernel, ramdisk, memoryBytes } = config
  const low = Math.min(memoryBytes, LOW_MEMORY_LIMIT)
  if (needed <= low) return
  const ramdiskPart = ramdisk
    ? `, and the ramdisk ${ramdisk.name} has ${inMiB(ramdisk.bytes.length)} MiB`
    : ''
  const why = `The kernel ${kernel.name} reaches up to ${inMiB(placement.end)} MiB${ramdiskPart}`
  if (needed > LOW_MEMORY_LIMIT) {
    throw new UserError(
      'The images do not fit into the domain.',
      `${why}; they must lie below ${inMiB(LOW_MEMORY_LIMIT)} MiB, where devices begin.`,
      ramdisk ? 'Give a smaller ramdisk, or put its contents on a disk.' : 'Give a smaller kernel.',
    )
  }
  throw new UserError(
    'The domain has too little memory for its images.',
    `${why}; with the start info that needs ${inMiB(needed)} MiB, and the domain has ` +
      `${inMiB(memoryBytes)} MiB.`,
    `Give it more: memory=${inMiB(needed)} is the least, and the guest will want some to work in.`,
  )
}

function encodeStartInfo(config: PvhConfig, layout: PvhLayout): Uint8Array {
  const { start, size } = layout.startInfo
  const { ramdisk, memoryMap } = layout
  const bytes = new Uint8Array(size)
  const commandLine = new TextEncoder().encode(`${config.commandLine}\0`)
  const commandLineAt = START_INFO_SIZE
  const modulesAt = commandLineAt + roundUp8(commandLine.length)
  const mapAt = modulesAt + (ramdisk ? MODULE_SIZE : 0)
  const startInfo = hvm_start_info.encode(64, {
    magic: XEN_HVM_START_MAGIC_VALUE,
    version: 1,
    nr_modules: ramdisk ? 1 : 0,
    modlist_paddr: BigInt(ramdisk ? start + modulesAt : 0),
    cmdline_paddr: BigInt(start + commandLineAt),
    rsdp_paddr: BigInt(config.acpi?.rsdp ?? 0),
    memmap_paddr: BigInt(start + mapAt),
    memmap_entries: memoryMap.length,
  })
  bytes.set(startInfo)
  bytes.set(commandLine, commandLineAt)
  if (ramdisk) {
    const module = { paddr: BigInt(ramdisk.start), size: BigInt(ramdisk.size) }
    bytes.set(hvm_modlist_entry.encode(64, module), modulesAt)
  }
  for (const [i, { address, size, type }] of memoryMap.entries()) {
    const entry = { addr: BigInt(address), size: BigInt(size), type }
    bytes.set(hvm_memmap_table_entry.encode(64, entry), mapAt + i * MAP_ENTRY_SIZE)
  }
  return bytes
}

function roundUp8(n: number): number {
  return Math.ceil(n / 8) * 8
}

/** Every range of guest-physical addresses that needs frames behind it, in whole pages. */
export function pvhPopulated(layout: PvhLayout): Range[] {
  return layout.memoryMap.map(({ address, size }) => ({
    start: Math.floor(address / PAGE_SIZE) * PAGE_SIZE,
    size: pageUp(size),
  }))
}
