// The three-level event channels proposed for Xen in March 2013 (Wei Liu, RFC V5), which were never
// merged: no header has them. The structures are a reconstruction from what the postings say; the
// operations had numbers 11 and 12 then, which FIFO's have since, so they have numbers of ours.

import { Structure } from './structure.ts'

/** Which ABIs beside the two-level one the domain may use: a bit map. */
export const EVTCHNOP_query_extended_abis = 201300
/** First the bitmaps, which switches the ABI, and then each processor's second selector. */
export const EVTCHNOP_register_3level = 201301

export const EVTCHN_EXTENDED_L3 = 1

export const REGISTER_BITMAP = 1
export const REGISTER_L2_SELECTOR = 2

export const evtchn_query_extended_abis = new Structure('evtchn_query_extended_abis', {
  abis: 'u64',
})

/** With REGISTER_BITMAP: two lists of `nr_pages` longs, each a guest frame number. */
export const evtchn_register_3level = new Structure('evtchn_register_3level', {
  cmd: 'u32',
  u: 'align',
  nr_pages: 'u32',
  evtchn_pending: 'ulong',
  evtchn_mask: 'ulong',
})

/** The same with REGISTER_L2_SELECTOR: the other half of the union. */
export const evtchn_register_3level_l2 = new Structure('evtchn_register_3level', {
  cmd: 'u32',
  u: 'align',
  cpu_id: 'u32',
  gfn: 'ulong',
  offset: 'ulong',
})
