// A host: one memory, one hypervisor, the services of its control domain, and the domains that
// the toolstack builds on it. What drives it (slices of an event loop) and where images come from
// is outside. Shown to users of the library through node/ and web/.

import { invariant, UserError } from '../base/errors.ts'
import { Xenstored } from '../backends/xenstore/xenstored.ts'
import { XenstoreClient } from '../backends/xenstore/client.ts'
import type { Uplink } from '../backends/net/uplink.ts'
import { writeHostTree } from '../backends/xenstore/domain-tree.ts'
import { FrameTable } from '../machine/frame-table.ts'
import { type Clock, RealClock, VirtualClock, type WallTime } from '../machine/time.ts'
import { Timers } from '../machine/timers.ts'
import { CpuidPolicy } from '../x86/cpuid/policy.ts'
import { MODELS, modelNamed } from '../x86/cpuid/models.ts'
import { Engine, type EngineOptions } from '../x86/engine.ts'
import type { TranslationMode } from '../x86/translator/options.ts'
import { IMPLEMENTED_FEATURES } from '../x86/implemented-features.ts'
import { HostMemory } from '../x86/memory/host-memory.ts'
import { RANDOM } from '../x86/state.ts'
import type { Domain } from '../xen/domain.ts'
import type { EventAbiName } from '../xen/event-abi.ts'
import { Hypervisor } from '../xen/hypervisor.ts'
import type { StepResult } from '../xen/scheduler.ts'
import { ApicMaker } from '../xen/vcpu-apic.ts'
import { X86Processor } from '../xen/x86-processor.ts'
import type { GuestDisk } from './guest-disks.ts'
import { GuestDomain, type GuestImages } from './guest-domain.ts'
import { LEAST_EVENT_CHANNELS, MOST_EVENT_CHANNELS, TSC_KHZ } from './guest-limits.ts'
import { Switches } from './guest-networks.ts'
import type { VifConfig } from './vif-config.ts'

const PAGE = 4096
/** All that 32-bit addresses reach. Pages that nobody touches cost the machine nothing. */
const MEMORY_BYTES = 2 ** 32
/** Kept back for processors that are created later: state, TLB and jump cache of each. */
const PROCESSOR_BYTES = 1036 * 1024
/** All vCPUs of all domains together; a domain has 128 at most. */
const MAX_PROCESSORS = 256
export const PAGES_PER_MIB = 256
/** Pages beyond its memory that a domain may have: for its tables and special pages. */
export const SLACK_PAGES = 256

export interface XenHostOptions {
  readonly time: 'virtual' | 'real'
  /** A clock that never goes back, in nanoseconds, for real time. */
  readonly monotonicNs?: () => number
  /** Makes a host in real time go on that has nothing to do: something came in from outside. */
  readonly wake?: () => void
  /** What the wall clock shows when the host starts. */
  readonly wallBase: WallTime
  /** When guest code is translated; when it is hot if not given. */
  readonly translation?: TranslationMode | undefined
  /** Count why translated code is left; that costs a little. */
  readonly countsExits?: boolean | undefined
  /** A clock in milliseconds by which translation is measured; nothing else depends on it. */
  readonly translationMs?: (() => number) | undefined
  /** Has a thread make regions of code meanwhile. */
  readonly startCompiler?: EngineOptions['startCompiler']
  /** Seed of the random numbers that guests get from RDRAND; the same gives the same numbers. */
  readonly seed?: bigint
}

/** What a domain is to be, beside its images. */
export interface GuestConfig {
  readonly name: string
  readonly commandLine: string
  readonly memoryMiB: number
  /** It may have so much, and is built with it; it is asked to balloon down to its memory. */
  readonly maxMemoryMiB?: number | undefined
  readonly vcpus: number
  /** It may have so many vCPUs; those beyond `vcpus` are off line at first. */
  readonly maxVcpus?: number | undefined
  /** 32 hexadecimal digits with hyphens; one of the host's own if not given. */
  readonly uuid?: string | undefined
  /** Share of the processor against other domains; 256 if not given. */
  readonly weight?: number | undefined
  /** Per cent of one processor that it may take; no cap if 0 or not given. */
  readonly cap?: number | undefined
  readonly maxGrantFrames?: number | undefined
  readonly maxMaptrackFrames?: number | undefined
  readonly maxGrantVersion?: 1 | 2 | undefined
  /** Name of a processor model; `max` if not given. */
  readonly cpu?: string | undefined
  /** Event-channel ABIs it may use; every guest has two-level events. FIFO if not given. */
  readonly eventChannelAbi?: readonly EventAbiName[] | undefined
  /** Event channels it may have at most; what the ABI it uses can do limits them besides. */
  readonly maxEventChannels?: number | undefined
  /** Network interfaces, in the order of their numbers, each with its way out if it has one. */
  readonly vifs?: readonly { readonly config: VifConfig; readonly uplink?: Uplink | undefined }[]
}

