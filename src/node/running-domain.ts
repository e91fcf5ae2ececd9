// A domain of a host in Node, as host-types.ts describes it and with what the host process needs besides:
// its console, devices and phases, waiting for it, tracing it, and its end.

import { UserError } from '../base/errors.ts'
import { askToShutDown } from '../toolstack/guest-control.ts'
import type { GuestDomain } from '../toolstack/guest-domain.ts'
import type { XenHost } from '../toolstack/xen-host.ts'
import type { TraceKind, TraceListener } from '../xen/trace.ts'
import { BootPhases } from './boot-phases.ts'
import { DomainDisks } from './domain-disks.ts'
import type { DomainNetworks } from './domain-networks.ts'
import { GuestConsole } from './guest-console.ts'
import type { Domain, DomainEnd, EndReason, PhaseListener } from './host-types.ts'
import type { Notices } from './notices.ts'
import { PacketLog } from './packet-log.ts'
import { statisticsOf } from './statistics.ts'
import { WaitError, type WaitOptions } from './wait.ts'

/** Lines of the console that an error quotes. */
const QUOTED_LINES = 12
const REASONS: readonly EndReason[] = ['poweroff', 'reboot', 'suspend', 'crash', 'watchdog']

/** What a domain needs of its host. */
export interface DomainHome {
  readonly xen: XenHost
  /** Something came in for the domain. */
  wake(): void
  wait<T>(find: () => T | undefined, options: WaitOptions, expired: () => Error): Promise<T>
  timeoutMs(options: WaitOptions): number
  /** The domain is destroyed. */
  removed(domain: RunningDomain): void
}

/** A domain of this host, with all that the host process needs to know of it. */
export class RunningDomain implements Domain {
  readonly id: number
  readonly name: string
  readonly ended: Promise<DomainEnd>
  readonly console: GuestConsole
  readonly disks: DomainDisks
  readonly networks: DomainNetworks
  readonly #notices: Notices
  readonly #host: DomainHome
  readonly guest: GuestDomain
  readonly #phases: BootPhases
  #fail: (error: unknown) => void = () => {}
  #end: DomainEnd | undefined
  readonly #traces = new Set<() => void>()

