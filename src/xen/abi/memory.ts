// public/memory.h: the memory_op family.
// Numbers and layouts only; names as in the header.

import { Structure } from './structure.ts'

export const XENMEM_increase_reservation = 0
export const XENMEM_decrease_reservation = 1
export const XENMEM_populate_physmap = 6
export const XENMEM_exchange = 11
export const XENMEM_maximum_ram_page = 2
export const XENMEM_current_reservation = 3
export const XENMEM_maximum_reservation = 4
export const XENMEM_maximum_gpfn = 14
export const XENMEM_machphys_mfn_list = 5
export const XENMEM_machphys_compat_mfn_list = 25
export const XENMEM_machphys_mapping = 12
export const XENMEM_add_to_physmap = 7
export const XENMEM_add_to_physmap_batch = 23
export const XENMEM_remove_from_physmap = 15
export const XENMEM_memory_map = 9
export const XENMEM_machine_memory_map = 10
export const XENMEM_set_memory_map = 13
export const XENMEM_set_pod_target = 16
export const XENMEM_get_pod_target = 17
export const XENMEM_get_sharing_freed_pages = 18
export const XENMEM_get_sharing_shared_pages = 19
export const XENMEM_paging_op = 20
export const XENMEM_sharing_op = 22
export const XENMEM_claim_pages = 24
export const XENMEM_reserved_device_memory_map = 27
export const XENMEM_acquire_resource = 28
export const XENMEM_get_vnumainfo = 26
export const XENMEM_access_op = 21

export const XENMAPSPACE_shared_info = 0
export const XENMAPSPACE_grant_table = 1
export const XENMAPSPACE_gmfn = 2
export const XENMAPSPACE_gmfn_range = 3
export const XENMAPSPACE_gmfn_foreign = 4
export const XENMAPSPACE_dev_mmio = 5
export const XENMAPIDX_grant_table_status = 0x80000000

export const XENMEM_resource_ioreq_server = 0
export const XENMEM_resource_grant_table = 1
export const XENMEM_resource_vmtrace_buf = 2
export const XENMEM_resource_grant_table_id_shared = 0
export const XENMEM_resource_grant_table_id_status = 1
export const XENMEM_resource_ioreq_server_frame_bufioreq = 0

export const XENMEMF_populate_on_demand = 65536
export const XENMEMF_exact_node_request = 131072
export const XENMEMF_vnode = 262144

export const xen_memory_reservation = new Structure('xen_memory_reservation', {
  extent_start: 'ulong',
  nr_extents: 'ulong',
  extent_order: 'u32',
  mem_flags: 'u32',
  domid: 'u16',
})

export const xen_memory_exchange = new Structure('xen_memory_exchange', {
  'in.extent_start': 'ulong',
  'in.nr_extents': 'ulong',
  'in.extent_order': 'u32',
  'in.mem_flags': 'u32',
  'in.domid': 'u16',
  end_of_in: 'align',
  'out.extent_start': 'ulong',
  'out.nr_extents': 'ulong',
  'out.extent_order': 'u32',
  'out.mem_flags': 'u32',
  'out.domid': 'u16',
  end_of_out: 'align',
  nr_exchanged: 'ulong',
})

export const xen_memory_domain = new Structure('xen_memory_domain', { domid: 'u16' })

export const xen_add_to_physmap = new Structure('xen_add_to_physmap', {
  domid: 'u16',
  size: 'u16',
  space: 'u32',
  idx: 'ulong',
  gpfn: 'ulong',
})

export const xen_add_to_physmap_batch = new Structure('xen_add_to_physmap_batch', {
  domid: 'u16',
  space: 'u16',
  size: 'u16',
  'u.foreign_domid': 'u16',
  idxs: 'ulong',
  gpfns: 'ulong',
  errs: 'ulong',
})

export const xen_remove_from_physmap = new Structure('xen_remove_from_physmap', {
  domid: 'u16',
  gpfn: 'ulong',
})

export const xen_memory_map = new Structure('xen_memory_map', {
  nr_entries: 'u32',
  buffer: 'ulong',
})

export const xen_foreign_memory_map = new Structure('xen_foreign_memory_map', {
  domid: 'u16',
  start_of_map: 'align',
  'map.nr_entries': 'u32',
  'map.buffer': 'ulong',
})

export const xen_mem_acquire_resource = new Structure('xen_mem_acquire_resource', {
  domid: 'u16',
  type: 'u16',
  id: 'u32',
  nr_frames: 'u32',
  pad: 'u32',
  frame: 'u64',
  frame_list: 'ulong',
})

/** The pointers are unions with a u64, so that they have 8 bytes in both widths. */
export const xen_vnuma_topology_info = new Structure('xen_vnuma_topology_info', {
  domid: 'u16',
  pad: 'u16',
  nr_vnodes: 'u32',
  nr_vcpus: 'u32',
  nr_vmemranges: 'u32',
  'vdistance.pad': 'u64',
  'vcpu_to_vnode.pad': 'u64',
  'vmemrange.pad': 'u64',
})
