// A domain: its memory, its processors, its event channels and grants, and whether it lives. The
// hypercalls act on it; the toolstack builds it and looks at why it ended.

import { invariant } from '../base/errors.ts'
import { FRAME_BYTES, type Mfn } from '../machine/frame-table.ts'
import type { Clock } from '../machine/time.ts'
import type { Timers } from '../machine/timers.ts'
import { Tsc, type TscState } from '../machine/tsc.ts'
import { SHUTDOWN_crash, SHUTDOWN_MAX, SHUTDOWN_poweroff, SHUTDOWN_watchdog } from './abi/sched.ts'
import type { Width } from './abi/structure.ts'
import type { CpuidRegisters } from './cpuid-leaves.ts'
import { Credit, type CreditState } from './credit.ts'
import type { EventAbiName } from './event-abi.ts'
import type { EventChannels } from './event-channels.ts'
import { EventControl, type EventControlState } from './event-control.ts'
import type { HostEvents } from './event-host.ts'
import { PortState } from './event-port.ts'
import type { FrameMemory } from './frame-memory.ts'
import type { GrantVersion } from './grant-entries.ts'
import { type GrantParty, type GrantWorld, releaseAllGrants } from './grant-map.ts'
import { GrantTable, type GrantTableState } from './grant-table.ts'
import { hypercallPage } from './hypercall-page.ts'
import { HvmParams, type HvmParamsState } from './hvm-params.ts'
import { MAX_GFNS, P2mType, PhysMap, type PhysMapState } from './phys-map.ts'
import { PlatformPorts, type PlatformPortsState } from './platform-ports.ts'
import { SavedTimer, type SavedTimerState } from './saved-timer.ts'
import { SharedInfo, type SharedInfoState } from './shared-info.ts'
import type { Trace } from './trace.ts'
import { Vcpu, type VcpuSave } from './vcpu.ts'

/** What a domain is made with. */
export interface DomainConfig {
  readonly name: string
  /** 16 bytes; zero if not given. */
  readonly uuid?: Uint8Array
  /** 0 for the control domain, which runs no guest code. */
  readonly vcpus: number
  /** Pages of memory it may have. */
  readonly maxPages: number
  /** The highest port, which is max_event_channels of xl (port 0 does not count); 1023 if not given. */
  readonly maxPort?: number
  /** Event-channel ABIs that the guest may use beside two-level events; FIFO if not given. */
  readonly eventAbis?: readonly EventAbiName[]
  readonly maxGrantFrames?: number
  readonly maxMaptrackFrames?: number
  readonly maxGrantVersion?: GrantVersion
  /** Against other domains, 1 to 65535; 256 if not given. */
  readonly weight?: number
  /** Per cent of one processor that it may take; no cap if 0 or not given. */
  readonly cap?: number
  /** Kilohertz of the time-stamp counter; 1 GHz if not given. */
  readonly tscKhz?: number
  /** Say in the guest's time information that the counters of all processors agree. */
  readonly isTscStable?: boolean
  /** What CPUID answers outside of Xen's own leaves. */
  readonly cpuid?: (vcpu: number, leaf: number, subleaf: number) => CpuidRegisters
  /** The processor is AMD's (or Hygon's): VMMCALL in the hypercall page. */
  readonly isAmd?: boolean
}

/** What a domain needs of the hypervisor. */
export interface DomainWorld extends GrantWorld {
  readonly memory: FrameMemory
  readonly clock: Clock
  readonly timers: Timers
  readonly trace: Trace
  /** Nanoseconds since the host started, as the running processor sees it. */
  now(): number
  channelsOf(domid: number): EventChannels | undefined
  /** The control domain's services have events to look at. */
  hostEventsWanted(): void
  /** The domain has shut down. */
  domainShutDown(domain: Domain): void
  /** The domain goes on, or one of its processors does: the scheduler looks at it again. */
  domainMayRun(domain: Domain): void
}

const DEFAULT_MAX_PORT = 1023
/** As on Xen 4.17. */
const DEFAULT_EVENT_ABIS: readonly EventAbiName[] = ['2l', 'fifo']
const DEFAULT_GRANT_FRAMES = 64
const DEFAULT_MAPTRACK_FRAMES = 1024
const DEFAULT_TSC_KHZ = 1_000_000
const WATCHDOGS = 2

