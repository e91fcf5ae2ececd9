// public/hvm/hvm_op.h: operations of HVM and PVH guests.
// Numbers and layouts only; names as in the header.

import { Structure } from './structure.ts'

export const HVMOP_set_param = 0
export const HVMOP_get_param = 1
export const HVMOP_flush_tlbs = 5
export const HVMOP_pagetable_dying = 9
export const HVMOP_get_time = 10
export const HVMOP_xentrace = 11
export const HVMOP_set_mem_access = 12
export const HVMOP_get_mem_access = 13
export const HVMOP_get_mem_type = 15
export const HVMOP_set_evtchn_upcall_vector = 23
export const HVMOP_guest_request_vm_event = 24
export const HVMOP_altp2m = 25
export const HVMOP_ALTP2M_INTERFACE_VERSION = 1

/** hvmmem_type_t. */
export const HVMMEM_ram_rw = 0
export const HVMMEM_ram_ro = 1
export const HVMMEM_mmio_dm = 2

export const xen_hvm_param = new Structure('xen_hvm_param', {
  domid: 'u16',
  pad: 'u16',
  index: 'u32',
  value: 'u64',
})

export const xen_hvm_pagetable_dying = new Structure('xen_hvm_pagetable_dying', {
  domid: 'u16',
  pad: ['u16', 3],
  gpa: 'u64',
})

export const xen_hvm_get_time = new Structure('xen_hvm_get_time', { now: 'u64' })

export const xen_hvm_get_mem_type = new Structure('xen_hvm_get_mem_type', {
  domid: 'u16',
  mem_type: 'u16',
  pad: ['u16', 2],
  pfn: 'u64',
})

export const xen_hvm_evtchn_upcall_vector = new Structure('xen_hvm_evtchn_upcall_vector', {
  vcpu: 'u32',
  vector: 'u8',
})

/** The head of xen_hvm_altp2m_op; 64 bytes of argument follow. */
export const xen_hvm_altp2m_op = new Structure('xen_hvm_altp2m_op', {
  version: 'u32',
  cmd: 'u32',
  domain: 'u16',
  pad1: 'u16',
  pad2: 'u32',
  'u.pad': { bytes: 64 },
})
