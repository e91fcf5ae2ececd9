// A virtual processor as the hypervisor sees it: whether it may run, what it waits for, its timers,
// its vcpu_info, and the places in which the guest wants to read run states and time. What the
// processor itself asks of the outside is in vcpu-host.ts.
//
//   down ── VCPUOP_up, start-up IPI ──▶ runnable ── HLT, SCHEDOP_block ──▶ blocked
//    ▲                                    │  ▲ ╲                              │
//    ╰── VCPUOP_down, HLT with IF=0 ──────╯  │  ╲── SCHEDOP_poll ─▶ polling   │
//                                            ╰──── an interrupt, an event ────╯

import { Bug, invariant } from '../base/errors.ts'
import { Tsc, type TscState } from '../machine/tsc.ts'
import type { Width } from './abi/structure.ts'
import { VIRQ_TIMER } from './abi/xen.ts'
import { vcpu_runstate_info } from './abi/vcpu.ts'
import type { Domain } from './domain.ts'
import { Msrs, type MsrsState } from './msrs.ts'
import type { Processor, ProcessorControl, VcpuApic } from './processor.ts'
import { PvClock, type PvClockState } from './pv-clock.ts'
import { Runstate, RunstateKind, type RunstateState } from './runstate.ts'
import { SavedTimer, type SavedTimerState } from './saved-timer.ts'
import { VcpuInfo, type VcpuInfoState } from './shared-info.ts'

export type VcpuState = 'down' | 'runnable' | 'blocked' | 'polling'

/** An area of guest memory that Xen keeps up to date: a linear address, and how it is laid out. */
interface GuestArea {
  readonly address: bigint
  readonly width: Width
}

/** The plain form of a {@link Vcpu}; processor and APIC are saved by their own layers. */
export interface VcpuSave {
  readonly version: 1
  readonly state: VcpuState
  readonly isInitialised: boolean
  readonly pollPort: number
  readonly isNmiPending: boolean
  readonly upcallVector: number
  readonly info: VcpuInfoState
  readonly runstate: RunstateState
  readonly clock: PvClockState
  readonly tsc: TscState
  readonly msrs: MsrsState
  readonly singleshot: SavedTimerState
  readonly periodic: SavedTimerState
  readonly periodNs: number
  readonly pollTimer: SavedTimerState
  readonly runstateArea: GuestArea | null
  readonly timeArea: GuestArea | null
  readonly cpuTimeNs: number
}

export class Vcpu {
  readonly domain: Domain
  readonly id: number
  readonly info: VcpuInfo
  readonly runstate: Runstate
  readonly msrs = new Msrs()
  readonly clock: PvClock
  /** Its time-stamp counter: the domain's, until it moves its own. */
  readonly tsc: Tsc
  readonly singleshot: SavedTimer
  readonly periodic: SavedTimer
  readonly pollTimer: SavedTimer
  /** Has been given a state to start from. */
  isInitialised = false
  isNmiPending = false
  /** Vector of the upcall through the local APIC; 0 for none. */
  upcallVector = 0
  /** When it last became runnable; within a round it does not run before that. */
  wokenAt = 0
  /** Nanoseconds for which it has had a processor: by its instructions or by the host's clock. */
  cpuTimeNs = 0
  runstateArea: GuestArea | null = null
  timeArea: GuestArea | null = null
  #state: VcpuState = 'down'
  /** The one port it polls; 0 for any. */
  #pollPort = 0
  #periodNs = 0
  #processor: (Processor & ProcessorControl) | undefined
  #apic: VcpuApic | undefined

