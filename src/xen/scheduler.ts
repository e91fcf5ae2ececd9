// Which virtual processor runs next, and how time passes. Time goes in rounds: in each, every
// runnable processor executes for up to a quantum of nanoseconds, as if each had a processor of the
// host to itself. In virtual time an instruction takes a fixed number of nanoseconds; the clock
// moves on at the end of the round, and when nobody can run it moves to the next deadline at once.
// Within a round a processor sees the round's start plus what it has executed. With a real clock,
// time passes by itself and waiting is the caller's; the domains then share one processor, and who
// has had more than its weight's share sits out rounds (credit.ts). Caps hold with both clocks.

import { UserError } from '../base/errors.ts'
import { type Clock, VirtualClock } from '../machine/time.ts'
import type { Timers } from '../machine/timers.ts'
import { HVM_PARAM_TRIPLE_FAULT_REASON } from './abi/hvm-params.ts'
import type { Domain } from './domain.ts'
import type { RunResult } from './processor.ts'
import type { Vcpu } from './vcpu.ts'

const RFLAGS_IF = 0x200

export interface SchedulerOptions {
  /** Length of a round; 100 µs if not given. */
  readonly quantumNs?: number
  /** Nanoseconds that an instruction takes in virtual time; 1 if not given. */
  readonly nsPerInstruction?: number
}

/** What the scheduler needs of the hypervisor. */
export interface SchedulerWorld {
  readonly clock: Clock
  readonly timers: Timers
  /** All domains, in the order of their numbers. */
  domainsInOrder(): readonly Domain[]
  /** Tells the host what waits for it (events, domains that ended); true if there was anything. */
  deliverHostEvents(): boolean
  /** Does what waits until no processor is in the middle of a turn; true if there was anything. */
  runDeferred(): boolean
}

/**
 * What a step came to. `ran`: go on. `idle`: nobody can run before `until` (nanoseconds of the
 * clock; absent: before something comes in from outside). `ended`: no domain is left that could.
 */
export type StepResult =
  | { readonly state: 'ran' }
  | { readonly state: 'idle'; readonly until?: number }
  | { readonly state: 'ended' }

const DEFAULT_QUANTUM_NS = 100_000
/**
 * With a real clock, a step that has lasted so long leaves the rest of its round to the next ones:
 * the caller has others to look after, and a round of a hundred busy domains lasts a tenth of a
 * second (tools/bench domains).
 */
const LONGEST_STEP_NS = 1_000_000
const RAN: StepResult = { state: 'ran' }

export class Scheduler {
  readonly #world: SchedulerWorld
  readonly #quantum: number
  readonly #nsPerInstruction: number
  #running: Vcpu | undefined
  /** Local time of the running processor when it entered run(). */
  #enteredAt = 0
  /** Local time of the processor whose turn has just ended, while services do what it asked for. */
  #servedAt: number | undefined
  #roundEnd = 0
  /** The latest local time that any processor has come to in this round. */
  #furthest = 0
  #isInterrupted = false
  /** The least that any runnable domain had been charged; never goes back. */
  #leastCharged = 0
  /**
   * All domains that have a processor which is runnable, and some that had one: most of a host's
   * domains sleep, and are not looked at in each round.
   */
  readonly #awake = new Set<Domain>()
  /** With a real clock: domains that are still to have their turn in this round. */
  #waiting: Domain[] = []
  /** Rounds, and instructions in all. */
  readonly counters = { rounds: 0, instructions: 0, skips: 0 }

  constructor(world: SchedulerWorld, options: SchedulerOptions = {}) {
    this.#world = world
    this.#quantum = options.quantumNs ?? DEFAULT_QUANTUM_NS
    this.#nsPerInstruction = options.nsPerInstruction ?? 1
  }

  /** The processor that executes right now. */
  get running(): Vcpu | undefined {
    return this.#running
  }

