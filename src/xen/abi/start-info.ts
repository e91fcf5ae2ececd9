// public/arch-x86/hvm/start_info.h: what a PVH guest finds at its start.
// Numbers and layouts only; names as in the header.

import { Structure } from './structure.ts'

export const XEN_HVM_START_MAGIC_VALUE = 0x336ec578
export const XEN_HVM_MEMMAP_TYPE_RAM = 1
export const XEN_HVM_MEMMAP_TYPE_RESERVED = 2
export const XEN_HVM_MEMMAP_TYPE_ACPI = 3
export const XEN_HVM_MEMMAP_TYPE_NVS = 4
export const XEN_HVM_MEMMAP_TYPE_UNUSABLE = 5
export const XEN_HVM_MEMMAP_TYPE_DISABLED = 6
export const XEN_HVM_MEMMAP_TYPE_PMEM = 7

export const hvm_start_info = new Structure('hvm_start_info', {
  magic: 'u32',
  version: 'u32',
  flags: 'u32',
  nr_modules: 'u32',
  modlist_paddr: 'u64',
  cmdline_paddr: 'u64',
  rsdp_paddr: 'u64',
  memmap_paddr: 'u64',
  memmap_entries: 'u32',
  reserved: 'u32',
})

export const hvm_modlist_entry = new Structure('hvm_modlist_entry', {
  paddr: 'u64',
  size: 'u64',
  cmdline_paddr: 'u64',
  reserved: 'u64',
})

export const hvm_memmap_table_entry = new Structure('hvm_memmap_table_entry', {
  addr: 'u64',
  size: 'u64',
  type: 'u32',
  reserved: 'u32',
})
