// The domains of a host process: makes them from guest files, knows them by name, and does what
// their files say when they end. What happens is told to whoever listens, and kept in the log.

import { randomUUID } from 'node:crypto'
import { UserError } from '../../base/errors.ts'
import {
  type BootloaderOptions,
  readPygrubArguments,
} from '../../toolstack/bootloader/pygrub-arguments.ts'
import { type DomainInfo, domainInfo } from '../../toolstack/domain-info.ts'
import { checkName, type EndAction, type GuestFile } from '../../toolstack/guest-file/guest-file.ts'
import type { Host } from '../host.ts'
import type { DomainConfig, DomainEnd, PhaseListener } from '../host-types.ts'
import { withChosen } from './devices.ts'
import { findDomain } from './find-domain.ts'
import { HostLog } from './host-log.ts'
import { ManagedDomain } from './managed-domain.ts'

/** Something that happened to a domain, as the event stream tells it. */
export interface DomainEvent {
  readonly event:
    | 'created'
    | 'phase'
    | 'shutdown'
    | 'restarted'
    | 'renamed'
    | 'paused'
    | 'unpaused'
    | 'gone'
  readonly id: number
  readonly name: string
  /** For `phase` which one, for `shutdown` the reason, for `renamed` the earlier name. */
  readonly detail?: string
  /** For `phase`: milliseconds since the domain was asked for. */
  readonly ms?: number
}

/** The console of a domain that is gone. */
export interface ConsoleRecord {
  readonly id: number
  readonly name: string
  readonly end: string
  readonly text: string
}

export interface DomainTableOptions {
  /** Make random UUIDs for domains whose file has none; otherwise those of the host, in order. */
  readonly hasRandomUuids: boolean
  /** The host has failed: nobody knows what is broken. */
  readonly onFailure: (error: unknown) => void
}

/** Consoles of domains that are gone, kept for a look at why. */
const KEPT_CONSOLES = 16
/** A domain that ended sooner is made again no sooner: a guest that cannot boot is no busy loop. */
const SOONEST_RESTART_MS = 1000

export class DomainTable {
  readonly host: Host
  readonly log: HostLog
  readonly #options: DomainTableOptions
  readonly #domains = new Set<ManagedDomain>()
  /** Names of domains that are being made. */
  readonly #reserved = new Set<string>()
  readonly #listeners = new Set<(event: DomainEvent) => void>()
  readonly #consoles: ConsoleRecord[] = []
  readonly #delays = new Set<NodeJS.Timeout>()

  constructor(host: Host, options: DomainTableOptions) {
    this.host = host
    this.#options = options
    this.log = new HostLog(() => host.xen.clock.now())
  }

