// Which ABI a domain's events use, and the pages that the guest has given for it. Every domain
// starts with two-level events; the guest may go over to FIFO (EVTCHNOP_init_control) or three-level
// events (EVTCHNOP_register_3level) where the toolstack allows them, and comes back by
// EVTCHNOP_reset. What is pending or masked moves over. Answers are 0 or Xen's error numbers, negated.

import { invariant } from '../base/errors.ts'
import { FRAME_BYTES, type Mfn } from '../machine/frame-table.ts'
import { XEN_EINVAL, XEN_ENOENT, XEN_ENOSPC, XEN_ENOSYS, XEN_EOPNOTSUPP } from './abi/errno.ts'
import { TwoLevelEvents } from './event-2l.ts'
import {
  bitmapPages,
  selectorBytes,
  ThreeLevelEvents,
  type ThreeLevelEventsState,
} from './event-3l.ts'
import type { EventAbi, EventAbiName, EventTarget } from './event-abi.ts'
import { EventChannels, type EventChannelsState } from './event-channels.ts'
import { CONTROL_BLOCK_SIZE, FifoEvents, type FifoEventsState } from './event-fifo.ts'
import { HostEvents, type HostEventsState } from './event-host.ts'
import { EventPorts } from './event-port.ts'
import type { FrameMemory } from './frame-memory.ts'
import type { SharedInfo, VcpuInfo } from './shared-info.ts'

export interface EventControlOptions extends EventTarget {
  readonly domid: number
  /** The highest port; what the ABI can do limits it besides. */
  readonly maxPort: number
  /** ABIs that the guest may go over to. Two-level events are always there. */
  readonly abis: ReadonlySet<EventAbiName>
  readonly memory: FrameMemory
  readonly shared: SharedInfo
  /** Of each processor; none for the control domain, whose events are the host's callbacks. */
  readonly vcpus: readonly VcpuInfo[]
  readonly channelsOf: (domid: number) => EventChannels | undefined
  /** A reference of the frame of the domain's own writable RAM at a guest frame. */
  readonly takeFrame: (gfn: bigint) => Mfn | undefined
  readonly hostEventsWanted: () => void
  /** Told of each event for a bound port, for a trace. */
  readonly onEvent?: ((port: number) => void) | undefined
}

/** How events are told, as saved. */
type AbiState =
  | { readonly kind: '2-level' }
  | { readonly kind: '3-level'; readonly state: ThreeLevelEventsState }
  | { readonly kind: 'FIFO'; readonly state: FifoEventsState }
  | { readonly kind: 'host'; readonly state: HostEventsState }

/** The plain form of {@link EventControl}. */
export interface EventControlState {
  readonly version: 1
  readonly channels: EventChannelsState
  readonly maxPort: number
  readonly abi: AbiState
}

export class EventControl {
  readonly channels: EventChannels
  readonly #options: EventControlOptions
  readonly #ports = new EventPorts()

  constructor(options: EventControlOptions) {
    this.#options = options
    const { domid, maxPort, vcpus, channelsOf, onEvent } = options
    const vcpuCount = Math.max(1, vcpus.length)
    this.channels = new EventChannels(
      { domid, maxPort, vcpuCount, pirqCount: 0, channelsOf, onEvent },
      this.#ports,
      this.#firstAbi(),
    )
  }

  /** May the guest use that ABI. */
  allows(abi: EventAbiName): boolean {
    return this.#options.abis.has(abi)
  }

  /** The services of the host, if this is the control domain. */
  get hostEvents(): HostEvents | undefined {
    return this.channels.abi instanceof HostEvents ? this.channels.abi : undefined
  }

  /** Pages of the guest that the ABI in use holds. */
  get guestPages(): number {
    return this.#heldFrames().length
  }

