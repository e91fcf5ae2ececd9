// public/xen.h and public/arch-x86/xen.h: hypercall numbers, domain ids, VIRQs, shared pages.
// Numbers and layouts only; names as in the header.

import { Structure } from './structure.ts'

export const __HYPERVISOR_set_trap_table = 0
export const __HYPERVISOR_mmu_update = 1
export const __HYPERVISOR_set_gdt = 2
export const __HYPERVISOR_stack_switch = 3
export const __HYPERVISOR_set_callbacks = 4
export const __HYPERVISOR_fpu_taskswitch = 5
export const __HYPERVISOR_sched_op_compat = 6
export const __HYPERVISOR_platform_op = 7
export const __HYPERVISOR_set_debugreg = 8
export const __HYPERVISOR_get_debugreg = 9
export const __HYPERVISOR_update_descriptor = 10
export const __HYPERVISOR_memory_op = 12
export const __HYPERVISOR_multicall = 13
export const __HYPERVISOR_update_va_mapping = 14
export const __HYPERVISOR_set_timer_op = 15
export const __HYPERVISOR_event_channel_op_compat = 16
export const __HYPERVISOR_xen_version = 17
export const __HYPERVISOR_console_io = 18
export const __HYPERVISOR_physdev_op_compat = 19
export const __HYPERVISOR_grant_table_op = 20
export const __HYPERVISOR_vm_assist = 21
export const __HYPERVISOR_update_va_mapping_otherdomain = 22
export const __HYPERVISOR_iret = 23
export const __HYPERVISOR_vcpu_op = 24
export const __HYPERVISOR_set_segment_base = 25
export const __HYPERVISOR_mmuext_op = 26
export const __HYPERVISOR_xsm_op = 27
export const __HYPERVISOR_nmi_op = 28
export const __HYPERVISOR_sched_op = 29
export const __HYPERVISOR_callback_op = 30
export const __HYPERVISOR_xenoprof_op = 31
export const __HYPERVISOR_event_channel_op = 32
export const __HYPERVISOR_physdev_op = 33
export const __HYPERVISOR_hvm_op = 34
export const __HYPERVISOR_sysctl = 35
export const __HYPERVISOR_domctl = 36
export const __HYPERVISOR_kexec_op = 37
export const __HYPERVISOR_tmem_op = 38
export const __HYPERVISOR_argo_op = 39
export const __HYPERVISOR_xenpmu_op = 40
export const __HYPERVISOR_dm_op = 41
export const __HYPERVISOR_hypfs_op = 42
export const __HYPERVISOR_arch_0 = 48
export const __HYPERVISOR_arch_1 = 49
export const __HYPERVISOR_arch_2 = 50
export const __HYPERVISOR_arch_3 = 51
export const __HYPERVISOR_arch_4 = 52
export const __HYPERVISOR_arch_5 = 53
export const __HYPERVISOR_arch_6 = 54
export const __HYPERVISOR_arch_7 = 55

export const VIRQ_TIMER = 0
export const VIRQ_DEBUG = 1
export const VIRQ_CONSOLE = 2
export const VIRQ_DOM_EXC = 3
export const VIRQ_TBUF = 4
export const VIRQ_DEBUGGER = 6
export const VIRQ_XENOPROF = 7
export const VIRQ_CON_RING = 8
export const VIRQ_PCPU_STATE = 9
export const VIRQ_MEM_EVENT = 10
export const VIRQ_ARGO = 11
export const VIRQ_ENOMEM = 12
export const VIRQ_XENPMU = 13
export const VIRQ_ARCH_0 = 16
export const VIRQ_ARCH_1 = 17
export const VIRQ_ARCH_2 = 18
export const VIRQ_ARCH_3 = 19
export const VIRQ_ARCH_4 = 20
export const VIRQ_ARCH_5 = 21
export const VIRQ_ARCH_6 = 22
export const VIRQ_ARCH_7 = 23
export const NR_VIRQS = 24