  constructor(domain: Domain, id: number) {
    this.domain = domain
    this.id = id
    this.info = new VcpuInfo(domain.shared, id)
    this.runstate = new Runstate(domain.now())
    this.tsc = new Tsc(domain.tsc.khz, domain.tsc.offset)
    this.clock = new PvClock(this.tsc, domain.config.isTscStable ?? false)
    const { timers } = domain.world
    this.singleshot = new SavedTimer(timers, () => this.#timerEvent())
    this.periodic = new SavedTimer(timers, () => this.#periodicEvent())
    this.pollTimer = new SavedTimer(timers, () => this.unblock())
  }

  /** Gives it the processor and the APIC, which know it already. */
  attach(processor: Processor & ProcessorControl, apic: VcpuApic): void {
    this.#processor = processor
    this.#apic = apic
  }

  get processor(): Processor & ProcessorControl {
    if (!this.#processor) throw new Bug(`vCPU ${this.id} has no processor yet`)
    return this.#processor
  }

  get apic(): VcpuApic {
    if (!this.#apic) throw new Bug(`vCPU ${this.id} has no APIC yet`)
    return this.#apic
  }

  get state(): VcpuState {
    return this.#state
  }

  /** Is it not down (VPF_down). */
  get isUp(): boolean {
    return this.#state !== 'down'
  }

  /** May the scheduler run it. */
  get isRunnable(): boolean {
    return this.#state === 'runnable' && this.domain.isRunning
  }

  /** The vector that the processor should take next, or -1; interrupts enabled or not. */
  pendingInterrupt(): number {
    const vector = this.domain.params.callbackVector
    if (vector !== 0 && this.info.upcallPending) return vector
    return this.apic.highestPending()
  }

  /** Would it take an interrupt or NMI now. */
  get hasDeliverable(): boolean {
    if (this.isNmiPending) return true
    return (this.processor.rflags & 0x200) !== 0 && this.pendingInterrupt() >= 0
  }

  /** VCPUOP_up. */
  bringUp(): void {
    if (this.#state !== 'down') return
    this.processor.isHalted = false
    this.#become('runnable')
  }

  /** VCPUOP_down, or HLT with interrupts disabled. The last one down ends the domain. */
  takeDown(): void {
    if (this.#state === 'down') return
    this.#stopPolling()
    this.#become('down')
    if (this.#processor) this.processor.requestExit()
  }

  /** HLT or SCHEDOP_block: waits until there is something to deliver. */
  block(): void {
    this.#become('blocked')
    this.processor.requestExit()
  }

  /** SCHEDOP_poll: waits for a port (0 for any event), or until the timeout if there is one. */
  poll(port: number, timeoutNs: number | undefined): void {
    this.#pollPort = port
    this.#become('polling')
    if (timeoutNs !== undefined) this.pollTimer.set(timeoutNs)
    this.processor.requestExit()
  }

  /** A port is pending: wakes it if that is what it polls for. */
  wakeFromPoll(port: number): void {
    if (this.#state !== 'polling') return
    if (this.#pollPort === 0 || this.#pollPort === port) this.unblock()
  }

  /** Ends blocking and polling. */
  unblock(): void {
    if (this.#state !== 'blocked' && this.#state !== 'polling') return
    this.#stopPolling()
    this.#become('runnable')
  }

  /** Something may have become deliverable. */
  kick(): void {
    this.#processor?.interruptsChanged()
    if (this.#state === 'polling') this.unblock()
    if (this.#state !== 'blocked') return
    // After HLT only an interrupt that is taken goes on; SCHEDOP_block ends by any event.
    if (!this.processor.isHalted || this.hasDeliverable) this.unblock()
  }

  /** evtchn_upcall_pending has been set: tell the guest in the way it asked for. */
  upcall(): void {
    if (this.upcallVector !== 0) this.apic.raise(this.upcallVector)
    this.kick()
  }

  sendNmi(): void {
    this.isNmiPending = true
    this.kick()
  }

  /**
   * INIT from another processor: stops, and waits for the start-up IPI. A processor that has not
   * started yet stays as it is.
   */
  receiveInit(): void {
    if (!this.isInitialised) return
    this.takeDown()
    this.processor.reset()
    this.apic.reset()
    this.isInitialised = false
  }

  /** The start-up IPI; ignored by a processor that runs. */
  receiveStartup(vector: number): void {
    if (this.isUp || this.isInitialised) return
    this.processor.startAt(vector)
    this.isInitialised = true
    this.bringUp()
    // INIT wiped the APIC, and the flag stays set: no later event would raise the upcall.
    if (this.info.upcallPending) this.upcall()
  }

  /** VCPUOP_set_periodic_timer; 0 stops it. */
  setPeriod(periodNs: number): void {
    this.#periodNs = periodNs
    if (periodNs === 0) this.periodic.cancel()
    else this.periodic.set(this.domain.now() + periodNs)
  }

  /** The processor is about to run: brings the time it reads up to date. */
  enter(now: number): void {
    if (this.clock.isStale(now)) this.stampTime(now)
  }

  /** The guest has moved its time-stamp counter: what was derived from it follows. */
  tscChanged(): void {
    this.apic.tscChanged()
    this.stampTime(this.domain.now())
  }

  /** Renews the time in vcpu_info and in the area that the guest may have registered. */
  stampTime(now: number): void {
    const time = this.clock.stamp(now)
    this.info.writeTime(time)
    if (this.timeArea) this.processor.writeLinear(this.timeArea.address, time, true)
  }

  /** Stores the run state where the guest wants to read it. */
  storeRunstate(): void {
    if (!this.runstateArea) return
    const { address, width } = this.runstateArea
    const values = this.runstate.values(this.domain.now())
    this.processor.writeLinear(address, vcpu_runstate_info.encode(width, values), true)
  }

  /** What the guest has registered, and the timers of hypercalls, are forgotten. */
  renew(): void {
    this.setPeriod(0)
    this.singleshot.cancel()
    this.runstateArea = null
    this.timeArea = null
    this.upcallVector = 0
  }

  /** Stops the timers: the domain ends. */
  destroy(): void {
    this.singleshot.cancel()
    this.periodic.cancel()
    this.pollTimer.cancel()
    // Its timer as well.
    this.#apic?.reset()
    this.#state = 'down'
  }

  save(): VcpuSave {
    return {
      version: 1,
      state: this.#state,
      isInitialised: this.isInitialised,
      pollPort: this.#pollPort,
      isNmiPending: this.isNmiPending,
      upcallVector: this.upcallVector,
      info: this.info.save(),
      runstate: this.runstate.save(),
      clock: this.clock.save(),
      tsc: this.tsc.save(),
      msrs: this.msrs.save(),
      singleshot: this.singleshot.save(),
      periodic: this.periodic.save(),
      periodNs: this.#periodNs,
      pollTimer: this.pollTimer.save(),
      runstateArea: this.runstateArea,
      timeArea: this.timeArea,
      cpuTimeNs: this.cpuTimeNs,
    }
  }

  /** The timers of the host have been restored before. */
  restore(save: VcpuSave): void {
    invariant(save.version === 1, `a vCPU of version ${save.version} is not known`)
    this.#state = save.state
    this.isInitialised = save.isInitialised
    this.#pollPort = save.pollPort
    this.isNmiPending = save.isNmiPending
    this.upcallVector = save.upcallVector
    this.info.restore(save.info)
    this.runstate.restore(save.runstate)
    this.clock.restore(save.clock)
    this.tsc.restore(save.tsc)
    this.msrs.restore(save.msrs)
    this.singleshot.restore(save.singleshot)
    this.periodic.restore(save.periodic)
    this.#periodNs = save.periodNs
    this.pollTimer.restore(save.pollTimer)
    this.runstateArea = save.runstateArea
    this.timeArea = save.timeArea
    this.cpuTimeNs = save.cpuTimeNs
  }

  #become(state: VcpuState): void {
    this.#state = state
    const now = this.domain.now()
    const { trace } = this.domain.world
    if (state === 'runnable') {
      this.wokenAt = now
      this.domain.world.domainMayRun(this.domain)
    }
    if (trace.sched) {
      trace.note({ kind: 'sched', now, domid: this.domain.domid, vcpu: this.id, state })
    }
    // Processors of the host do not run out: who is runnable runs.
    const kind =
      state === 'down'
        ? RunstateKind.offline
        : state === 'runnable'
          ? RunstateKind.running
          : RunstateKind.blocked
    if (this.runstate.change(kind, now)) this.storeRunstate()
  }

  #stopPolling(): void {
    this.#pollPort = 0
    this.pollTimer.cancel()
  }

  #timerEvent(): void {
    this.domain.channels.raiseVirq(VIRQ_TIMER, this.id)
  }

  #periodicEvent(): void {
    // From the deadline, not from now: no drift.
    this.periodic.set(this.periodic.deadline + this.#periodNs)
    this.#timerEvent()
  }
}
