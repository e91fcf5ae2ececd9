// The library's host in Node: reads images from files, drives the hypervisor from the event loop,
// and shows its domains as host-types.ts describes them.

import { randomBytes } from 'node:crypto'
import { availableParallelism } from 'node:os'
import { addNanoseconds } from '../machine/time.ts'
import type { GuestDisk } from '../toolstack/guest-disks.ts'
import type { GuestDomain } from '../toolstack/guest-domain.ts'
import { XenHost } from '../toolstack/xen-host.ts'
import { type TranslationMode, translationMode } from '../x86/translator/options.ts'
import type { StepResult } from '../xen/scheduler.ts'
import { type BootFiles, readBootFiles } from './boot-files.ts'
import { Bridges } from './bridges.ts'
import { captureFile } from './capture.ts'
import { startCompiler } from './compiler-thread.ts'
import { closeDisks, openDisks } from './domain-disks.ts'
import {
  DomainNetworks,
  type PreparedVif,
  prepareVifs,
  releaseVifs,
  settleVifs,
  type WaysOut,
} from './domain-networks.ts'
import { Gateways } from './gateways.ts'
import {
  DEFAULT_DOMAIN,
  type DomainConfig,
  type DomainOptions,
  type Host as HostInterface,
  type HostOptions,
} from './host-types.ts'
import { isProfiled } from './kernel-symbols.ts'
import { Notices } from './notices.ts'
import { RunningDomain } from './running-domain.ts'
import { formatTrace } from './trace-lines.ts'
import { type Waited, WaitError, type WaitOptions, waitFor } from './wait.ts'

/** How long the hypervisor runs before the event loop gets its turn. */
const SLICE_MS = 2
/** Virtual time starts here, so that a run does not depend on the day: 2026-01-01. */
const VIRTUAL_EPOCH_SECONDS = 1_767_225_600
const NS = 1e9

/** How long waits last that do not say it themselves. */
const TIMEOUT_MS = 60_000

export class Host implements HostInterface, Waited {
  readonly xen: XenHost
  readonly #time: HostOptions['time']
  readonly #guests = new Set<RunningDomain>()
  readonly #gateways: Gateways
  readonly #bridges: Bridges
  readonly #timeoutMs: number
  readonly #namesCode: boolean
  #isRunning = false
  #timer: NodeJS.Immediate | NodeJS.Timeout | undefined

