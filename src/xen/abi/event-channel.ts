// public/event_channel.h: event channels, two-level and FIFO.
// Numbers and layouts only; names as in the header.

import { Structure } from './structure.ts'

export const EVTCHNOP_bind_interdomain = 0
export const EVTCHNOP_bind_virq = 1
export const EVTCHNOP_bind_pirq = 2
export const EVTCHNOP_close = 3
export const EVTCHNOP_send = 4
export const EVTCHNOP_status = 5
export const EVTCHNOP_alloc_unbound = 6
export const EVTCHNOP_bind_ipi = 7
export const EVTCHNOP_bind_vcpu = 8
export const EVTCHNOP_unmask = 9
export const EVTCHNOP_reset = 10
export const EVTCHNOP_init_control = 11
export const EVTCHNOP_expand_array = 12
export const EVTCHNOP_set_priority = 13

export const EVTCHNSTAT_closed = 0
export const EVTCHNSTAT_unbound = 1
export const EVTCHNSTAT_interdomain = 2
export const EVTCHNSTAT_pirq = 3
export const EVTCHNSTAT_virq = 4
export const EVTCHNSTAT_ipi = 5

export const EVTCHN_FIFO_PRIORITY_MAX = 0
export const EVTCHN_FIFO_PRIORITY_DEFAULT = 7
export const EVTCHN_FIFO_PRIORITY_MIN = 15
export const EVTCHN_FIFO_MAX_QUEUES = 16
export const EVTCHN_FIFO_PENDING = 31
export const EVTCHN_FIFO_MASKED = 30
export const EVTCHN_FIFO_LINKED = 29
export const EVTCHN_FIFO_BUSY = 28
export const EVTCHN_FIFO_LINK_BITS = 17
export const EVTCHN_FIFO_LINK_MASK = 131071
export const EVTCHN_FIFO_NR_CHANNELS = 131072

export const evtchn_alloc_unbound = new Structure('evtchn_alloc_unbound', {
  dom: 'u16',
  remote_dom: 'u16',
  port: 'u32',
})

export const evtchn_bind_interdomain = new Structure('evtchn_bind_interdomain', {
  remote_dom: 'u16',
  remote_port: 'u32',
  local_port: 'u32',
})

export const evtchn_bind_virq = new Structure('evtchn_bind_virq', {
  virq: 'u32',
  vcpu: 'u32',
  port: 'u32',
})

export const evtchn_bind_pirq = new Structure('evtchn_bind_pirq', {
  pirq: 'u32',
  flags: 'u32',
  port: 'u32',
})

export const evtchn_bind_ipi = new Structure('evtchn_bind_ipi', { vcpu: 'u32', port: 'u32' })

export const evtchn_close = new Structure('evtchn_close', { port: 'u32' })

export const evtchn_send = new Structure('evtchn_send', { port: 'u32' })

/** `u.interdomain.dom` and `u.unbound.dom` are the low half of `u.virq`. */
export const evtchn_status = new Structure('evtchn_status', {
  dom: 'u16',
  port: 'u32',
  status: 'u32',
  vcpu: 'u32',
  'u.virq': 'u32',
  'u.interdomain.port': 'u32',
})

export const evtchn_bind_vcpu = new Structure('evtchn_bind_vcpu', { port: 'u32', vcpu: 'u32' })

export const evtchn_unmask = new Structure('evtchn_unmask', { port: 'u32' })

export const evtchn_reset = new Structure('evtchn_reset', { dom: 'u16' })

export const evtchn_init_control = new Structure('evtchn_init_control', {
  control_gfn: 'u64',
  offset: 'u32',
  vcpu: 'u32',
  link_bits: 'u8',
  _pad: { bytes: 7 },
})

export const evtchn_expand_array = new Structure('evtchn_expand_array', { array_gfn: 'u64' })

export const evtchn_set_priority = new Structure('evtchn_set_priority', {
  port: 'u32',
  priority: 'u32',
})

export const evtchn_fifo_control_block = new Structure('evtchn_fifo_control_block', {
  ready: 'u32',
  _rsvd: 'u32',
  head: ['u32', EVTCHN_FIFO_MAX_QUEUES],
})