  /** EVTCHNOP_init_control: a processor's control block; the first one switches to FIFO. */
  initControl(gfn: bigint, offset: number, vcpu: number): number {
    const { abi } = this.channels
    if (!this.allows('fifo')) return -XEN_ENOSYS
    if (vcpu >= this.#options.vcpus.length) return -XEN_ENOENT
    if (offset > FRAME_BYTES - CONTROL_BLOCK_SIZE || offset % 8 !== 0) return -XEN_EINVAL
    if (!(abi instanceof FifoEvents) && !(abi instanceof TwoLevelEvents)) return -XEN_EINVAL
    if (abi instanceof FifoEvents && abi.hasControlBlock(vcpu)) return -XEN_EINVAL
    const mfn = this.#options.takeFrame(gfn)
    if (mfn === undefined) return -XEN_EINVAL
    const fifo = abi instanceof FifoEvents ? abi : this.#newFifo()
    fifo.setControlBlock(vcpu, mfn, offset)
    if (fifo !== abi) this.#switchTo(fifo)
    return 0
  }

  /** EVTCHNOP_expand_array: one more page of event words. */
  expandArray(gfn: bigint): number {
    const { abi } = this.channels
    if (!this.allows('fifo')) return -XEN_ENOSYS
    if (!(abi instanceof FifoEvents)) return -XEN_EOPNOTSUPP
    if (abi.isArrayFull) return -XEN_ENOSPC
    const mfn = this.#options.takeFrame(gfn)
    if (mfn === undefined) return -XEN_EINVAL
    abi.addArrayPage(mfn)
    return 0
  }

  /**
   * EVTCHNOP_register_3level, first phase: the bitmaps, which switches to three levels. The two
   * lists are as long as the guest said; each has to be what its width asks for.
   */
  registerBitmaps(pending: readonly bigint[], mask: readonly bigint[]): number {
    const { width } = this.#options.shared
    if (!this.allows('3l')) return -XEN_ENOSYS
    if (!(this.channels.abi instanceof TwoLevelEvents)) return -XEN_EINVAL
    const pages = bitmapPages(width)
    if (pending.length !== pages || mask.length !== pages) return -XEN_EINVAL
    const frames = this.#takeAll([...pending, ...mask])
    if (!frames) return -XEN_EINVAL
    const abi = this.#newThreeLevel()
    abi.setBitmaps(width, frames.slice(0, pages), frames.slice(pages))
    this.#switchTo(abi)
    return 0
  }

  /** EVTCHNOP_register_3level, second phase: a processor's second selector, once for each. */
  registerSelector(vcpu: number, gfn: bigint, offset: bigint): number {
    const { abi } = this.channels
    if (!this.allows('3l')) return -XEN_ENOSYS
    if (vcpu >= this.#options.vcpus.length) return -XEN_ENOENT
    if (!(abi instanceof ThreeLevelEvents)) return -XEN_EOPNOTSUPP
    const room = FRAME_BYTES - selectorBytes(abi.width)
    if (offset > BigInt(room) || offset % BigInt(abi.width / 8) !== 0n) return -XEN_EINVAL
    if (abi.hasSelector(vcpu)) return -XEN_EINVAL
    const mfn = this.#options.takeFrame(gfn)
    if (mfn === undefined) return -XEN_EINVAL
    abi.setSelector(vcpu, mfn, Number(offset))
    return 0
  }

  /**
   * EVTCHNOP_reset: closes all ports and goes back to two-level events. False if there is more to
   * do than `most` ports.
   */
  reset(most = Number.POSITIVE_INFINITY): boolean {
    if (!this.channels.closeAll(true, most)) return false
    const { abi } = this.channels
    if (abi instanceof TwoLevelEvents || abi instanceof HostEvents) return true
    const frames = this.#heldFrames()
    this.#switchTo(this.#firstAbi())
    for (const mfn of frames) this.#options.memory.table.put(mfn)
    return true
  }

  /** The domain ends: closes everything, gives the guest's pages back, and no more ports out. */
  destroy(): void {
    this.channels.destroy()
    const frames = this.#heldFrames()
    if (frames.length > 0) this.#switchTo(this.#firstAbi())
    for (const mfn of frames) this.#options.memory.table.put(mfn)
  }

  save(): EventControlState {
    return {
      version: 1,
      channels: this.channels.save(),
      maxPort: this.channels.maxPort,
      abi: this.#saveAbi(),
    }
  }

  restore(state: EventControlState): void {
    invariant(state.version === 1, `events of version ${state.version} are not known`)
    this.channels.restore(state.channels, this.#restoreAbi(state.abi))
    this.channels.maxPort = state.maxPort
  }

  /** A bit that the last ABI left in a selector would keep an upcall of the next one back. */
  #switchTo(abi: EventAbi): void {
    for (const info of this.#options.vcpus) info.clearSelectors()
    this.channels.switchAbi(abi)
  }

  #saveAbi(): AbiState {
    const { abi } = this.channels
    if (abi instanceof FifoEvents) return { kind: 'FIFO', state: abi.save() }
    if (abi instanceof ThreeLevelEvents) return { kind: '3-level', state: abi.save() }
    if (abi instanceof HostEvents) return { kind: 'host', state: abi.save() }
    return { kind: '2-level' }
  }

  #restoreAbi(save: AbiState): EventAbi {
    switch (save.kind) {
      case 'FIFO': {
        const fifo = this.#newFifo()
        fifo.restore(save.state)
        return fifo
      }
      case '3-level': {
        const threeLevel = this.#newThreeLevel()
        threeLevel.restore(save.state)
        return threeLevel
      }
      case 'host': {
        // The services attach themselves to the object that is there.
        const events = this.hostEvents ?? new HostEvents(this.#options.hostEventsWanted)
        events.restore(save.state)
        return events
      }
      case '2-level':
        return this.#firstAbi()
    }
  }

  #heldFrames(): Mfn[] {
    const { abi } = this.channels
    return abi instanceof FifoEvents || abi instanceof ThreeLevelEvents ? abi.frames() : []
  }

  /** References of all these frames, or of none. */
  #takeAll(gfns: readonly bigint[]): Mfn[] | undefined {
    const taken: Mfn[] = []
    for (const gfn of gfns) {
      const mfn = this.#options.takeFrame(gfn)
      if (mfn === undefined) {
        for (const held of taken) this.#options.memory.table.put(held)
        return undefined
      }
      taken.push(mfn)
    }
    return taken
  }

  #firstAbi(): EventAbi {
    const { shared, vcpus, hostEventsWanted } = this.#options
    if (vcpus.length === 0) return new HostEvents(hostEventsWanted)
    return new TwoLevelEvents(this.#ports, shared, vcpus, this.#options)
  }

  #newThreeLevel(): ThreeLevelEvents {
    const { memory, vcpus } = this.#options
    return new ThreeLevelEvents(memory, this.#ports, vcpus, this.#options)
  }

  #newFifo(): FifoEvents {
    const { memory, vcpus } = this.#options
    return new FifoEvents(memory, this.#ports, vcpus, this.#options)
  }
}
