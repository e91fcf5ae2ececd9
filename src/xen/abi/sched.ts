// public/sched.h: scheduling and shutting down.
// Numbers and layouts only; names as in the header.

import { Structure } from './structure.ts'

export const SCHEDOP_yield = 0
export const SCHEDOP_block = 1
export const SCHEDOP_shutdown = 2
export const SCHEDOP_poll = 3
export const SCHEDOP_remote_shutdown = 4
export const SCHEDOP_shutdown_code = 5
export const SCHEDOP_watchdog = 6
export const SCHEDOP_pin_override = 7

export const SHUTDOWN_poweroff = 0
export const SHUTDOWN_reboot = 1
export const SHUTDOWN_suspend = 2
export const SHUTDOWN_crash = 3
export const SHUTDOWN_watchdog = 4
export const SHUTDOWN_soft_reset = 5
export const SHUTDOWN_MAX = 5

export const sched_shutdown = new Structure('sched_shutdown', { reason: 'u32' })

export const sched_poll = new Structure('sched_poll', {
  ports: 'ulong',
  nr_ports: 'u32',
  timeout: 'u64',
})

export const sched_remote_shutdown = new Structure('sched_remote_shutdown', {
  domain_id: 'u16',
  reason: 'u32',
})

export const sched_watchdog = new Structure('sched_watchdog', { id: 'u32', timeout: 'u32' })

export const sched_pin_override = new Structure('sched_pin_override', { pcpu: 'i32' })
