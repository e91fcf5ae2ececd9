// The way out of an interface: a gateway that is the interface's own, beside the switch. What the
// guest sends to the gateway goes there and nowhere else; all other frames go to the switch, so
// that guests reach each other and the outside through one interface.

import { withChecksum } from './checksum.ts'
import { ETHERTYPE_ARP, etherType, ipHeaders, PROTOCOL_UDP, u16 } from './headers.ts'
import { beyondScope, introduction, isForRouter, isFromGlobal } from './ipv6-gateway.ts'
import { BROADCAST, isGroup, macAt } from './mac.ts'
import type { SwitchPort } from './switch.ts'
import type { Vif } from './vif.ts'

const DHCP_SERVER_PORT = 67
/** Where an ARP packet has the address that is asked for. */
const ARP_TARGET_ADDRESS = 24

/** A gateway that somebody else runs; frames to and from it are complete. */
export interface Uplink {
  /** Its Ethernet address; the IPv6 address that it answers for is the one that belongs to that. */
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
  if (!isGroup(destination)) return false
  const headers = ipHeaders(bytes)
  if (headers?.version === 6) return isForRouter(bytes, headers, uplink.mac)
  if (destination !== BROADCAST) return false
  const { type, at } = etherType(bytes)
  if (type === ETHERTYPE_ARP) {
    const target = at + ARP_TARGET_ADDRESS
    return uplink.addresses.includes(u16(bytes, target) * 0x10000 + u16(bytes, target + 2))
  }
  if (headers?.payload === undefined || headers.protocol !== PROTOCOL_UDP) return false
  return u16(bytes, headers.transport + 2) === DHCP_SERVER_PORT
}

/** What of an interface its way out needs. */
type Wired = Pick<Vif, 'deliver' | 'isLow' | 'onFrame' | 'onLow'>

/** Connects an interface with its place at a switch, and with its gateway if it has one. */
export function wire(vif: Wired, port: Pick<SwitchPort, 'send'>, uplink?: Uplink): void {
  if (!uplink) {
    vif.onFrame = (frame) => port.send(frame)
    return
  }
  const { mac } = uplink
  // The stream that it comes by is reliable: the guest need not check it again.
  const deliver = (bytes: Uint8Array) => vif.deliver({ bytes, isBlank: false, isValidated: true })
  /** Has the gateway had a packet from an address that is not only the link's. */
  let knowsGuest = false
  vif.onFrame = (frame) => {
    const isOut = isForUplink(frame.bytes, uplink)
    if (!isOut) port.send(frame)
    const headers = ipHeaders(frame.bytes)
    const ends = { mac, guestMac: macAt(frame.bytes, 6) }
    if (headers?.version === 6) {
      if (isOut) {
        const refusal = beyondScope(frame.bytes, headers, ends)
        if (refusal) return deliver(refusal)
        knowsGuest ||= isFromGlobal(frame.bytes, headers)
      } else if (!knowsGuest) {
        const said = introduction(frame.bytes, headers, ends)
        if (said) uplink.send(said)
      }
    }
    if (isOut) uplink.send(withChecksum(frame).bytes)
  }
  vif.onLow = () => {
    if (vif.isLow) uplink.resume()
  }
  uplink.onFrame = (bytes) => {
    deliver(bytes)
    if (!vif.isLow) uplink.pause()
  }
}
