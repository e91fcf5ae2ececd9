// The hypervisor: its domains, the way into a hypercall, and the scheduler that runs them. Domain 0
// is the control domain: it runs no guest code; the services of the host act in its name through
// its event channels and grants (host-services.ts).

import { invariant, UserError } from '../base/errors.ts'
import type { FrameTable } from '../machine/frame-table.ts'
import type { Clock } from '../machine/time.ts'
import type { Timers } from '../machine/timers.ts'
import { XEN_ENOSYS, XEN_EPERM } from './abi/errno.ts'
import { DOMID_FIRST_RESERVED } from './abi/xen.ts'
import { Domain, type DomainConfig, type DomainSave, type DomainWorld } from './domain.ts'
import type { EventChannels } from './event-channels.ts'
import { MAX_HOST_PORTS } from './event-host.ts'
import { FrameMemory, type HostMemoryViews } from './frame-memory.ts'
import type { GrantParty } from './grant-map.ts'
import { GuestAccess } from './guest-access.ts'
import { HypercallCounters, nameOf } from './hypercall-counters.ts'
import type { Answer, Call, HypercallWorld } from './hypercalls/call.ts'
import { HYPERCALLS } from './hypercalls/table.ts'
import {
  type Processor,
  type ProcessorControl,
  R8,
  R10,
  RAX,
  RBX,
  RCX,
  RDI,
  RDX,
  RSI,
  type VcpuApic,
} from './processor.ts'
import { Scheduler, type SchedulerOptions, type StepResult } from './scheduler.ts'
import { Trace } from './trace.ts'
import type { Vcpu } from './vcpu.ts'
import { VcpuHost } from './vcpu-host.ts'

const ARGUMENTS_64 = [RDI, RSI, RDX, R10, R8]
const ARGUMENTS_32 = [RBX, RCX, RDX, RSI, RDI]
/** What a debug build leaves in argument registers, so that no guest comes to rely on them. */
const POISON = 0xbeefbeefbeefbeefn
/** Bytes of VMCALL and VMMCALL: a call that goes on later is made again. */
const CALL_BYTES = 3n

/** What a hypercall costs the host (Processor.exert): a short one, and a go of a long one. */
const CALL_EFFORT = 10
const BATCH_EFFORT = 2000

export interface HypervisorOptions extends SchedulerOptions {
  readonly frames: FrameTable
  readonly memory: HostMemoryViews
  /** Told of every store into a frame: where in the host's memory, and how many bytes. */
  readonly written?: (hostOffset: number, bytes: number) => void
  readonly clock: Clock
  readonly timers: Timers
  /** Makes a processor that asks `host`. */
  readonly createProcessor: (vcpu: Vcpu, host: VcpuHost) => Processor & ProcessorControl
  /** Makes the local APIC of a processor. */
  readonly createApic: (vcpu: Vcpu) => VcpuApic
  /** Poison argument registers after hypercalls, as a debug build does. */
  readonly clobbersArguments?: boolean
  /** Let guests write to Xen's console, as a debug build does. */
  readonly hasGuestConsole?: boolean
  readonly onConsole?: (domain: Domain, text: Uint8Array) => void
  readonly onShutdown?: (domain: Domain) => void
}

/** The plain form of a {@link Hypervisor}. */
export interface HypervisorSave {
  readonly version: 1
  readonly nextDomid: number
  readonly domains: readonly DomainSave[]
}

export class Hypervisor implements DomainWorld, HypercallWorld {
  readonly memory: FrameMemory
  readonly clock: Clock
  readonly timers: Timers
  readonly scheduler: Scheduler
  readonly counters = new HypercallCounters()
  readonly trace = new Trace()
  /** Domain 0. */
  readonly control: Domain
  readonly #options: HypervisorOptions
  readonly #domains = new Map<number, Domain>()
  /** Domains that have ended, but whose frames others still map. */
  readonly #zombies = new Map<number, Domain>()
  #deferred: (() => void)[] = []
  /** Domains whose end has not been told yet. */
  readonly #shutDown: Domain[] = []
  #order: Domain[] = []
  #nextDomid = 1

  constructor(options: HypervisorOptions) {
    this.#options = options
    this.memory = new FrameMemory(options.frames, options.memory, options.written)
    this.clock = options.clock
    this.timers = options.timers
    this.scheduler = new Scheduler(this, options)
    this.control = new Domain(
      0,
      {
        name: 'Domain-0',
        vcpus: 0,
        maxPages: 0,
        maxPort: MAX_HOST_PORTS - 1,
        maxMaptrackFrames: 4096,
      },
      this,
    )
    this.#add(this.control)
  }

