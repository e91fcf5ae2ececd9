// What the host and an event guest (guests/events) tell each other in the guest's memory: addresses
// as in guests/events/places.h, structures as in guests/events/guest.h.

import { Layout } from '../../base/layout.ts'

export const ENTRY = 0x100000
export const PARAMETERS = 0x300000
export const RESULTS = 0x301000
/** u32 a port: events that it got. */
export const GOT = 0x600000
/** u32 a port: the longest that one of its events waited. */
export const WORST = 0x900000
/** u32 each: how long an event waited. */
export const SAMPLES = 0xa00000
/** All of it lies below 16 MiB. */
export const GUEST_MIB = 20

export const Scenario = { check: 1, latency: 2, burst: 3, storm: 4, urgent: 5, receive: 6 } as const
export type Scenario = keyof typeof Scenario

export const parameters = new Layout('parameters', {
  scenario: 'u32',
  channels: 'u32',
  iterations: 'u32',
  rotates: 'u32',
  cpus: 'u32',
  seed: 'u32',
  priority: 'u32',
})

export const results = new Layout('results', {
  is_done: 'u32',
  bound: 'u32',
  first_port: 'u32',
  sample_count: 'u32',
  delivered: 'u32',
  out_of_order: 'u32',
  instructions: 'u64',
  is_measuring: 'u32',
  moves: 'u32',
})
