// The local APIC of one virtual processor: accepts interrupts, orders them by priority, sends
// interrupts to other processors, and holds the timer. One set of registers behind two faces, the
// memory page of the xAPIC and the MSRs of the x2APIC. (Intel SDM vol. 3A, chapter 10.)
//
// Where the manual leaves a choice it is Xen's: version 0x50014, the APIC ID cannot be written,
// an error interrupt is raised once per kind of error until the ESR is written. Left out: focus
// processors, arbitration, and the suppression of EOI broadcasts, as in the version it claims.

import { invariant } from '../base/errors.ts'
import { ApicTimer } from './apic/apic-timer.ts'
import type { ApicTimerState } from './apic/apic-timer.ts'
import * as reg from './apic/registers.ts'
import { ApicError, DeliveryMode, LVT_MASKED } from './apic/registers.ts'
import { VectorSet } from './apic/vector-set.ts'
import type { Clock } from './time.ts'
import type { Timers } from './timers.ts'
import type { Tsc } from './tsc.ts'

/** What an APIC asks of its processor. Each is called at once, from within the cause. */
export interface ApicEvents {
  /** An interrupt can be delivered: a halted processor wakes, a running one looks. */
  interruptPending(): void
  nmi(): void
  smi(): void
  /** INIT was received; the APIC has reset itself already. */
  init(): void
  /** A start-up IPI was received: the processor, if it waits for one, starts at page `vector`. */
  startup(vector: number): void
}

/** What an APIC asks of the bus it is on. */
export interface ApicOutput {
  /** Sends an interrupt: the low half of the ICR, and the destination as the sender writes it. */
  sendIpi(sender: LocalApic, icr: number, destination: number): void
  /** A level-triggered interrupt has ended: the I/O APICs may send it again. */
  endOfInterrupt(vector: number): void
}

export interface LocalApicOptions {
  /** The APIC ID; Xen gives 2 * vCPU. */
  readonly id: number
  /** Whether this is the bootstrap processor. */
  readonly isBsp: boolean
  readonly clock: Clock
  readonly timers: Timers
  readonly tsc: Tsc
  readonly output: ApicOutput
  readonly events: ApicEvents
  /** Physical address bits of the processor, which bound IA32_APIC_BASE. */
  readonly physicalAddressBits?: number
}

/** The plain form of a {@link LocalApic}. */
export interface LocalApicState {
  readonly version: 1
  readonly base: number
  readonly baseFlags: number
  readonly tpr: number
  readonly ldr: number
  readonly dfr: number
  readonly svr: number
  readonly esr: number
  readonly errors: number
  readonly icr: number
  readonly icr2: number
  readonly lvt: readonly number[]
  readonly irr: readonly number[]
  readonly isr: readonly number[]
  readonly tmr: readonly number[]
  readonly timer: ApicTimerState
}

const LVT_LEVEL = 1 << 15
const LVT_REMOTE_IRR = 1 << 14
const ENABLED_X2APIC = reg.APIC_BASE_ENABLE | reg.APIC_BASE_EXTD

export class LocalApic {
  /** The APIC ID, all 32 bits of it. */
  readonly id: number
  readonly #output: ApicOutput
  readonly #events: ApicEvents
  readonly #timer: ApicTimer
  readonly #addressLimit: number
  #base = reg.APIC_DEFAULT_BASE
  #baseFlags: number
  #tpr = 0
  #ldr = 0
  #dfr = 0xffffffff
  #svr = 0xff
  #esr = 0
  /** Errors since the ESR was last written: what the next write will make readable. */
  #errors = 0
  #icr = 0
  #icr2 = 0
  // Thermal, performance, LINT0, LINT1, error: at (offset - APIC_LVT_THERMAL) / 16.
  readonly #lvt = new Uint32Array(5).fill(LVT_MASKED)
  readonly #irr = new VectorSet()
  readonly #isr = new VectorSet()
  readonly #tmr = new VectorSet()
  #ppr = 0
  // The scheduler asks before every slice: kept, and computed again when its causes change.
  #pending = -1

  constructor(options: LocalApicOptions) {
    const { clock, timers, tsc } = options
    this.id = options.id
    this.#output = options.output
    this.#events = options.events
    this.#addressLimit = 2 ** (options.physicalAddressBits ?? 46)
    this.#baseFlags = reg.APIC_BASE_ENABLE | (options.isBsp ? reg.APIC_BASE_BSP : 0)
    this.#timer = new ApicTimer(clock, timers, tsc, () => this.accept(this.#timer.lvt & 0xff))
  }

