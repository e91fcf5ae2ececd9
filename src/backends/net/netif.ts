// The network protocol of Xen's public io/netif.h and the ring of io/ring.h, as data: flags, kinds
// of extra information, statuses, and the layout of what lies in the rings. Numbers of features
// that are not offered (the control ring, hashes) are left out.

import { Layout } from '../../base/layout.ts'

export const XEN_NETIF_NR_SLOTS_MIN = 18

export const NETTXF_csum_blank = 1
export const NETTXF_data_validated = 2
export const NETTXF_more_data = 4
export const NETTXF_extra_info = 8

export const NETRXF_data_validated = 1
export const NETRXF_csum_blank = 2
export const NETRXF_more_data = 4
export const NETRXF_extra_info = 8

export const XEN_NETIF_EXTRA_TYPE_NONE = 0
export const XEN_NETIF_EXTRA_TYPE_GSO = 1
export const XEN_NETIF_EXTRA_TYPE_MCAST_ADD = 2
export const XEN_NETIF_EXTRA_TYPE_MCAST_DEL = 3
export const XEN_NETIF_EXTRA_TYPE_MAX = 5

export const XEN_NETIF_EXTRA_FLAG_MORE = 1

export const XEN_NETIF_GSO_TYPE_TCPV4 = 1
export const XEN_NETIF_GSO_TYPE_TCPV6 = 2

export const NETIF_RSP_DROPPED = -2
export const NETIF_RSP_ERROR = -1
export const NETIF_RSP_OKAY = 0
export const NETIF_RSP_NULL = 1

export const netif_tx_request = new Layout('netif_tx_request', {
  gref: 'u32',
  offset: 'u16',
  flags: 'u16',
  id: 'u16',
  size: 'u16',
})

export const netif_tx_response = new Layout('netif_tx_response', { id: 'u16', status: 'i16' })

export const netif_rx_request = new Layout('netif_rx_request', {
  id: 'u16',
  pad: 'u16',
  gref: 'u32',
})

export const netif_rx_response = new Layout('netif_rx_response', {
  id: 'u16',
  offset: 'u16',
  flags: 'u16',
  status: 'i16',
})

/** netif_extra_info as segmentation uses it. */
export const netif_extra_gso = new Layout('netif_extra_info', {
  type: 'u8',
  flags: 'u8',
  size: 'u16',
  gso_type: 'u8',
  pad: 'u8',
  features: 'u16',
})

/** netif_extra_info as multicast control uses it. */
export const netif_extra_mcast = new Layout('netif_extra_info', {
  type: 'u8',
  flags: 'u8',
  addr: { bytes: 6 },
})

/** The head of a shared ring; entries begin at {@link RING_ENTRIES}. */
export const ring_head = new Layout('netif_tx_sring', {
  req_prod: 'u32',
  req_event: 'u32',
  rsp_prod: 'u32',
  rsp_event: 'u32',
})

export const RING_ENTRIES = 64
/** Bytes of an entry: the larger of request and response. */
export const TX_ENTRY_BYTES = 12
export const RX_ENTRY_BYTES = 8
/** Entries of a ring of one page: a power of two, for both directions. */
export const NET_RING_SIZE = 256
