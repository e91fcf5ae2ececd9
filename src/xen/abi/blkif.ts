// public/io/blkif.h: requests and responses of block devices. A ring holds structures of the
// frontend's own ABI, 64-bit or 32-bit. Numbers and layouts only.

import { Structure } from './structure.ts'

export const BLKIF_OP_READ = 0
export const BLKIF_OP_WRITE = 1
export const BLKIF_OP_WRITE_BARRIER = 2
export const BLKIF_OP_FLUSH_DISKCACHE = 3
export const BLKIF_OP_DISCARD = 5
export const BLKIF_OP_INDIRECT = 6

export const BLKIF_MAX_SEGMENTS_PER_REQUEST = 11
export const BLKIF_MAX_INDIRECT_PAGES_PER_REQUEST = 8

export const BLKIF_RSP_EOPNOTSUPP = -2
export const BLKIF_RSP_ERROR = -1
export const BLKIF_RSP_OKAY = 0

export const VDISK_CDROM = 1
export const VDISK_REMOVABLE = 2
export const VDISK_READONLY = 4

/** The segments follow as {@link blkif_request_segment}, eleven of them. */
export const blkif_request = new Structure('blkif_request', {
  operation: 'u8',
  nr_segments: 'u8',
  handle: 'u16',
  id: 'u64',
  sector_number: 'u64',
  seg: { bytes: 88 },
})

/** Aligned to 4 in both ABIs. */
export const blkif_request_segment = new Structure('blkif_request_segment', {
  gref: 'u32',
  first_sect: 'u8',
  last_sect: 'u8',
})

export const blkif_request_discard = new Structure('blkif_request_discard', {
  operation: 'u8',
  flag: 'u8',
  handle: 'u16',
  id: 'u64',
  sector_number: 'u64',
  nr_sectors: 'u64',
})

/** The 32-bit form has 8 bytes of padding behind it, which nobody reads. */
export const blkif_request_indirect = new Structure('blkif_request_indirect', {
  operation: 'u8',
  indirect_op: 'u8',
  nr_segments: 'u16',
  id: 'u64',
  sector_number: 'u64',
  handle: 'u16',
  indirect_grefs: ['u32', 8],
})

export const blkif_response = new Structure('blkif_response', {
  id: 'u64',
  operation: 'u8',
  status: 'i16',
})