export class XenHost {
  readonly memory: HostMemory
  readonly engine: Engine
  readonly frames: FrameTable
  readonly hypervisor: Hypervisor
  readonly xenstored: Xenstored
  readonly xenstore: XenstoreClient
  readonly clock: Clock
  readonly switches: Switches
  /** Undefined in virtual time, in which nothing is waited for but time. */
  readonly wake: (() => void) | undefined
  readonly #guests = new Map<number, GuestDomain>()
  readonly #policies = new Map<Domain, CpuidPolicy>()
  #pendingPolicy: CpuidPolicy | undefined
  #created = 0

  constructor(options: XenHostOptions) {
    this.wake = options.time === 'real' ? options.wake : undefined
    this.memory = new HostMemory(MEMORY_BYTES)
    const { countsExits, translationMs, startCompiler } = options
    this.engine = new Engine(this.memory, options.translation, {
      countsExits,
      nowMs: translationMs,
      mostCpus: MAX_PROCESSORS,
      startCompiler,
    })
    const reserve = MAX_PROCESSORS * PROCESSOR_BYTES
    const bytes = Math.floor((this.memory.available - reserve) / PAGE - 1) * PAGE
    const offset = this.memory.allocateAtEnd(bytes, 'machine frames')
    this.frames = new FrameTable(this.memory, offset, bytes)
    this.clock =
      options.time === 'virtual'
        ? new VirtualClock(options.wallBase)
        : new RealClock(requireSource(options), options.wallBase)
    const apics = new ApicMaker()
    this.hypervisor = new Hypervisor({
      frames: this.frames,
      memory: this.memory,
      written: (at, size) => this.engine.written(at, size),
      clock: this.clock,
      timers: new Timers(),
      createProcessor: (vcpu, host) => {
        const { features } = this.#policyOf(vcpu.domain)
        const cpu = new X86Processor(this.engine, host, features)
        cpu.setU64(RANDOM, seedOf(options.seed ?? 0n, vcpu.domain.domid, vcpu.id))
        return cpu
      },
      createApic: (vcpu) => apics.create(vcpu),
      hasGuestConsole: true,
      onShutdown: (domain) => this.#guests.get(domain.domid)?.hasShutDown(),
      onConsole: (domain, text) => this.#guests.get(domain.domid)?.xenConsole(text),
    })
    this.switches = new Switches(() => this.hypervisor.now())
    this.xenstored = new Xenstored({
      domainExists: (domid) => this.hypervisor.domain(domid) !== undefined,
    })
    this.xenstore = new XenstoreClient(this.xenstored)
    writeHostTree(this.xenstore)
  }

