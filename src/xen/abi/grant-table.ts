// public/grant_table.h: grant entries of both versions and the grant table's operations.
// Numbers and layouts only; names as in the header.

import { Structure } from './structure.ts'

export const GNTTAB_NR_RESERVED_ENTRIES = 8
export const GNTTAB_RESERVED_CONSOLE = 0
export const GNTTAB_RESERVED_XENSTORE = 1

export const GTF_invalid = 0
export const GTF_permit_access = 1
export const GTF_accept_transfer = 2
export const GTF_transitive = 3
export const GTF_type_mask = 3
export const GTF_readonly = 4
export const GTF_reading = 8
export const GTF_writing = 16
export const GTF_PWT = 32
export const GTF_PCD = 64
export const GTF_PAT = 128
export const GTF_sub_page = 256
export const GTF_transfer_committed = 4
export const GTF_transfer_completed = 8

export const GNTCOPY_source_gref = 1
export const GNTCOPY_dest_gref = 2
export const GNTTABOP_map_grant_ref = 0
export const GNTTABOP_unmap_grant_ref = 1
export const GNTTABOP_setup_table = 2
export const GNTTABOP_dump_table = 3
export const GNTTABOP_transfer = 4
export const GNTTABOP_copy = 5
export const GNTTABOP_query_size = 6
export const GNTTABOP_unmap_and_replace = 7
export const GNTTABOP_set_version = 8
export const GNTTABOP_get_status_frames = 9
export const GNTTABOP_get_version = 10
export const GNTTABOP_swap_grant_ref = 11
export const GNTTABOP_cache_flush = 12

export const GNTMAP_device_map = 1
export const GNTMAP_host_map = 2
export const GNTMAP_readonly = 4
export const GNTMAP_application_map = 8
export const GNTMAP_contains_pte = 16
export const GNTMAP_guest_avail_mask = 0xffff0000

export const GNTST_okay = 0
export const GNTST_general_error = -1
export const GNTST_bad_domain = -2
export const GNTST_bad_gntref = -3
export const GNTST_bad_handle = -4
export const GNTST_bad_virt_addr = -5
export const GNTST_bad_dev_addr = -6
export const GNTST_no_device_space = -7
export const GNTST_permission_denied = -8
export const GNTST_bad_page = -9
export const GNTST_bad_copy_arg = -10
export const GNTST_address_too_big = -11
export const GNTST_eagain = -12
export const GNTST_no_space = -13

export const GNTTAB_CACHE_CLEAN = 1
export const GNTTAB_CACHE_INVAL = 2
export const GNTTAB_CACHE_SOURCE_GREF = 0x80000000

export const grant_entry_v1 = new Structure('grant_entry_v1', {
  flags: 'u16',
  domid: 'u16',
  frame: 'u32',
})

/** The three forms of a v2 entry overlay each other in 16 bytes. */
export const grant_entry_v2_full_page = new Structure('union grant_entry_v2', {
  'full_page.hdr.flags': 'u16',
  'full_page.hdr.domid': 'u16',
  'full_page.pad0': 'u32',
  'full_page.frame': 'u64',
})

export const grant_entry_v2_sub_page = new Structure('union grant_entry_v2', {
  'sub_page.hdr.flags': 'u16',
  'sub_page.hdr.domid': 'u16',
  'sub_page.page_off': 'u16',
  'sub_page.length': 'u16',
  'sub_page.frame': 'u64',
})

export const grant_entry_v2_transitive = new Structure('union grant_entry_v2', {
  'transitive.hdr.flags': 'u16',
  'transitive.hdr.domid': 'u16',
  'transitive.trans_domid': 'u16',
  'transitive.pad0': 'u16',
  'transitive.gref': 'u32',
  '__spacer[3]': 'u32',
})

export const gnttab_map_grant_ref = new Structure('gnttab_map_grant_ref', {
  host_addr: 'u64',
  flags: 'u32',
  ref: 'u32',
  dom: 'u16',
  status: 'i16',
  handle: 'u32',
  dev_bus_addr: 'u64',
})

export const gnttab_unmap_grant_ref = new Structure('gnttab_unmap_grant_ref', {
  host_addr: 'u64',
  dev_bus_addr: 'u64',
  handle: 'u32',
  status: 'i16',
})

export const gnttab_setup_table = new Structure('gnttab_setup_table', {
  dom: 'u16',
  nr_frames: 'u32',
  status: 'i16',
  frame_list: 'ulong',
})

export const gnttab_transfer = new Structure('gnttab_transfer', {
  mfn: 'ulong',
  domid: 'u16',
  ref: 'u32',
  status: 'i16',
})

/** `source.u.ref` is the low half of `source.u.gmfn`, and the same for `dest`. */
export const gnttab_copy = new Structure('gnttab_copy', {
  'source.u.gmfn': 'ulong',
  'source.domid': 'u16',
  'source.offset': 'u16',
  end_of_source: 'align',
  'dest.u.gmfn': 'ulong',
  'dest.domid': 'u16',
  'dest.offset': 'u16',
  end_of_dest: 'align',
  len: 'u16',
  flags: 'u16',
  status: 'i16',
})

export const gnttab_query_size = new Structure('gnttab_query_size', {
  dom: 'u16',
  nr_frames: 'u32',
  max_nr_frames: 'u32',
  status: 'i16',
})

export const gnttab_unmap_and_replace = new Structure('gnttab_unmap_and_replace', {
  host_addr: 'u64',
  new_addr: 'u64',
  handle: 'u32',
  status: 'i16',
})

export const gnttab_set_version = new Structure('gnttab_set_version', { version: 'u32' })

export const gnttab_get_status_frames = new Structure('gnttab_get_status_frames', {
  nr_frames: 'u32',
  dom: 'u16',
  status: 'i16',
  frame_list: 'ulong',
})

export const gnttab_get_version = new Structure('gnttab_get_version', {
  dom: 'u16',
  pad: 'u16',
  version: 'u32',
})

export const gnttab_swap_grant_ref = new Structure('gnttab_swap_grant_ref', {
  ref_a: 'u32',
  ref_b: 'u32',
  status: 'i16',
})
