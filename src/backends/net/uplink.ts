// The way out of an interface: a gateway that is the interface's own, beside the switch. What the
// guest sends to the gateway goes there and nowhere else; all other frames go to the switch, so
// that guests reach each other and the outside through one interface. IPv4 only.

import { withChecksum } from './checksum.ts'
import type { Frame } from './frame.ts'
import { ETHERTYPE_ARP, etherType, ipHeaders, PROTOCOL_UDP, u16 } from './headers.ts'
import { BROADCAST, macAt } from './mac.ts'
import type { SwitchPort } from './switch.ts'
import type { Vif } from './vif.ts'

const DHCP_SERVER_PORT = 67
/** Where an ARP packet has the address that is asked for. */
const ARP_TARGET_ADDRESS = 24

/** A gateway that somebody else runs; frames to and from it are complete. */
export interface Uplink {
  /** Its Ethernet address. */
  readonly mac: number
  /** Its IPv4 addresses, as numbers of 32 bits: it answers for them. */
  readonly addresses: readonly number[]
  /** Told each frame from the gateway to the guest. */
  onFrame: (frame: Uint8Array) => void
  send(frame: Uint8Array): void
  /** Holds back what comes from the gateway, and lets it come again. */
  pause(): void
  resume(): void
  close(): void
}

/** Is a frame of the guest for the gateway: to its address, a question for it, or DHCP. */
export function isForUplink(bytes: Uint8Array, uplink: Pick<Uplink, 'mac' | 'addresses'>): boolean {
  const destination = macAt(bytes, 0)
  if (destination === uplink.mac) return true
  if (destination !== BROADCAST) return false
  const { type, at } = etherType(bytes)
  if (type === ETHERTYPE_ARP) {
    const target = at + ARP_TARGET_ADDRESS
    return uplink.addresses.includes(u16(bytes, target) * 0x10000 + u16(bytes, target + 2))
  }
  const headers = ipHeaders(bytes)
  if (headers?.version !== 4 || headers.protocol !== PROTOCOL_UDP) return false
  return headers.payload !== undefined && u16(bytes, headers.transport + 2) === DHCP_SERVER_PORT
}

/** Connects an interface with its place at a switch, and with its gateway if it has one. */
export function wire(vif: Vif, port: SwitchPort, uplink?: Uplink): void {
  if (!uplink) {
    vif.onFrame = (frame) => port.send(frame)
    return
  }
  vif.onFrame = (frame) => {
    if (isForUplink(frame.bytes, uplink)) uplink.send(withChecksum(frame).bytes)
    else port.send(frame)
  }
  vif.onLow = () => {
    if (vif.isLow) uplink.resume()
  }
  uplink.onFrame = (bytes) => {
    // The stream that it came by is reliable: the guest need not check it again.
    const frame: Frame = { bytes, isBlank: false, isValidated: true }
    vif.deliver(frame)
    if (!vif.isLow) uplink.pause()
  }
}