  /** Enabled in IA32_APIC_BASE, in either mode. */
  get isEnabled(): boolean {
    return (this.#baseFlags & reg.APIC_BASE_ENABLE) !== 0
  }

  get isX2apic(): boolean {
    return (this.#baseFlags & reg.APIC_BASE_EXTD) !== 0
  }

  /** Enabled in the spurious vector register too: accepts fixed interrupts. */
  get isSoftwareEnabled(): boolean {
    return this.isEnabled && (this.#svr & reg.SVR_ENABLE) !== 0
  }

  /** Physical address of the page of registers; undefined while it is not decoded. */
  get mmioBase(): number | undefined {
    return this.isEnabled && !this.isX2apic ? this.#base : undefined
  }

  /** Whether LINT0 takes interrupts from an 8259A: it does when the APIC is disabled, too. */
  get takesExtInt(): boolean {
    if (!this.isEnabled) return true
    const lint0 = this.#lvtAt(reg.APIC_LVT_LINT0)
    return !(lint0 & LVT_MASKED) && ((lint0 >> 8) & 7) === DeliveryMode.extInt
  }

  /** The task priority, 0 to 255; CR8 is its upper half. */
  get taskPriority(): number {
    return this.#tpr
  }

  set taskPriority(value: number) {
    this.#tpr = value & 0xff
    this.#update()
  }

  /** What the processor is busy with: only interrupts of a higher class (bits 7:4) get through. */
  get processorPriority(): number {
    return this.#ppr
  }

  /** The vector that can be delivered now; -1 if there is none. */
  highestPending(): number {
    return this.#pending
  }

  /**
   * The processor takes its interrupt: the vector goes into service and is returned. If there is
   * none any more it gets the spurious vector, for which there is no EOI.
   */
  acknowledge(): number {
    const vector = this.#pending
    if (vector < 0) return this.#svr & 0xff
    this.#irr.delete(vector)
    this.#isr.add(vector)
    this.#update()
    return vector
  }

  /** Ends the interrupt in service that has the highest priority. */
  endOfInterrupt(): void {
    const vector = this.#isr.highest()
    if (vector < 0) return
    this.#isr.delete(vector)
    if (this.#tmr.has(vector)) {
      this.#clearRemoteIrr(vector)
      this.#output.endOfInterrupt(vector)
    }
    this.#update()
  }

  /** A fixed interrupt for this APIC. False if it is not accepted; a repeated one is merged. */
  accept(vector: number, isLevel = false): boolean {
    if (!this.isSoftwareEnabled) return false
    if (vector < 16) {
      this.#logError(ApicError.receiveIllegalVector)
      return false
    }
    this.#irr.add(vector)
    if (isLevel) this.#tmr.add(vector)
    else this.#tmr.delete(vector)
    this.#update()
    if (this.#pending >= 0) this.#events.interruptPending()
    return true
  }

  /**
   * An edge-triggered interrupt that Xen itself injects: kept even while the APIC is disabled by
   * software, and delivered when it is not any more.
   */
  inject(vector: number): void {
    this.#irr.add(vector)
    this.#tmr.delete(vector)
    this.#update()
    if (this.#pending >= 0) this.#events.interruptPending()
  }

  /** A message from the bus. Only fixed interrupts ask for the software enable bit. */
  deliver(mode: number, vector: number, isLevel: boolean): void {
    if (!this.isEnabled) return
    switch (mode) {
      case DeliveryMode.fixed:
      case DeliveryMode.lowest:
        this.accept(vector, isLevel)
        return
      case DeliveryMode.smi:
        this.#events.smi()
        return
      case DeliveryMode.nmi:
        this.#events.nmi()
        return
      case DeliveryMode.init:
        this.init()
        this.#events.init()
        return
      case DeliveryMode.startup:
        this.#events.startup(vector)
    }
  }

  /** A pulse at a local pin or source: one of APIC_LVT_THERMAL, _PERF, _LINT0, _LINT1. */
  raiseLocal(offset: number): void {
    const entry = this.#lvtAt(offset)
    if (!this.isEnabled || entry & LVT_MASKED) return
    const mode = (entry >> 8) & 7
    // A performance interrupt masks its own entry until the handler is done (10.5.1).
    if (offset === reg.APIC_LVT_PERF) this.#setLvt(offset, entry | LVT_MASKED)
    // An 8259A gives the vector of an ExtINT: its owner looks at takesExtInt.
    if (mode === DeliveryMode.extInt) return
    const isLevel = mode === DeliveryMode.fixed && (entry & LVT_LEVEL) !== 0
    if (isLevel) this.#setLvt(offset, entry | LVT_REMOTE_IRR)
    this.deliver(mode, entry & 0xff, isLevel)
  }

  /** Whether a physical destination means this APIC. */
  matchesPhysical(destination: number, isBroadcast: boolean): boolean {
    return isBroadcast || destination === (this.isX2apic ? this.id : this.id & 0xff)
  }

  /** Whether a logical destination means this APIC (10.6.2.2, 10.12.10.2). */
  matchesLogical(destination: number, isBroadcast: boolean): boolean {
    if (isBroadcast) return true
    if (this.isX2apic) {
      const ldr = this.#x2apicLdr
      return destination >>> 16 === ldr >>> 16 && (destination & ldr & 0xffff) !== 0
    }
    const ldr = this.#ldr >>> 24
    if (this.#dfr >>> 28 === 0xf) return (destination & ldr & 0xff) !== 0
    return (
      (destination >> 4 === ldr >> 4 || destination >> 4 === 0xf) && (destination & ldr & 0xf) !== 0
    )
  }

  /** An INIT: as after power-up, but for the ID and IA32_APIC_BASE (10.4.7.3). */
  init(): void {
    this.#tpr = 0
    this.#ldr = 0
    this.#dfr = 0xffffffff
    this.#svr = 0xff
    this.#esr = 0
    this.#errors = 0
    this.#icr = 0
    this.#icr2 = 0
    this.#lvt.fill(LVT_MASKED)
    this.#irr.clear()
    this.#isr.clear()
    this.#tmr.clear()
    this.#timer.reset()
    this.#update()
  }

  /** To be called after the guest's TSC was written. */
  tscChanged(): void {
    this.#timer.tscChanged()
  }

  /** Four bytes of the page of registers, from any offset below 4096. */
  readMmio(offset: number): number {
    if (this.mmioBase === undefined) return 0xffffffff
    const found = reg.registerAt(offset & 0xff0, 'xapic')
    if (!found) {
      this.#logError(ApicError.illegalRegister)
      return 0
    }
    if (!found.isReadable || (offset & 0xf) > 3) return 0
    return this.#read(found.offset) >>> (8 * (offset & 3))
  }

  /** Writes a register of the page; the offset is a multiple of 16, others are ignored. */
  writeMmio(offset: number, value: number): void {
    if (this.mmioBase === undefined || offset & 0xf) return
    const found = reg.registerAt(offset & 0xff0, 'xapic')
    if (!found) this.#logError(ApicError.illegalRegister)
    else if (found.isWritable)
      this.#write(found.offset, (value & found.keeps) >>> 0, this.#icr2 >>> 24)
  }

  /** An MSR of the APIC; undefined stands for #GP(0). */
  readMsr(index: number): bigint | undefined {
    if (index === reg.MSR_APIC_BASE) return BigInt(this.#base) | BigInt(this.#baseFlags)
    if (index === reg.MSR_TSC_DEADLINE) return this.#timer.tscDeadline
    const found = this.#x2apicRegister(index)
    if (!found?.isReadable) return undefined
    const value = BigInt(this.#read(found.offset))
    return found.offset === reg.APIC_ICR ? value | (BigInt(this.#icr2) << 32n) : value
  }

  /** Writes an MSR of the APIC; false stands for #GP(0). */
  writeMsr(index: number, value: bigint): boolean {
    if (index === reg.MSR_APIC_BASE) return this.#writeBase(value)
    if (index === reg.MSR_TSC_DEADLINE) {
      this.#timer.tscDeadline = value
      return true
    }
    return this.writeMsrHalves(index, Number(value & 0xffffffffn), Number(value >> 32n))
  }

  /** The same for MSRs 0x800 to 0x8FF without a bigint: EOI and ICR are written all the time. */
  writeMsrHalves(index: number, low: number, high: number): boolean {
    const found = this.#x2apicRegister(index)
    if (!found?.isWritable || low & ~found.accepts) return false
    if (high !== 0 && found.offset !== reg.APIC_ICR) return false
    this.#write(found.offset, (low & found.keeps) >>> 0, high >>> 0)
    return true
  }

  save(): LocalApicState {
    return {
      version: 1,
      base: this.#base,
      baseFlags: this.#baseFlags,
      tpr: this.#tpr,
      ldr: this.#ldr,
      dfr: this.#dfr,
      svr: this.#svr,
      esr: this.#esr,
      errors: this.#errors,
      icr: this.#icr,
      icr2: this.#icr2,
      lvt: [...this.#lvt],
      irr: [...this.#irr.words],
      isr: [...this.#isr.words],
      tmr: [...this.#tmr.words],
      timer: this.#timer.save(),
    }
  }

  /** The clock, the timers and the TSC have been restored before. */
  restore(state: LocalApicState): void {
    invariant(state.version === 1, `a local APIC of version ${state.version} is not known`)
    this.#base = state.base
    this.#baseFlags = state.baseFlags
    this.#tpr = state.tpr
    this.#ldr = state.ldr
    this.#dfr = state.dfr
    this.#svr = state.svr
    this.#esr = state.esr
    this.#errors = state.errors
    this.#icr = state.icr
    this.#icr2 = state.icr2
    this.#lvt.set(state.lvt)
    this.#irr.words.set(state.irr)
    this.#isr.words.set(state.isr)
    this.#tmr.words.set(state.tmr)
    this.#timer.restore(state.timer)
    this.#update()
  }

  /** Cluster in the upper half, one bit of 16 in the lower: fixed by the ID (10.12.10.2). */
  get #x2apicLdr(): number {
    return (((this.id >>> 4) << 16) | (1 << (this.id & 15))) >>> 0
  }

  // The PPR is the higher of task priority and the class in service (10.8.3.1); a request gets
  // through if its class is higher still.
  #update(): void {
    const inService = this.#isr.highest()
    const serviceClass = inService < 0 ? 0 : inService & 0xf0
    this.#ppr = (this.#tpr & 0xf0) >= serviceClass ? this.#tpr : serviceClass
    const requested = this.#irr.highest()
    this.#pending = this.isEnabled && requested >> 4 > this.#ppr >> 4 ? requested : -1
  }

  // One interrupt per kind of error until the ESR is written. An illegal vector in the error entry
  // itself is one more error and must not be reported by way of that entry (XSA-462).
  #logError(error: number): void {
    if (this.#errors & error) return
    this.#errors |= error
    const entry = this.#lvtAt(reg.APIC_LVT_ERROR)
    if (entry & LVT_MASKED) return
    if ((entry & 0xff) < 16) this.#errors |= ApicError.receiveIllegalVector
    else this.accept(entry & 0xff)
  }

  #lvtAt(offset: number): number {
    return this.#lvt[(offset - reg.APIC_LVT_THERMAL) >> 4] as number
  }

  #setLvt(offset: number, value: number): void {
    this.#lvt[(offset - reg.APIC_LVT_THERMAL) >> 4] = value
  }

  #clearRemoteIrr(vector: number): void {
    for (const offset of [reg.APIC_LVT_LINT0, reg.APIC_LVT_LINT1]) {
      const entry = this.#lvtAt(offset)
      if ((entry & 0xff) === vector) this.#setLvt(offset, entry & ~LVT_REMOTE_IRR)
    }
  }

  #x2apicRegister(index: number): reg.Register | undefined {
    if (!this.isX2apic || index < reg.MSR_X2APIC_FIRST || index > reg.MSR_X2APIC_LAST)
      return undefined
    return reg.registerAt((index - reg.MSR_X2APIC_FIRST) << 4, 'x2apic')
  }

  #read(offset: number): number {
    if (offset >= reg.APIC_ISR && offset < reg.APIC_ESR) return this.#readVectors(offset)
    switch (offset) {
      case reg.APIC_ID:
        return this.isX2apic ? this.id : (this.id << 24) >>> 0
      case reg.APIC_LVR:
        return reg.APIC_VERSION
      case reg.APIC_TPR:
        return this.#tpr
      case reg.APIC_PPR:
        return this.#ppr
      case reg.APIC_LDR:
        return this.isX2apic ? this.#x2apicLdr : this.#ldr
      case reg.APIC_DFR:
        return this.#dfr
      case reg.APIC_SVR:
        return this.#svr
      case reg.APIC_ESR:
        return this.#esr
      case reg.APIC_ICR:
        return this.#icr
      case reg.APIC_ICR2:
        return this.#icr2
      case reg.APIC_LVT_TIMER:
        return this.#timer.lvt
      case reg.APIC_LVT_THERMAL:
      case reg.APIC_LVT_PERF:
      case reg.APIC_LVT_LINT0:
      case reg.APIC_LVT_LINT1:
      case reg.APIC_LVT_ERROR:
        return this.#lvtAt(offset)
      case reg.APIC_TMICT:
        return this.#timer.initialCount
      case reg.APIC_TMCCT:
        return this.#timer.currentCount
      case reg.APIC_TDCR:
        return this.#timer.divideConfiguration
      default:
        // Arbitration priority and remote read: they exist but in older processors.
        return 0
    }
  }

  #readVectors(offset: number): number {
    const set = offset < reg.APIC_TMR ? this.#isr : offset < reg.APIC_IRR ? this.#tmr : this.#irr
    return set.words[(offset >> 4) & 7] as number
  }

  /** Writes a register; `destination` is where an interrupt goes if this is the ICR. */
  #write(offset: number, value: number, destination: number): void {
    switch (offset) {
      case reg.APIC_TPR:
        this.taskPriority = value
        return
      case reg.APIC_EOI:
        this.endOfInterrupt()
        return
      case reg.APIC_LDR:
        this.#ldr = value
        return
      case reg.APIC_DFR:
        this.#dfr = (value | 0x0fffffff) >>> 0
        return
      case reg.APIC_SVR:
        this.#writeSpurious(value)
        return
      case reg.APIC_ESR:
        this.#esr = this.#errors
        this.#errors = 0
        return
      case reg.APIC_ICR:
        this.#icr = value
        if (this.isX2apic) this.#icr2 = destination
        this.#sendIpi(value, destination)
        return
      case reg.APIC_ICR2:
        this.#icr2 = value
        return
      case reg.APIC_LVT_TIMER:
        this.#timer.lvt = value | this.#forcedMask
        return
      case reg.APIC_LVT_THERMAL:
      case reg.APIC_LVT_PERF:
      case reg.APIC_LVT_LINT0:
      case reg.APIC_LVT_LINT1:
      case reg.APIC_LVT_ERROR:
        this.#setLvt(offset, value | (this.#lvtAt(offset) & LVT_REMOTE_IRR) | this.#forcedMask)
        return
      case reg.APIC_TMICT:
        this.#timer.initialCount = value
        return
      case reg.APIC_TDCR:
        this.#timer.divideConfiguration = value
        return
      case reg.APIC_SELF_IPI:
        if (value < 16) this.#logError(ApicError.sendIllegalVector)
        this.accept(value)
    }
  }

  /** The mask bit, while the APIC is disabled by software: no entry can then be unmasked. */
  get #forcedMask(): number {
    return this.#svr & reg.SVR_ENABLE ? 0 : LVT_MASKED
  }

  #writeSpurious(value: number): void {
    this.#svr = value
    if (value & reg.SVR_ENABLE) return
    this.#timer.lvt |= LVT_MASKED
    for (let i = 0; i < this.#lvt.length; i++) this.#lvt[i] = (this.#lvt[i] as number) | LVT_MASKED
  }

  #sendIpi(icr: number, destination: number): void {
    const mode = (icr >> 8) & 7
    const hasVector = mode === DeliveryMode.fixed || mode === DeliveryMode.lowest
    if (hasVector && (icr & 0xff) < 16) this.#logError(ApicError.sendIllegalVector)
    this.#output.sendIpi(this, icr, destination)
  }

  // Legal: disabled -> xAPIC -> x2APIC -> disabled, and xAPIC -> disabled (figure 10-27).
  #writeBase(value: bigint): boolean {
    const flags = Number(value & 0xfffn)
    const address = Number(value - BigInt(flags))
    if (flags & ~(reg.APIC_BASE_BSP | ENABLED_X2APIC) || address >= this.#addressLimit) return false
    const mode = flags & ENABLED_X2APIC
    const oldMode = this.#baseFlags & ENABLED_X2APIC
    if (mode === reg.APIC_BASE_EXTD) return false
    if (oldMode === 0 && mode === ENABLED_X2APIC) return false
    if (oldMode === ENABLED_X2APIC && mode === reg.APIC_BASE_ENABLE) return false
    this.#base = address
    this.#baseFlags = flags
    if (mode === oldMode) return true
    if (mode === 0) this.init()
    this.#icr2 = 0
    this.#update()
    return true
  }
}