  private constructor(options: HostOptions) {
    this.#time = options.time
    this.#namesCode = options.namesCode ?? isProfiled()
    this.#timeoutMs =
      options.timeoutMs ?? (Number(process.env['XENOLITH_TIMEOUT_MS']) || TIMEOUT_MS)
    this.#gateways = new Gateways({ time: options.time, onTraffic: () => this.wake() })
    this.xen = new XenHost({
      time: options.time,
      translation: options.translation ?? usualTranslation(),
      countsExits: options.countsExits,
      ...(options.measuresTranslation && { translationMs: () => performance.now() }),
      ...(hasThreads(options) && { startCompiler }),
      wake: () => this.wake(),
      monotonicNs: options.monotonicNs ?? (() => performance.now() * 1e6),
      wallBase: wallBaseOf(options.time),
      ...(options.time === 'real' && { seed: randomBytes(8).readBigUInt64LE() }),
    })
    this.#bridges = new Bridges({
      time: options.time,
      switches: this.xen.switches,
      onTraffic: () => this.wake(),
    })
  }

  static async create(options: HostOptions): Promise<Host> {
    return new Host(options)
  }

  /** @throws UserError when an image cannot be read or is none, or memory does not suffice */
  async createDomain(options: DomainOptions): Promise<RunningDomain> {
    const config: DomainConfig = { ...DEFAULT_DOMAIN, ...options }
    const started = performance.now()
    const notices = new Notices()
    const notice = (text: string) => notices.add(text)
    const ways = { gateways: this.#gateways, bridges: this.#bridges }
    const disks = openDisks(config.disks ?? [])
    const { files, loaded, capture, vifs } = await this.#prepare(config, disks, ways, notice).catch(
      (error: unknown) => {
        closeDisks(disks)
        throw error
      },
    )
    const guest = this.#build(config, { files, vifs, disks }, ways)
    if (config.isPaused) guest.domain.pause()
    guest.onComplaint = notice
    const networks = new DomainNetworks(guest, vifs, {
      ...ways,
      notice,
      nowNs: () => this.#wallNs(),
      wake: () => this.wake(),
    })
    if (capture) networks.capture(capture)
    const domain = new RunningDomain(this, guest, networks, notices, started)
    this.#guests.add(domain)
    const mib = (bytes: number) => `${(bytes / 2 ** 20).toFixed(1)} MiB`
    const { kernel, ramdisk, chosen } = files
    const images = [`${kernel.name} ${mib(kernel.fileBytes)}`]
    if (ramdisk) images.push(`ramdisk ${mib(ramdisk.bytes.length)}`)
    if (chosen !== undefined) images.push(chosen)
    for (const { vdev, format, size } of domain.disks.list()) {
      images.push(`${vdev} ${format} ${mib(size)}`)
    }
    domain.reached('loading kernel', loaded - started, images.join(', '))
    const size = `${config.vcpus} vCPU${config.vcpus === 1 ? '' : 's'}, ${config.memoryMiB} MiB`
    domain.reached('building domain', performance.now() - started, size)
    if (this.#isRunning) {
      domain.reached('running')
      this.wake()
    }
    if (config.trace && config.trace.length > 0) {
      domain.trace(config.trace, (record) => process.stderr.write(`${formatTrace(record)}\n`))
    }
    return domain
  }

  /** Reads and sets up what can take its time. */
  async #prepare(
    config: DomainConfig,
    disks: readonly GuestDisk[],
    ways: WaysOut,
    notice: (text: string) => void,
  ) {
    const files = await readBootFiles(config, disks, this.#namesCode)
    const loaded = performance.now()
    const capture = config.capture === undefined ? undefined : captureFile(config.capture)
    const vifs = await prepareVifs(config.name, config.vifs ?? [], ways, notice)
    return { files, loaded, capture, vifs }
  }

  #build(
    config: DomainConfig,
    { files, vifs, disks }: { files: BootFiles; vifs: PreparedVif[]; disks: GuestDisk[] },
    ways: WaysOut,
  ): GuestDomain {
    try {
      const { commandLine } = files
      return this.xen.createGuest({ ...config, commandLine, vifs }, files, disks)
    } catch (error) {
      releaseVifs(vifs)
      closeDisks(disks)
      throw error
    } finally {
      settleVifs(vifs, ways)
    }
  }

  start(): void {
    if (this.#isRunning) return
    this.#isRunning = true
    for (const domain of this.#guests) domain.reached('running')
    this.#schedule()
  }

  stop(): void {
    this.#isRunning = false
    if (this.#timer === undefined) return
    clearImmediate(this.#timer as NodeJS.Immediate)
    clearTimeout(this.#timer as NodeJS.Timeout)
    this.#timer = undefined
  }

  /** Has it been started, and not been stopped. */
  get isRunning(): boolean {
    return this.#isRunning
  }

  /** Something came in from outside: an idle host goes on. */
  wake(): void {
    if (!this.#isRunning) return
    this.stop()
    this.#isRunning = true
    this.#schedule()
  }

  /**
   * Waits until `awaited` gives something, or a promise is settled: what a guest does meanwhile, it
   * does. A host in virtual time that was not started runs only as long as something is waited for.
   * @throws WaitError when that takes too long
   */
  async until<T>(
    awaited: Promise<T> | (() => T | undefined),
    options: WaitOptions = {},
  ): Promise<T> {
    const expired = () => {
      const said = `It was waited for for ${this.timeoutMs(options) / 1000} s.`
      const remedy = 'Allow more with timeoutMs.'
      return new WaitError('timeout', 'What was waited for did not come.', said, remedy)
    }
    if (typeof awaited === 'function') return this.wait(awaited, options, expired)
    let isSettled = false
    const settled = () => {
      isSettled = true
    }
    awaited.then(settled, settled)
    await this.wait(() => isSettled || undefined, options, expired)
    return awaited
  }

  wait<T>(find: () => T | undefined, options: WaitOptions, expired: () => Error): Promise<T> {
    const { signal } = options
    return waitFor(this, find, { timeoutMs: this.timeoutMs(options), signal }, expired)
  }

  timeoutMs({ timeoutMs }: WaitOptions): number {
    return timeoutMs ?? this.#timeoutMs
  }

  startIfReal(): boolean {
    if (this.#time === 'real') this.start()
    return this.#isRunning
  }

  /** One round of all processors, of a host that was not started. */
  step(): StepResult {
    try {
      return this.xen.step()
    } catch (error) {
      for (const domain of this.#guests) domain.failed(error)
      throw error
    }
  }

  /** Destroys its domains and stops. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.stop()
    for (const domain of this.#guests) domain.destroy()
  }

  #wallNs(): bigint {
    const { clock, hypervisor } = this.xen
    const { seconds, nanoseconds } = addNanoseconds(clock.wallBase, hypervisor.now())
    return BigInt(seconds) * BigInt(NS) + BigInt(nanoseconds)
  }

  removed(domain: RunningDomain): void {
    this.#guests.delete(domain)
  }

  #schedule(delayMs = 0): void {
    this.#timer =
      delayMs > 0 ? setTimeout(() => this.#slice(), delayMs) : setImmediate(() => this.#slice())
  }

  #slice(): void {
    const end = performance.now() + SLICE_MS
    try {
      do {
        const result = this.xen.step()
        if (!this.#isRunning || result.state === 'ended') return
        if (result.state === 'idle') return this.#sleep(result.until)
      } while (performance.now() < end)
    } catch (error) {
      this.#isRunning = false
      for (const domain of this.#guests) domain.failed(error)
      return
    }
    this.#schedule()
  }

  /** Nobody can run before `until`; input wakes the host before that. */
  #sleep(until: number | undefined): void {
    this.#timer = undefined
    if (until === undefined || this.#time === 'virtual') return
    this.#schedule(Math.max(1, (until - this.xen.clock.now()) / 1e6))
  }
}

/** On one processor another thread would only take the guest's time. */
function hasThreads({ threads }: HostOptions): boolean {
  return threads ?? availableParallelism() > 1
}

/** The mode of hosts that are not told theirs; undefined: as usual. */
function usualTranslation(): TranslationMode | undefined {
  const given = process.env['XENOLITH_TRANSLATE']
  return given ? translationMode(given) : undefined
}

function wallBaseOf(time: HostOptions['time']) {
  if (time === 'virtual') return { seconds: VIRTUAL_EPOCH_SECONDS, nanoseconds: 0 }
  const now = Date.now()
  return { seconds: Math.floor(now / 1000), nanoseconds: ((now % 1000) * NS) / 1000 }
}
