// How a service of the host (xenstored, a console, a block or network backend) reaches a guest: as
// the control domain, through event channels and grants, like a backend in a real domain 0. Memory
// is only reached through handles that check every access.

import { invariant } from '../base/errors.ts'
import { FRAME_BYTES, type Mfn } from '../machine/frame-table.ts'
import { GNTST_okay } from './abi/grant-table.ts'
import type { Domain } from './domain.ts'
import type { FrameMemory } from './frame-memory.ts'
import { type Claimed, claimGrantForHost, isInside } from './grant-copy.ts'
import { mapGrantForHost, unmapGrantForHost } from './grant-map.ts'
import type { Hypervisor } from './hypervisor.ts'

/** A page of a guest that a service holds. It stays valid until it is given back. */
export class HostPage {
  readonly #memory: FrameMemory
  readonly #release: () => void
  readonly mfn: Mfn
  readonly isReadOnly: boolean
  #isOpen = true

  constructor(memory: FrameMemory, mfn: Mfn, isReadOnly: boolean, release: () => void) {
    this.#memory = memory
    this.mfn = mfn
    this.isReadOnly = isReadOnly
    this.#release = release
  }

  /** A copy of bytes of the page. */
  read(offset: number, length: number): Uint8Array<ArrayBuffer> {
    invariant(this.#isOpen, 'a page was read after it was given back')
    return this.#memory.read(this.mfn, offset, length)
  }

  /** Copies bytes of the page to `target`, as many as it has room for. */
  copyOut(offset: number, target: Uint8Array): void {
    invariant(this.#isOpen, 'a page was read after it was given back')
    this.#memory.copyOut(this.mfn, offset, target)
  }

  write(offset: number, bytes: Uint8Array): void {
    this.#mayWrite()
    this.#memory.write(this.mfn, offset, bytes)
  }

  /** The 32-bit word at a multiple of 4: one read, for ring indices. */
  get32(offset: number): number {
    invariant(this.#isOpen, 'a page was read after it was given back')
    return this.#memory.get32(this.mfn, offset)
  }

  set32(offset: number, value: number): void {
    this.#mayWrite()
    this.#memory.set32(this.mfn, offset, value)
  }

  /** Gives the page back; a second time does nothing. */
  release(): void {
    if (!this.#isOpen) return
    this.#isOpen = false
    this.#release()
  }

  #mayWrite(): void {
    invariant(this.#isOpen, 'a page was written after it was given back')
    invariant(!this.isReadOnly, 'a page that was mapped read-only was written')
  }
}

/** Maps a grant of a guest; a GNTST_ status if the guest did not grant it. */
export function mapGrantedPage(
  hypervisor: Hypervisor,
  domid: number,
  ref: number,
  isReadOnly = false,
): HostPage | number {
  const { control, memory } = hypervisor
  const result = mapGrantForHost(hypervisor, control, { domid, ref, isReadOnly })
  if (result.status !== GNTST_okay) return result.status
  return new HostPage(memory, result.mfn as Mfn, isReadOnly, () => {
    unmapGrantForHost(hypervisor, control, result.handle)
  })
}

/**
 * Copies bytes of a granted page to `target`, without mapping it (GNTTABOP_copy). False if the
 * guest did not grant them.
 */
export function copyFromGrant(
  hypervisor: Hypervisor,
  domid: number,
  ref: number,
  offset: number,
  target: Uint8Array,
): boolean {
  const { control, memory } = hypervisor
  const claimed = claimGrantForHost(hypervisor, control, { domid, ref, isReadOnly: true })
  if (!covers(claimed, offset, target.length)) return false
  memory.copyOut(claimed.mfn, offset, target)
  return true
}

/** Copies `bytes` into a granted page. False if the guest did not grant that. */
export function copyToGrant(
  hypervisor: Hypervisor,
  domid: number,
  ref: number,
  offset: number,
  bytes: Uint8Array,
): boolean {
  const { control, memory } = hypervisor
  const claimed = claimGrantForHost(hypervisor, control, { domid, ref, isReadOnly: false })
  if (!covers(claimed, offset, bytes.length)) return false
  memory.write(claimed.mfn, offset, bytes)
  return true
}

/** What a grant of a part of a page says is the guest's: it may end beyond the page. */
function covers(claimed: Claimed | number, offset: number, length: number): claimed is Claimed {
  if (typeof claimed === 'number' || offset + length > FRAME_BYTES) return false
  return isInside(offset, length, claimed)
}

/** Holds a page of a guest by its guest frame, as a toolstack may; undefined if it is not RAM. */
export function mapForeignPage(domain: Domain, gfn: number): HostPage | undefined {
  const { memory } = domain.world
  const mfn = domain.physMap.ramAt(gfn)
  if (mfn === undefined || !memory.table.get(mfn)) return undefined
  return new HostPage(memory, mfn, false, () => memory.table.put(mfn))
}

/** An event channel between the control domain and a guest. */
export interface HostChannel {
  /** The port in the control domain. */
  readonly port: number
  /** Sends the guest an event. */
  notify(): void
  close(): void
}

/**
 * Binds to a port that the guest has left unbound for domain 0; an error number if there is none.
 * `onEvent` is called for each event, outside of whatever the guest was doing; if it is patient,
 * when the guest's processor has ended its turn.
 */
export function bindGuestPort(
  hypervisor: Hypervisor,
  domid: number,
  remotePort: number,
  onEvent: () => void,
  isPatient = false,
): HostChannel | number {
  const port = hypervisor.control.channels.bindInterdomain(domid, remotePort)
  return port < 0 ? port : channel(hypervisor, port, onEvent, isPatient)
}

/**
 * Makes the pair of ports that a guest is born with (console, xenstore): unbound in the guest, and
 * bound here at once. Answers both.
 */
export function createGuestPort(
  hypervisor: Hypervisor,
  domain: Domain,
  onEvent: () => void,
): { readonly guestPort: number; readonly channel: HostChannel } | number {
  const guestPort = domain.channels.allocUnbound(hypervisor.control.domid)
  if (guestPort < 0) return guestPort
  const bound = bindGuestPort(hypervisor, domain.domid, guestPort, onEvent)
  return typeof bound === 'number' ? bound : { guestPort, channel: bound }
}

function channel(
  hypervisor: Hypervisor,
  port: number,
  onEvent: () => void,
  isPatient = false,
): HostChannel {
  const { channels, hostEvents } = hypervisor.control
  hostEvents?.attach(port, onEvent, isPatient)
  return {
    port,
    notify: () => {
      channels.send(port)
    },
    close: () => {
      hostEvents?.detach(port)
      channels.close(port)
    },
  }
}