export const DOMID_FIRST_RESERVED = 0x7ff0
export const DOMID_SELF = 0x7ff0
export const DOMID_IO = 0x7ff1
export const DOMID_XEN = 0x7ff2
export const DOMID_COW = 0x7ff3
export const DOMID_INVALID = 0x7ff4
export const DOMID_IDLE = 0x7fff
export const DOMID_MASK = 0x7fff

export const CONSOLEIO_write = 0
export const CONSOLEIO_read = 1

export const VMASST_CMD_enable = 0
export const VMASST_CMD_disable = 1
export const VMASST_TYPE_4gb_segments = 0
export const VMASST_TYPE_4gb_segments_notify = 1
export const VMASST_TYPE_writable_pagetables = 2
export const VMASST_TYPE_pae_extended_cr3 = 3
export const VMASST_TYPE_architectural_iopl = 4
export const VMASST_TYPE_runstate_update_flag = 5
export const VMASST_TYPE_m2p_strict = 32

export const XEN_PVCLOCK_TSC_STABLE_BIT = 1
export const XEN_PVCLOCK_GUEST_STOPPED = 2

export const XEN_LEGACY_MAX_VCPUS = 32

export const multicall_entry = new Structure('multicall_entry', {
  op: 'ulong',
  result: 'ulong',
  args: ['ulong', 6],
})

export const vcpu_time_info = new Structure('vcpu_time_info', {
  version: 'u32',
  pad0: 'u32',
  tsc_timestamp: 'u64',
  system_time: 'u64',
  tsc_to_system_mul: 'u32',
  tsc_shift: 'i8',
  flags: 'u8',
  pad1: { bytes: 2 },
})

/** `arch` differs in shape between the widths but not in its end: `time` lies at 32 in both. */
export const vcpu_info = new Structure('vcpu_info', {
  evtchn_upcall_pending: 'u8',
  evtchn_upcall_mask: 'u8',
  evtchn_pending_sel: 'ulong',
  'arch.cr2': 'ulong',
  'arch.pad': 'ulong',
})

/** Bytes of one vcpu_info, and where its time lies, in both widths. */
export const VCPU_INFO_SIZE = 64
export const VCPU_INFO_TIME = 32

/** What follows the 32 vcpu_info of shared_info. */
export const shared_info = new Structure('shared_info', {
  vcpu_info: { bytes: XEN_LEGACY_MAX_VCPUS * VCPU_INFO_SIZE },
  evtchn_pending: ['ulong', 64],
  evtchn_mask: ['ulong', 64],
  wc_version: 'u32',
  wc_sec: 'u32',
  wc_nsec: 'u32',
  wc_sec_hi: 'u32',
  'arch.max_pfn': 'ulong',
  'arch.pfn_to_mfn_frame_list_list': 'ulong',
  'arch.nmi_reason': 'ulong',
  'arch.p2m_cr3': 'ulong',
  'arch.p2m_vaddr': 'ulong',
  'arch.p2m_generation': 'ulong',
})

/** The same for a 32-bit guest, whose bitmaps have 32 words and whose wc_sec_hi lies in arch. */
export const compat_shared_info = new Structure('shared_info', {
  vcpu_info: { bytes: XEN_LEGACY_MAX_VCPUS * VCPU_INFO_SIZE },
  evtchn_pending: ['u32', 32],
  evtchn_mask: ['u32', 32],
  wc_version: 'u32',
  wc_sec: 'u32',
  wc_nsec: 'u32',
  'arch.max_pfn': 'u32',
  'arch.pfn_to_mfn_frame_list_list': 'u32',
  'arch.nmi_reason': 'u32',
  'arch.p2m_cr3': 'u32',
  'arch.p2m_vaddr': 'u32',
  'arch.p2m_generation': 'u32',
  'arch.wc_sec_hi': 'u32',
})