  /** In the order of their numbers. */
  all(): ManagedDomain[] {
    return [...this.#domains].sort((a, b) => a.id - b.id)
  }

  /** @throws UserError with the name that was probably meant */
  find(called: string): ManagedDomain {
    return findDomain(this.all(), called)
  }

  /**
   * A domain that can be asked something: not one that is just being made anew.
   * @throws UserError
   */
  findLiving(called: string): ManagedDomain {
    const managed = this.find(called)
    if (!managed.running.guest.domain.isDying) return managed
    throw new UserError(
      `${managed.name} is being started again.`,
      'Its old domain is gone, the new one is not there yet.',
      'Try again in a moment.',
    )
  }

  info({ running, createdAt }: ManagedDomain): DomainInfo {
    return domainInfo(running.guest, createdAt, this.host.xen.clock.now())
  }

  /** Calls `listener` with what happens from now on; gives the function that ends it. */
  listen(listener: (event: DomainEvent) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /** The kept console of a domain that is gone, the latest of that name or number. */
  recordOf(called: string): ConsoleRecord | undefined {
    return this.#consoles.findLast(({ id, name }) => name === called || String(id) === called)
  }

  /**
   * Makes a domain and lets it run, unless it is to be paused.
   * @throws UserError
   */
  async create(file: GuestFile, isPaused = false, onPhase?: PhaseListener): Promise<ManagedDomain> {
    this.#checkFree(file.name)
    this.#reserved.add(file.name)
    try {
      const uuid = file.uuid ?? (this.#options.hasRandomUuids ? randomUUID() : undefined)
      const running = await this.host.createDomain(configOf({ ...file, uuid }, isPaused))
      const now = this.host.xen.clock.now()
      const managed = new ManagedDomain(
        withChosen({ ...file, uuid: running.guest.uuid }, running),
        running,
        now,
        isPaused,
      )
      this.#domains.add(managed)
      if (onPhase) running.onPhase(onPhase)
      this.#tell(managed, 'created')
      this.#watch(managed)
      return managed
    } finally {
      this.#reserved.delete(file.name)
    }
  }

  /** Ends a domain at once, and gives back all that it had. */
  destroy(managed: ManagedDomain, end = 'destroyed'): void {
    if (!this.#domains.delete(managed)) return
    this.#bury(managed, end)
    managed.gone()
    this.#tell(managed, 'gone')
  }

  /** @throws UserError if the name is no name or another domain's */
  rename(managed: ManagedDomain, name: string): void {
    if (name === managed.name) return
    this.#checkFree(name)
    const before = managed.name
    managed.running.guest.rename(name)
    managed.file = { ...managed.file, name }
    this.#tell(managed, 'renamed', before)
  }

  pause(managed: ManagedDomain): void {
    managed.pause()
    this.#tell(managed, 'paused')
  }

  unpause(managed: ManagedDomain): void {
    managed.unpause()
    this.host.wake()
    this.#tell(managed, 'unpaused')
  }

  /** Destroys all domains. */
  close(): void {
    for (const timer of this.#delays) clearTimeout(timer)
    for (const managed of this.all()) this.destroy(managed, 'the host stopped')
  }

  #checkFree(name: string): void {
    const wrong = checkName(name)
    if (wrong !== undefined) {
      throw new UserError(`"${name}" is no name for a domain.`, `${wrong}.`, 'Choose another one.')
    }
    const isTaken =
      name === 'Domain-0' || this.#reserved.has(name) || this.all().some((one) => one.name === name)
    if (!isTaken) return
    throw new UserError(
      `There is a domain "${name}" already.`,
      'Names are unique on a host.',
      `Give it another name (name = "…"), or end the other one: xenolith destroy ${name}`,
    )
  }

  #watch(managed: ManagedDomain): void {
    const { running } = managed
    running.onNotice((text) => this.log.add(`d${running.id} ${managed.name}: ${text}`))
    running.onPhase((detail, ms) => {
      const { id, name } = managed
      this.#send({ event: 'phase', id, name, detail, ms: Math.round(ms) })
    })
    void this.#awaitEnd(managed)
  }

  async #awaitEnd(managed: ManagedDomain): Promise<void> {
    const { running } = managed
    try {
      const end = await running.ended
      // Unless it was destroyed meanwhile, or has a successor.
      if (this.#domains.has(managed) && managed.running === running) this.#ended(managed, end)
    } catch (error) {
      this.#options.onFailure(error)
    }
  }

  #ended(managed: ManagedDomain, end: DomainEnd): void {
    const said = end.cause === undefined ? end.reason : `${end.reason}: ${end.cause}`
    this.#tell(managed, 'shutdown', said)
    const action = actionFor(end, managed.file)
    if (action === 'destroy') this.destroy(managed, said)
    if (action === 'restart' || action === 'rename-restart') {
      const age = (this.host.xen.clock.now() - managed.createdAt) / 1e6
      const again = () => {
        this.#restart(managed, action, said).catch(this.#options.onFailure)
      }
      if (age >= SOONEST_RESTART_MS) return again()
      const timer = setTimeout(() => {
        this.#delays.delete(timer)
        if (this.#domains.has(managed)) again()
      }, SOONEST_RESTART_MS)
      this.#delays.add(timer)
    }
  }

  async #restart(managed: ManagedDomain, action: EndAction, end: string): Promise<void> {
    const { file } = managed
    try {
      if (action === 'rename-restart') {
        this.rename(managed, this.#unusedName(managed.name))
        // Its successor needs them.
        managed.running.releaseDevices()
        await this.create({ ...file, uuid: undefined })
        return
      }
      this.#bury(managed, end)
      const running = await this.host.createDomain(configOf(file, false))
      if (!this.#domains.has(managed)) return running.destroy()
      // Unless it was changed meanwhile, for the next time.
      if (managed.file === file) managed.file = withChosen(file, running)
      managed.replace(running, this.host.xen.clock.now())
      this.#watch(managed)
      this.#tell(managed, 'restarted')
    } catch (error) {
      if (!(error instanceof UserError)) throw error
      this.log.add(`${file.name} cannot be started again: ${error.what} ${error.why}`)
      this.destroy(managed, end)
    }
  }

  /** What the domain had is free; its console is kept. */
  #bury({ running, id, name }: ManagedDomain, end: string): void {
    this.#consoles.push({ id, name, end, text: running.console.text() })
    if (this.#consoles.length > KEPT_CONSOLES) this.#consoles.shift()
    running.destroy()
  }

  #unusedName(name: string): string {
    for (let i = 1; ; i++) {
      const candidate = `${name}-${i}`
      if (!this.all().some((one) => one.name === candidate)) return candidate
    }
  }

  #tell({ id, name }: ManagedDomain, event: DomainEvent['event'], detail?: string): void {
    this.log.add(`d${id} ${name}: ${event}${detail === undefined ? '' : ` (${detail})`}`)
    this.#send({ event, id, name, ...(detail !== undefined && { detail }) })
  }

  #send(event: DomainEvent): void {
    for (const listener of [...this.#listeners]) listener(event)
  }
}

function actionFor({ reason }: DomainEnd, file: GuestFile): EndAction {
  switch (reason) {
    case 'poweroff':
      return file.onPoweroff
    case 'reboot':
      return file.onReboot
    case 'watchdog':
      return file.onWatchdog
    case 'crash':
      return file.onCrash
    case 'suspend':
      // It has suspended itself, which nobody asked for: as it is, for the user to see.
      return 'preserve'
  }
}

/** What the host is to make of a guest file. */
function configOf(file: GuestFile, isPaused: boolean): DomainConfig {
  const { maxGrantVersion, kernel, ramdisk, bootloader, commandLine, ...rest } = file
  return {
    ...rest,
    ...(bootloader ? { bootloader: bootloaderOf(file) } : { kernel, ramdisk }),
    cmdline: commandLine,
    isPaused,
    maxGrantVersion: maxGrantVersion === 1 ? 1 : undefined,
  }
}

/** As libxl calls pygrub: what the guest file says first, then the arguments, of which the last holds. */
function bootloaderOf({ kernel, ramdisk, bootloaderArgs }: GuestFile): BootloaderOptions {
  const files = {
    ...(kernel !== undefined && { kernel }),
    ...(ramdisk !== undefined && { ramdisk }),
  }
  return { ...files, ...readPygrubArguments(bootloaderArgs).options }
}