  get maxFrame(): number {
    const { first, frames } = this.memory.table
    return first + frames - 1
  }

  get hasGuestConsole(): boolean {
    return this.#options.hasGuestConsole ?? false
  }

  /** Nanoseconds since the host started, as the running processor sees it. */
  now(): number {
    return this.scheduler.now()
  }

  /** A new domain, without memory, its processors down. Its number is given, or the next one. */
  createDomain(config: DomainConfig, domid: number = this.#unusedDomid()): Domain {
    this.#buryZombies()
    if (this.#domains.has(domid) || this.#zombies.has(domid)) {
      throw new UserError(
        `Domain ${domid} cannot be created.`,
        'A domain of that number exists.',
        'Leave the number out, or destroy the other domain first.',
      )
    }
    const needed = 2
    if (this.memory.table.freeFrames < needed) {
      throw new UserError(
        `Domain "${config.name}" cannot be created.`,
        'The host has no memory left.',
        'Give the host more memory, or end another domain.',
      )
    }
    const domain = new Domain(domid, config, this)
    for (const vcpu of domain.vcpus) {
      const host = new VcpuHost(vcpu, this)
      vcpu.attach(this.#options.createProcessor(vcpu, host), this.#options.createApic(vcpu))
      vcpu.stampTime(this.now())
    }
    domain.physMap.listen(() => {
      for (const vcpu of domain.vcpus) vcpu.processor.flushTlb()
    })
    this.#add(domain)
    return domain
  }

  /** Ends a domain and gives back what it had. */
  destroyDomain(domain: Domain): void {
    for (const vcpu of domain.vcpus) vcpu.processor.requestExit()
    domain.destroy()
    for (const vcpu of domain.vcpus) vcpu.processor.retire()
    this.#domains.delete(domain.domid)
    this.#order = this.#order.filter((other) => other !== domain)
    if (domain.grants.activeGrants().length > 0) this.#zombies.set(domain.domid, domain)
    this.#buryZombies()
  }

  /** A domain that exists. */
  domain(domid: number): Domain | undefined {
    return this.#domains.get(domid)
  }

  domainsInOrder(): readonly Domain[] {
    return this.#order
  }

  partyOf(domid: number): GrantParty | undefined {
    return this.#domains.get(domid) ?? this.#zombies.get(domid)
  }

  channelsOf(domid: number): EventChannels | undefined {
    return this.#domains.get(domid)?.channels
  }

  hostEventsWanted(): void {
    this.scheduler.interrupt()
  }

  deliverHostEvents(): boolean {
    const ended = this.#shutDown.splice(0)
    for (const domain of ended) this.#options.onShutdown?.(domain)
    const delivered = this.control.hostEvents?.deliver() ?? 0
    return delivered > 0 || ended.length > 0
  }

  /**
   * Does `work` when the processor that runs now has ended its turn: when it sleeps, or its time is
   * up. A service that need not answer in the middle of what a guest does then gets all that the
   * guest wanted at once.
   */
  defer(work: () => void): void {
    this.#deferred.push(work)
  }

  runDeferred(): boolean {
    // What is deferred meanwhile waits for the next time, so that this ends.
    const works = this.#deferred
    if (works.length === 0) return false
    this.#deferred = []
    for (const work of works) work()
    return true
  }

  /** Whoever listens may destroy the domain: not before its processor has come back. */
  domainShutDown(domain: Domain): void {
    this.#shutDown.push(domain)
    if (this.scheduler.running) this.scheduler.interrupt()
    else this.deliverHostEvents()
  }

  domainMayRun(domain: Domain): void {
    this.scheduler.lookAt(domain)
  }

  deadlinesChanged(): void {
    this.scheduler.deadlinesChanged()
  }

  consoleWrite(domain: Domain, text: Uint8Array): void {
    this.#options.onConsole?.(domain, text)
  }

  /** One round of all processors; see {@link Scheduler.step}. */
  step(): StepResult {
    return this.scheduler.step()
  }

  /** A processor has executed VMCALL or VMMCALL; its RIP is that of the next instruction. */
  hypercall(vcpu: Vcpu): void {
    const { processor } = vcpu
    const width = processor.codeSize === 64 ? 64 : 32
    const result = (value: number) =>
      processor.writeRegister(RAX, BigInt.asUintN(width, BigInt(value)))
    if (processor.cpl !== 0) return result(-XEN_EPERM)
    const registers = width === 64 ? ARGUMENTS_64 : ARGUMENTS_32
    const args = registers.map((index) => BigInt.asUintN(width, processor.readRegister(index)))
    const number = BigInt.asUintN(width, processor.readRegister(RAX))
    const guest = new GuestAccess(processor, width)
    const call: Call = {
      world: this,
      domain: vcpu.domain,
      vcpu,
      guest,
      isInMulticall: false,
    }
    const answer = this.dispatch(call, number > 0xffffffffn ? -1 : Number(number), args)
    if (typeof answer !== 'number') {
      answer.again.forEach((value, i) => {
        processor.writeRegister(registers[i] as number, BigInt.asUintN(width, value))
      })
      processor.rip -= CALL_BYTES
      return
    }
    result(answer)
    if (this.#options.clobbersArguments && answer !== -XEN_ENOSYS) {
      const used = HYPERCALLS.get(Number(number))?.parameters.length ?? 0
      for (const index of registers.slice(0, used)) {
        processor.writeRegister(index, BigInt.asUintN(width, POISON))
      }
    }
  }

  dispatch(call: Call, number: number, args: readonly bigint[]): Answer {
    const known = HYPERCALLS.get(number)
    const cut = args.map((arg) => BigInt.asUintN(call.guest.width, arg))
    const answer = known ? known.handler(call, cut) : -XEN_ENOSYS
    const isDone = typeof answer === 'number'
    call.vcpu.processor.exert(isDone ? CALL_EFFORT : BATCH_EFFORT)
    const operation = Number(BigInt.asUintN(32, args[0] ?? 0n))
    if (isDone) this.counters.note(number, known, operation, answer)
    if (this.trace.hypercalls) {
      this.trace.note({
        kind: 'hypercalls',
        domid: call.domain.domid,
        vcpu: call.vcpu.id,
        now: this.now(),
        name: nameOf(number, known, known?.operations ? operation : undefined),
        parameters: known?.parameters ?? [],
        args: cut,
        result: isDone ? answer : undefined,
      })
    }
    return answer
  }

  /** The state of all domains, without that of their processors and their memory. */
  save(): HypervisorSave {
    const all = [...this.#domains.values(), ...this.#zombies.values()]
    return {
      version: 1,
      nextDomid: this.#nextDomid,
      domains: all.sort((a, b) => a.domid - b.domid).map((domain) => domain.save()),
    }
  }

  /**
   * Takes a saved state, in a hypervisor that has only its control domain. Clock and timers have
   * been restored before; processors, APICs, the frame table and the memory follow. `configOf`
   * gives the configuration that each domain was created with.
   */
  restore(save: HypervisorSave, configOf: (domid: number) => DomainConfig): void {
    invariant(save.version === 1, `a hypervisor of version ${save.version} is not known`)
    invariant(this.#domains.size === 1, 'a state can only be restored into an empty hypervisor')
    for (const state of save.domains) {
      const { domid } = state
      const domain = domid === 0 ? this.control : this.createDomain(configOf(domid), domid)
      domain.restore(state)
      if (!state.isDying) continue
      this.#domains.delete(domid)
      this.#zombies.set(domid, domain)
    }
    this.#nextDomid = save.nextDomid
    this.#order = this.#order.filter((domain) => this.#domains.has(domain.domid))
  }

  #unusedDomid(): number {
    while (this.#domains.has(this.#nextDomid) || this.#zombies.has(this.#nextDomid)) {
      this.#nextDomid = (this.#nextDomid + 1) % DOMID_FIRST_RESERVED || 1
    }
    const domid = this.#nextDomid
    this.#nextDomid = (domid + 1) % DOMID_FIRST_RESERVED || 1
    return domid
  }

  #add(domain: Domain): void {
    this.#domains.set(domain.domid, domain)
    this.#order = [...this.#domains.values()].sort((a, b) => a.domid - b.domid)
  }

  #buryZombies(): void {
    for (const [domid, zombie] of this.#zombies) {
      if (zombie.grants.activeGrants().length === 0) this.#zombies.delete(domid)
    }
  }
}
