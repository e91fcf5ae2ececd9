// An Ethernet frame on its way between interfaces, with what its sender has left to be done: as
// guests with offloads send it, it may be larger than the network allows and lack its checksum.

/** Which protocol a large frame is to be cut up by. */
export type GsoType = 'tcpv4' | 'tcpv6'

export interface Gso {
  readonly type: GsoType
  /** Payload of each segment. */
  readonly size: number
}

/** Nobody changes a frame: the switch hands the same one to many. */
export interface Frame {
  /** From the destination address on, without the checksum of Ethernet. */
  readonly bytes: Uint8Array
  /** The TCP or UDP checksum is still to be computed. */
  readonly isBlank: boolean
  /** The sender vouches for the data; always so for a blank checksum. */
  readonly isValidated: boolean
  /** Set if the frame stands for several. */
  readonly gso?: Gso | undefined
}

/** Two addresses and a type or length: less is no frame. */
export const LEAST_FRAME_BYTES = 14