/** The plain form of a {@link Domain}; its processors, their APICs and its memory are not in it. */
export interface DomainSave {
  readonly version: 3
  readonly domid: number
  readonly credit: CreditState
  readonly maxPages: number
  readonly vmAssist: number
  readonly memoryMap: Uint8Array
  readonly shutdownReason: number | null
  readonly shutdownCode: number | null
  readonly crashCause: string | null
  readonly isDying: boolean
  readonly pauses: number
  readonly tsc: TscState
  readonly physMap: PhysMapState
  readonly shared: SharedInfoState
  readonly params: HvmParamsState
  readonly grants: GrantTableState
  readonly events: EventControlState
  readonly ports: PlatformPortsState
  readonly watchdogs: readonly { readonly timer: SavedTimerState; readonly isUsed: boolean }[]
  readonly vcpus: readonly VcpuSave[]
}

export class Domain implements GrantParty {
  readonly domid: number
  readonly config: DomainConfig
  readonly world: DomainWorld
  readonly uuid: Uint8Array
  readonly tsc: Tsc
  readonly physMap = new PhysMap()
  readonly shared: SharedInfo
  readonly params = new HvmParams()
  readonly grants: GrantTable
  readonly events: EventControl
  readonly channels: EventChannels
  readonly vcpus: readonly Vcpu[]
  readonly ports: PlatformPorts
  readonly credit: Credit
  /** Set by the scheduler while the cap keeps the domain from running: wakes the clock. */
  readonly renewCredit: SavedTimer
  /** SCHEDOP_watchdog: `isUsed` from the call that starts one until the one that ends it. */
  readonly watchdogs: readonly { readonly timer: SavedTimer; isUsed: boolean }[]
  maxPages: number
  /** VMASST_TYPE_* bits that are on. */
  vmAssist = 0
  /** E820 entries of 20 bytes for XENMEM_memory_map; empty if the toolstack gave none. */
  memoryMap: Uint8Array = new Uint8Array(0)
  /** SHUTDOWN_* once the domain has shut down. */
  shutdownReason: number | undefined
  /** What SCHEDOP_shutdown_code said beforehand. */
  shutdownCode: number | undefined
  /** Why the host gave the domain up, if it did. */
  crashCause: string | undefined
  isDying = false
  #pauses = 0
  /** When a processor last read its counter. The clock is never behind it between two rounds. */
  #tscReadAt = 0