  /** Time as the running processor sees it; that of the clock while none runs or has just run. */
  now(): number {
    const { clock } = this.#world
    if (!(clock instanceof VirtualClock)) return clock.now()
    if (!this.#running) return this.#servedAt ?? clock.now()
    const executed = this.#running.processor.executedInRun * this.#nsPerInstruction
    return Math.floor(this.#enteredAt + executed)
  }

  /** A domain may have a processor that is runnable, which it had not before. */
  lookAt(domain: Domain): void {
    this.#awake.add(domain)
  }

  /** A timer may have been set: the round ends with it, and so does this processor's turn. */
  deadlinesChanged(): void {
    if (this.#world.timers.nextDeadline() < this.#roundEnd) this.interrupt()
  }

  /** Makes the running processor come back for a moment; its turn goes on afterwards. */
  interrupt(): void {
    if (!this.#running) return
    this.#isInterrupted = true
    this.#running.processor.requestExit()
  }

  /**
   * Runs a round (with a real clock, a part of one), or passes the time until there is one. Does not
   * block.
   */
  step(): StepResult {
    const { clock, timers } = this.#world
    const hadEvents = this.#world.deliverHostEvents()
    const hadDeferred = this.#world.runDeferred()
    const hadTimers = timers.runExpired(clock.now()) > 0
    if (this.#round()) return RAN
    if (hadEvents || hadDeferred || hadTimers) return RAN
    const canRunAgain = ({ vcpus, shutdownReason }: Domain) =>
      vcpus.length > 0 && shutdownReason === undefined
    if (!this.#world.domainsInOrder().some(canRunAgain)) return { state: 'ended' }
    const next = timers.nextDeadline()
    if (next === Number.POSITIVE_INFINITY) return { state: 'idle' }
    if (!(clock instanceof VirtualClock)) return { state: 'idle', until: next }
    this.counters.skips++
    clock.skipTo(Math.max(next, clock.now()))
    return RAN
  }

  /** Lets every runnable processor whose domain is due have its turn. False if there is none. */
  #round(): boolean {
    const { clock, timers } = this.#world
    const start = clock.now()
    if (this.#waiting.length === 0) {
      this.#waiting = this.#dueDomains(start)
      if (this.#waiting.length === 0) return false
      this.counters.rounds++
    }
    this.#roundEnd = Math.max(start + 1, Math.min(start + this.#quantum, timers.nextDeadline()))
    this.#furthest = start
    const isVirtual = clock instanceof VirtualClock
    let served = 0
    for (const domain of this.#waiting) {
      for (const vcpu of domain.vcpus) {
        if (vcpu.isRunnable) this.#turn(vcpu, start)
      }
      served++
      if (!isVirtual && clock.now() - start >= LONGEST_STEP_NS) break
    }
    this.#waiting = this.#waiting.slice(served)
    // Where all have gone to sleep or given way, the rest of the round is nobody's.
    if (isVirtual) clock.skipTo(Math.ceil(this.#furthest))
    return true
  }

  /** The domains that run in this round, in the order of their numbers. */
  #dueDomains(now: number): Domain[] {
    const runnable: Domain[] = []
    for (const domain of this.#awakeInOrder()) {
      const { credit, renewCredit } = domain
      if (credit.mayRun(now)) runnable.push(domain)
      else if (!renewCredit.isSet) renewCredit.set(credit.renewsAt)
    }
    if (runnable.length === 0 || this.#world.clock instanceof VirtualClock) return runnable
    let least = Number.POSITIVE_INFINITY
    for (const { credit } of runnable) least = Math.min(least, credit.charged)
    // Who comes back from sleep has the least of all: what counts is who has been running.
    this.#leastCharged = Math.max(this.#leastCharged, least)
    for (const { credit } of runnable) credit.forgetSavings(this.#leastCharged)
    const floor = Math.min(...runnable.map(({ credit }) => credit.charged))
    return runnable.filter(({ credit }) => credit.isDue(floor))
  }

  /** The domains with a processor that is runnable, in the order of their numbers. */
  #awakeInOrder(): Domain[] {
    const awake: Domain[] = []
    for (const domain of this.#awake) {
      if (domain.vcpus.some((vcpu) => vcpu.isRunnable)) awake.push(domain)
      else this.#awake.delete(domain)
    }
    return awake.sort((a, b) => a.domid - b.domid)
  }

  /** What services do for the guest in its turn counts as the guest's time. */
  #turn(vcpu: Vcpu, start: number): void {
    const { clock } = this.#world
    if (clock instanceof VirtualClock) {
      const before = this.counters.instructions
      this.#servedAt = Math.floor(this.#run(vcpu, start))
      this.#serve()
      this.#servedAt = undefined
      this.#charge(vcpu, (this.counters.instructions - before) * this.#nsPerInstruction)
    } else {
      const before = clock.now()
      this.#run(vcpu, start)
      this.#serve()
      this.#charge(vcpu, clock.now() - before)
    }
  }

  #serve(): void {
    this.#world.deliverHostEvents()
    this.#world.runDeferred()
  }

  #charge(vcpu: Vcpu, ns: number): void {
    vcpu.cpuTimeNs += ns
    vcpu.domain.credit.charge(ns)
  }

  /** A turn of a processor; its local time at the end. */
  #run(vcpu: Vcpu, start: number): number {
    // In virtual time, who was woken in this round starts when it was woken.
    let local = Math.max(start, Math.min(vcpu.wokenAt, this.#roundEnd))
    const isVirtual = this.#world.clock instanceof VirtualClock
    vcpu.processor.rest()
    vcpu.enter(isVirtual ? local : this.#world.clock.now())
    while (vcpu.isRunnable && local < this.#roundEnd) {
      const budget = Math.max(1, Math.floor((this.#roundEnd - local) / this.#nsPerInstruction))
      this.#running = vcpu
      this.#enteredAt = local
      this.#isInterrupted = false
      const { executed, reason } = this.#execute(vcpu, budget)
      this.#running = undefined
      this.counters.instructions += executed
      // Coming back costs an instruction's time, so that no turn can go on for ever.
      local += Math.max(1, executed) * this.#nsPerInstruction
      this.#furthest = Math.max(this.#furthest, local)
      this.#shortenRound()
      if (reason === 'halt') this.#halted(vcpu)
      else if (reason === 'shutdown') this.#tripleFault(vcpu)
      else if (vcpu.processor.isExhausted) return local
      else if (reason === 'exit') {
        // Whoever leaves of its own accord (SCHEDOP_yield, spinning with PAUSE) gives way.
        if (!this.#isInterrupted) return local
        this.#world.deliverHostEvents()
      }
    }
    return local
  }

  /**
   * What this processor needs and the host does not have ends its domain, and no other. A Bug is
   * not contained: nobody knows what it has broken.
   */
  #execute(vcpu: Vcpu, budget: number): RunResult {
    try {
      return vcpu.processor.run(budget)
    } catch (error) {
      if (!(error instanceof UserError)) throw error
      vcpu.domain.crash(`${error.what} ${error.why}`)
      return { executed: 0, reason: 'exit' }
    }
  }

  /** The round ends with the next deadline, but not before what has happened in it already. */
  #shortenRound(): void {
    const next = this.#world.timers.nextDeadline()
    this.#roundEnd = Math.max(Math.min(this.#roundEnd, next), Math.ceil(this.#furthest))
  }

  /** HLT: waits for an interrupt; with interrupts disabled the processor is down. */
  #halted(vcpu: Vcpu): void {
    if (vcpu.state !== 'runnable') return
    if (vcpu.hasDeliverable) {
      vcpu.processor.interruptsChanged()
      return
    }
    if (vcpu.processor.rflags & RFLAGS_IF) {
      vcpu.block()
      return
    }
    vcpu.takeDown()
    vcpu.domain.vcpuWentDown()
  }

  #tripleFault(vcpu: Vcpu): void {
    const reason = Number(vcpu.domain.params.get(HVM_PARAM_TRIPLE_FAULT_REASON) & 0xffn)
    vcpu.domain.shutDown(reason)
  }
}