  /**
   * Builds a PVH domain, ready to run. Its disks are closed with it.
   * @throws UserError if it cannot be built from these images with this memory; then the disks are
   * still the caller's
   */
  createGuest(
    config: GuestConfig,
    images: GuestImages,
    disks: readonly GuestDisk[] = [],
  ): GuestDomain {
    const policy = policyFor(config)
    const { maxEventChannels, eventChannelAbi } = config
    if (maxEventChannels !== undefined) checkMaxEventChannels(config.name, maxEventChannels)
    this.#checkProcessors(config)
    this.#pendingPolicy = policy
    const domain = this.hypervisor.createDomain({
      name: config.name,
      uuid: config.uuid === undefined ? uuidOf(++this.#created) : uuidBytes(config.uuid),
      vcpus: config.maxVcpus ?? config.vcpus,
      // libxl gives a PVH domain the RAM it asked for, its tables and special pages, and slack.
      maxPages: (config.maxMemoryMiB ?? config.memoryMiB) * PAGES_PER_MIB + SLACK_PAGES,
      ...given('weight', config.weight),
      ...given('cap', config.cap),
      ...given('maxGrantFrames', config.maxGrantFrames),
      ...given('maxMaptrackFrames', config.maxMaptrackFrames),
      ...given('maxGrantVersion', config.maxGrantVersion),
      ...(maxEventChannels !== undefined && { maxPort: maxEventChannels }),
      ...(eventChannelAbi && { eventAbis: eventChannelAbi }),
      tscKhz: TSC_KHZ,
      // No vCPU reads an older counter than another one has read (Domain.tscTime).
      isTscStable: true,
      cpuid: (vcpu, leaf, subleaf) => cpuidOf(domain, policy, vcpu, leaf, subleaf),
      isAmd: policy.identity.vendor !== 'GenuineIntel',
    })
    this.#pendingPolicy = undefined
    try {
      const guest = new GuestDomain(this, domain, config, images, disks)
      this.#guests.set(domain.domid, guest)
      return guest
    } catch (error) {
      if (!domain.isDying) this.hypervisor.destroyDomain(domain)
      this.removed(domain)
      throw error
    }
  }

  /** Forgets a domain; GuestDomain.destroy calls this. */
  removed(domain: Domain): void {
    this.#guests.delete(domain.domid)
    this.#policies.delete(domain)
  }

  /** One round of all processors. */
  step(): StepResult {
    return this.hypervisor.step()
  }

  /** Known beforehand: a domain whose last processor does not fit would leave the others behind. */
  #checkProcessors({ name, vcpus, maxVcpus = vcpus }: GuestConfig): void {
    const present = this.hypervisor.domainsInOrder().reduce((sum, one) => sum + one.vcpus.length, 0)
    if (present + maxVcpus <= MAX_PROCESSORS) return
    throw new UserError(
      `Domain "${name}" cannot be created.`,
      `The host has ${present} vCPUs already, and ${MAX_PROCESSORS} at most.`,
      'End another domain, or start a second host: xenolith create --host NAME …',
    )
  }

  #policyOf(domain: Domain): CpuidPolicy {
    const policy = this.#policies.get(domain) ?? this.#pendingPolicy
    invariant(policy, 'a processor without a CPUID policy')
    this.#policies.set(domain, policy)
    return policy
  }
}

/** A field of an object, unless its value is undefined. */
function given<K extends string, V>(key: K, value: V | undefined): { readonly [P in K]?: V } {
  return (value === undefined ? {} : { [key]: value }) as { readonly [P in K]?: V }
}

/** Every processor of the host draws other numbers. */
function seedOf(seed: bigint, domid: number, vcpu: number): bigint {
  return seed ^ (BigInt(domid) << 32n) ^ (BigInt(vcpu) << 48n)
}

function requireSource({ monotonicNs }: XenHostOptions): () => number {
  invariant(monotonicNs, 'real time needs a clock')
  return monotonicNs
}

function checkMaxEventChannels(name: string, channels: number): void {
  if (channels >= LEAST_EVENT_CHANNELS && channels <= MOST_EVENT_CHANNELS) return
  throw new UserError(
    `Domain "${name}" cannot be created.`,
    `It cannot have at most ${channels} event channels: a guest needs ${LEAST_EVENT_CHANNELS}, ` +
      `and no ABI has more than ${MOST_EVENT_CHANNELS}.`,
    'Give a number between, or leave it out.',
  )
}

function policyFor(config: GuestConfig): CpuidPolicy {
  const name = config.cpu ?? 'max'
  const model = modelNamed(name)
  if (!model) {
    throw new UserError(
      `There is no processor model "${name}".`,
      `The models are ${Object.keys(MODELS).join(', ')}.`,
      'Give one of them, or leave it out.',
    )
  }
  return CpuidPolicy.of(model, IMPLEMENTED_FEATURES, {
    topology: { cores: config.maxVcpus ?? config.vcpus, threadsPerCore: 1, smtShift: 1 },
    tscKhz: TSC_KHZ,
  })
}

function cpuidOf(
  domain: Domain,
  policy: CpuidPolicy,
  vcpu: number,
  leaf: number,
  subleaf: number,
): ReturnType<CpuidPolicy['leaf']> {
  const cpu = domain.vcpus[vcpu]?.processor as X86Processor
  return policy.leaf(leaf, subleaf, cpu.cpuidState(vcpu * 2))
}

function uuidBytes(uuid: string): Uint8Array {
  const digits = uuid.replaceAll('-', '')
  return Uint8Array.from({ length: 16 }, (_, i) =>
    Number.parseInt(digits.slice(2 * i, 2 * i + 2), 16),
  )
}

/** A UUID that says which domain of the host it is (version 8: free form). */
function uuidOf(number: number): Uint8Array {
  const uuid = new Uint8Array(16)
  uuid.set([0x78, 0x65, 0x6e, 0x6f, 0, 0, 0x80, 0, 0x80])
  new DataView(uuid.buffer).setUint32(12, number)
  return uuid
}