  constructor(domid: number, config: DomainConfig, world: DomainWorld) {
    this.domid = domid
    this.config = config
    this.world = world
    this.uuid = config.uuid ?? new Uint8Array(16)
    this.maxPages = config.maxPages
    this.tsc = new Tsc(config.tscKhz ?? DEFAULT_TSC_KHZ)
    this.shared = new SharedInfo(world.memory, this.#newXenFrame())
    this.shared.writeWallClock(world.clock.wallBase)
    this.grants = new GrantTable(world.memory, this.physMap, {
      domid,
      maxFrames: config.maxGrantFrames ?? DEFAULT_GRANT_FRAMES,
      maxMaptrackFrames: config.maxMaptrackFrames ?? DEFAULT_MAPTRACK_FRAMES,
      maxVersion: config.maxGrantVersion ?? 2,
    })
    this.vcpus = Array.from({ length: config.vcpus }, (_, id) => new Vcpu(this, id))
    this.events = new EventControl({
      domid,
      maxPort: config.maxPort ?? DEFAULT_MAX_PORT,
      abis: new Set(config.eventAbis ?? DEFAULT_EVENT_ABIS),
      memory: world.memory,
      shared: this.shared,
      vcpus: this.vcpus.map((vcpu) => vcpu.info),
      channelsOf: (other) => world.channelsOf(other),
      takeFrame: (gfn) => this.takeFrame(gfn),
      upcall: (vcpu) => this.vcpus[vcpu]?.upcall(),
      wakePollers: (port) => {
        for (const vcpu of this.vcpus) vcpu.wakeFromPoll(port)
      },
      hostEventsWanted: () => world.hostEventsWanted(),
      onEvent: (port) => {
        if (world.trace.events) this.#traceEvent(port)
      },
    })
    this.channels = this.events.channels
    this.ports = new PlatformPorts(() => this.shutDown(SHUTDOWN_poweroff))
    this.credit = new Credit(config.weight, config.cap)
    this.renewCredit = new SavedTimer(world.timers, () => {})
    this.watchdogs = Array.from({ length: WATCHDOGS }, () => ({
      timer: new SavedTimer(world.timers, () => this.#watchdogBit()),
      isUsed: false,
    }))
  }

  /** Nanoseconds since the host started, as the running processor sees it. */
  now(): number {
    return this.world.now()
  }

  /**
   * The time for which the running processor reads its time-stamp counter. Within a round each
   * processor has its own time, but none reads less than another one has read before: guests give
   * up the counter as a clock when they see that (Linux's check_tsc_warp).
   */
  tscTime(): number {
    this.#tscReadAt = Math.max(this.#tscReadAt, this.now())
    return this.#tscReadAt
  }

  /** May its processors run. */
  get isRunning(): boolean {
    return this.#pauses === 0 && this.shutdownReason === undefined && !this.isDying
  }

  get isPaused(): boolean {
    return this.#pauses > 0
  }

  pause(): void {
    this.#pauses++
    for (const vcpu of this.vcpus) vcpu.processor.requestExit()
  }

  unpause(): void {
    invariant(this.#pauses > 0, `domain ${this.domid} is not paused`)
    this.#pauses--
    this.world.domainMayRun(this)
  }

  /** Pages of memory that it has; those of the Xen heap do not count. */
  get totalPages(): number {
    return this.world.memory.table.totalOf(this.domid)
  }

  /** The services of the host, if this is the control domain. */
  get hostEvents(): HostEvents | undefined {
    return this.events.hostEvents
  }

  /** Ends the domain's run for a reason (SHUTDOWN_*); the first reason stands. */
  shutDown(reason: number): void {
    if (this.shutdownReason !== undefined) return
    const code = this.shutdownCode ?? reason
    this.shutdownReason = code <= SHUTDOWN_MAX ? code : reason
    for (const vcpu of this.vcpus) vcpu.processor.requestExit()
    this.world.domainShutDown(this)
  }

  /** The host cannot run the domain any further, for a reason that is the domain's own. */
  crash(cause: string): void {
    this.crashCause ??= cause
    this.shutDown(SHUTDOWN_crash)
  }

  /** Lets a domain that has shut down go on (a suspend that was cancelled, or after a restore). */
  resume(): void {
    this.shutdownReason = undefined
    this.shutdownCode = undefined
    this.crashCause = undefined
    this.world.domainMayRun(this)
  }

  /**
   * Gives the domain, which has suspended itself, what a new one has: no event channels, empty
   * grant tables and shared pages, and nothing registered. Its memory and processors stay.
   */
  renew(): void {
    const { memory, clock } = this.world
    this.events.reset()
    for (const vcpu of this.vcpus) {
      const old = vcpu.info.reset(vcpu.id)
      if (old !== undefined) memory.table.put(old)
      vcpu.renew()
    }
    memory.clear(this.shared.mfn)
    this.shared.writeWallClock(clock.wallBase)
    for (const vcpu of this.vcpus) vcpu.stampTime(this.now())
    this.grants.renew()
  }

  /** A processor went down by itself: the last one switches the power off. */
  vcpuWentDown(): void {
    if (this.vcpus.every((vcpu) => !vcpu.isUp)) this.shutDown(SHUTDOWN_poweroff)
  }

  /** New memory at a guest frame. False if the host or the domain's allowance has no more. */
  populate(gfn: number): boolean {
    if (this.totalPages >= this.maxPages) return false
    const mfn = this.world.memory.table.allocate(this.domid)
    if (mfn === undefined) return false
    // The frame may hold what was decoded of an earlier owner's code.
    this.world.memory.written(mfn, FRAME_BYTES)
    this.physMap.set(gfn, mfn, P2mType.ram_rw)
    return true
  }

  /** Copies guest-physical memory; undefined if any of it is not RAM. */
  readPhysical(gpa: number, length: number): Uint8Array<ArrayBuffer> | undefined {
    const out = new Uint8Array(length)
    for (let done = 0; done < length; ) {
      const mfn = this.physMap.ramAt(Math.floor((gpa + done) / FRAME_BYTES))
      if (mfn === undefined) return undefined
      const offset = (gpa + done) % FRAME_BYTES
      const piece = Math.min(length - done, FRAME_BYTES - offset)
      out.set(this.world.memory.read(mfn, offset, piece), done)
      done += piece
    }
    return out
  }

  /** Stores into guest-physical memory. False, and nothing is stored, if any of it is not RAM. */
  writePhysical(gpa: number, bytes: Uint8Array): boolean {
    if (bytes.length === 0) return true
    const last = Math.floor((gpa + bytes.length - 1) / FRAME_BYTES)
    for (let gfn = Math.floor(gpa / FRAME_BYTES); gfn <= last; gfn++) {
      if (this.physMap.ramAt(gfn) === undefined) return false
    }
    for (let done = 0; done < bytes.length; ) {
      const mfn = this.physMap.ramAt(Math.floor((gpa + done) / FRAME_BYTES)) as Mfn
      const offset = (gpa + done) % FRAME_BYTES
      const piece = Math.min(bytes.length - done, FRAME_BYTES - offset)
      this.world.memory.write(mfn, offset, bytes.subarray(done, done + piece))
      done += piece
    }
    return true
  }

  /** A reference of the frame of the domain's own writable RAM at a guest frame. */
  takeFrame(gfn: bigint): Mfn | undefined {
    const { table } = this.world.memory
    const number = gfn < BigInt(MAX_GFNS) ? Number(gfn) : -1
    if (this.physMap.typeOf(number) !== P2mType.ram_rw) return undefined
    const mfn = this.physMap.frameOf(number)
    return table.get(mfn, this.domid) ? mfn : undefined
  }

  /** The guest's width, learnt when it sets up its hypercall page or callback. */
  latchWidth(width: Width): void {
    if (this.shared.width === width) return
    this.shared.width = width
    this.shared.writeWallClock(this.world.clock.wallBase)
  }

  /** A write to the hypercall page's MSR; false is #GP. */
  placeHypercallPage(value: bigint): boolean {
    // Bits 11:0 number the page, and there is only one.
    if (value & 0xfffn) return false
    const mfn = this.takeFrame(value >> 12n)
    if (mfn === undefined) return false
    this.world.memory.write(mfn, 0, hypercallPage(this.config.isAmd ?? false))
    this.world.memory.table.put(mfn)
    return true
  }

  /** Gives back everything. Frames that other domains still map live on until they let go. */
  destroy(): void {
    this.isDying = true
    this.events.destroy()
    const { table } = this.world.memory
    for (const vcpu of this.vcpus) {
      vcpu.destroy()
      const old = vcpu.info.reset(vcpu.id)
      if (old !== undefined) table.put(old)
    }
    for (const { timer } of this.watchdogs) timer.cancel()
    this.renewCredit.cancel()
    releaseAllGrants(this.world, this)
    this.grants.destroy()
    for (const mfn of table.framesOf(this.domid)) table.free(mfn)
  }

  save(): DomainSave {
    return {
      version: 3,
      domid: this.domid,
      credit: this.credit.save(),
      maxPages: this.maxPages,
      vmAssist: this.vmAssist,
      memoryMap: this.memoryMap.slice(),
      shutdownReason: this.shutdownReason ?? null,
      shutdownCode: this.shutdownCode ?? null,
      crashCause: this.crashCause ?? null,
      isDying: this.isDying,
      pauses: this.#pauses,
      tsc: this.tsc.save(),
      physMap: this.physMap.save(),
      shared: this.shared.save(),
      params: this.params.save(),
      grants: this.grants.save(),
      events: this.events.save(),
      ports: this.ports.save(),
      watchdogs: this.watchdogs.map(({ timer, isUsed }) => ({ timer: timer.save(), isUsed })),
      vcpus: this.vcpus.map((vcpu) => vcpu.save()),
    }
  }

  /**
   * Takes a state saved from a domain of the same configuration. The timers of the host have been
   * restored before; the frame table and the memory are restored afterwards.
   */
  restore(save: DomainSave): void {
    invariant(save.version === 3, `a domain of version ${save.version} is not known`)
    invariant(save.vcpus.length === this.vcpus.length, 'a domain cannot change its vCPUs')
    // Its timer is set again by the scheduler when the domain would run.
    this.credit.restore(save.credit)
    this.maxPages = save.maxPages
    this.vmAssist = save.vmAssist
    this.memoryMap = save.memoryMap.slice()
    this.shutdownReason = save.shutdownReason ?? undefined
    this.shutdownCode = save.shutdownCode ?? undefined
    this.crashCause = save.crashCause ?? undefined
    this.isDying = save.isDying
    this.#pauses = save.pauses
    this.world.domainMayRun(this)
    this.tsc.restore(save.tsc)
    this.physMap.restore(save.physMap)
    this.shared.restore(save.shared)
    this.params.restore(save.params)
    this.grants.restore(save.grants)
    this.events.restore(save.events)
    this.ports.restore(save.ports)
    save.watchdogs.forEach(({ timer, isUsed }, i) => {
      const watchdog = this.watchdogs[i]
      if (!watchdog) return
      watchdog.timer.restore(timer)
      watchdog.isUsed = isUsed
    })
    save.vcpus.forEach((state, i) => this.vcpus[i]?.restore(state))
  }

  #newXenFrame(): Mfn {
    const { memory } = this.world
    const mfn = memory.table.allocate(this.domid, { xenHeap: true })
    invariant(mfn !== undefined, 'no frame is free for a new domain')
    memory.clear(mfn)
    return mfn
  }

  /** Tells a trace that an event has come for a port. */
  #traceEvent(number: number): void {
    const port = this.channels.port(number)
    if (!port) return
    const source =
      port.state === PortState.interdomain
        ? `d${port.remoteDomid}:${port.remotePort}`
        : port.state === PortState.virq
          ? `VIRQ ${port.source}`
          : 'IPI'
    this.world.trace.note({
      kind: 'events',
      now: this.now(),
      domid: this.domid,
      port: number,
      source,
    })
  }

  #watchdogBit(): void {
    this.shutDown(SHUTDOWN_watchdog)
  }
}
