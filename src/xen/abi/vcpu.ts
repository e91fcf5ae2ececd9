// public/vcpu.h: virtual processors, their timers and their run states.
// Numbers and layouts only; names as in the header.

import { Structure } from './structure.ts'

export const VCPUOP_initialise = 0
export const VCPUOP_up = 1
export const VCPUOP_down = 2
export const VCPUOP_is_up = 3
export const VCPUOP_get_runstate_info = 4
export const VCPUOP_register_runstate_memory_area = 5
export const VCPUOP_set_periodic_timer = 6
export const VCPUOP_stop_periodic_timer = 7
export const VCPUOP_set_singleshot_timer = 8
export const VCPUOP_stop_singleshot_timer = 9
export const VCPUOP_register_vcpu_info = 10
export const VCPUOP_send_nmi = 11
export const VCPUOP_get_physid = 12
export const VCPUOP_register_vcpu_time_memory_area = 13

export const RUNSTATE_running = 0
export const RUNSTATE_runnable = 1
export const RUNSTATE_blocked = 2
export const RUNSTATE_offline = 3

export const VCPU_SSHOTTMR_future = 1

/** Set in state_entry_time while the structure is being changed. */
export const XEN_RUNSTATE_UPDATE = 1n << 63n

export const vcpu_runstate_info = new Structure('vcpu_runstate_info', {
  state: 'i32',
  state_entry_time: 'u64',
  time: ['u64', 4],
})

export const vcpu_register_runstate_memory_area = new Structure(
  'vcpu_register_runstate_memory_area',
  { 'addr.p': 'u64' },
)

export const vcpu_set_periodic_timer = new Structure('vcpu_set_periodic_timer', {
  period_ns: 'u64',
})

export const vcpu_set_singleshot_timer = new Structure('vcpu_set_singleshot_timer', {
  timeout_abs_ns: 'u64',
  flags: 'u32',
})

export const vcpu_register_vcpu_info = new Structure('vcpu_register_vcpu_info', {
  mfn: 'u64',
  offset: 'u32',
  rsvd: 'u32',
})

export const vcpu_get_physid = new Structure('vcpu_get_physid', { phys_id: 'u64' })

export const vcpu_register_time_memory_area = new Structure('vcpu_register_time_memory_area', {
  'addr.p': 'u64',
})