  constructor(
    host: DomainHome,
    guest: GuestDomain,
    networks: DomainNetworks,
    notices: Notices,
    started: number,
  ) {
    this.#host = host
    this.networks = networks
    this.disks = new DomainDisks(guest, () => host.wake())
    this.#notices = notices
    this.guest = guest
    this.#phases = new BootPhases(started)
    this.id = guest.domain.domid
    this.name = guest.config.name
    const { promise, resolve, reject } = Promise.withResolvers<DomainEnd>()
    this.ended = promise
    // Nobody may be waiting for the end; a failure is then seen by those who ask later.
    this.ended.catch(() => {})
    this.#fail = reject
    guest.onShutdown = (reason) => {
      this.#end ??= this.#endOf(reason)
      resolve(this.#end)
    }
    guest.console.listen((bytes) => this.#phases.watch(bytes))
    this.console = new GuestConsole(guest.console, this)
  }

  /** How it has ended; undefined while it runs. */
  get end(): DomainEnd | undefined {
    return this.#end
  }

  wake(): void {
    this.#host.wake()
  }

  /** Waits as the host's until() does; fails as soon as the host has. */
  async wait<T>(find: () => T | undefined, options: WaitOptions, expired: () => Error): Promise<T> {
    const failure = this.ended.then(() => new Promise<never>(() => {}))
    return Promise.race([this.#host.wait(find, options, expired), failure])
  }

  timeoutMs(options: WaitOptions): number {
    return this.#host.timeoutMs(options)
  }

  /**
   * Waits until the guest stops by itself.
   * @throws WaitError with the console's last lines when it does not in time
   */
  async waitForEnd(options: WaitOptions = {}): Promise<DomainEnd> {
    const limit = this.timeoutMs(options) / 1000
    return this.wait(
      () => this.#end,
      options,
      () => {
        const lines = this.console.lastLines(QUOTED_LINES).map((line) => `  | ${line}`)
        const why = [`It still ran after ${limit} s. The last lines of its console:`, ...lines]
        const remedy = 'Allow more with timeoutMs, or end it with destroy().'
        return new WaitError('timeout', `"${this.name}" did not end.`, why.join('\n'), remedy)
      },
    )
  }

  /**
   * Asks the guest to switch itself off, and waits until it has.
   * @throws UserError if its kernel has no drivers for that; WaitError when it takes too long
   */
  async shutdown(options: WaitOptions = {}): Promise<DomainEnd> {
    askToShutDown(this.guest, 'poweroff')
    this.wake()
    return this.waitForEnd(options)
  }

  /**
   * Asks the guest to suspend itself, and waits until it has. Its processors then stand still, and
   * its drivers use nothing of the host, until {@link resume}.
   * @throws UserError if its kernel has no drivers for that; WaitError when it takes too long
   */
  async suspend(options: WaitOptions = {}): Promise<void> {
    let isSuspended = false
    askToShutDown(this.guest, 'suspend')
    this.guest.onSuspended = () => {
      isSuspended = true
    }
    this.wake()
    const limit = this.timeoutMs(options) / 1000
    await this.wait(
      () => isSuspended || undefined,
      options,
      () => {
        const why = `It still ran after ${limit} s.`
        const remedy = 'Allow more with timeoutMs, or look at what its console says.'
        return new WaitError('timeout', `"${this.name}" did not suspend itself.`, why, remedy)
      },
    )
  }

  /**
   * Lets a suspended guest go on; it takes its devices up anew, as one that was restored.
   * @throws UserError if it is not suspended
   */
  resume(): void {
    if (!this.guest.isSuspended) {
      throw new UserError(
        `"${this.name}" cannot go on.`,
        'It is not suspended.',
        'Suspend it first.',
      )
    }
    this.guest.resume()
    this.wake()
  }

  /**
   * Tells what happens to the domain from now on; gives the function that ends it. `onEnd` is
   * called when the domain is destroyed.
   */
  trace(
    kinds: readonly TraceKind[],
    listener: TraceListener,
    onEnd: () => void = () => {},
  ): () => void {
    const stop = this.#host.xen.hypervisor.trace.listen(kinds, (record) => {
      if (record.domid === this.id) listener(record)
    })
    const end = () => {
      stop()
      onEnd()
    }
    this.#traces.add(end)
    return () => {
      this.#traces.delete(end)
      stop()
    }
  }

  /** Keeps the frames that pass its network interfaces from now on. */
  logPackets(): PacketLog {
    return new PacketLog({
      name: this.name,
      listen: (listener) => this.networks.listen(listener),
      wait: (find, options, expired) => this.wait(find, options, expired),
    })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.destroy()
  }

  onPhase(listener: PhaseListener): void {
    this.#phases.listen(listener)
  }

  onNotice(listener: (text: string) => void): void {
    this.#notices.listen(listener)
  }

  /** A phase of its boot is reached; see {@link PhaseListener}. */
  reached(...phase: Parameters<BootPhases['reached']>): void {
    this.#phases.reached(...phase)
  }

  failed(error: unknown): void {
    this.#fail(error)
  }

  /** Closes its disks and takes its network interfaces away: it has shut down, and is only kept. */
  releaseDevices(): void {
    this.guest.disks.close()
    this.guest.networks.destroy()
    this.networks.close()
  }

  destroy(): void {
    this.guest.destroy()
    this.networks.close()
    for (const end of [...this.#traces]) end()
    this.#host.removed(this)
  }

  stats(): Record<string, number> {
    return statisticsOf(this.#host.xen, this.guest.domain, this.disks.list())
  }

  #endOf(reason: number): DomainEnd {
    const name = REASONS[reason] ?? 'crash'
    const { crashCause } = this.guest.domain
    if (crashCause !== undefined) return { reason: 'crash', cause: crashCause }
    for (const { processor } of this.guest.domain.vcpus) {
      const { shutdownCause } = processor as unknown as { shutdownCause: string }
      if (shutdownCause) return { reason: 'crash', cause: shutdownCause }
    }
    return { reason: name }
  }
}
