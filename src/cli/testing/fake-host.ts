// A stand-in for the host: its guests are functions that say and hear on their console. For the
// tests of the command line.

import type {
  Domain,
  DomainConfig,
  DomainEnd,
  Host,
  HostOptions,
  PhaseListener,
} from '../../node/host-types.ts'

/** What a guest is; the run of one domain. */
export type GuestBehaviour = (guest: FakeGuest) => Promise<DomainEnd>

/** A guest that stops without a word of why. */
export const POWEROFF: DomainEnd = { reason: 'poweroff' }

export class FakeGuest {
  readonly config: DomainConfig
  /** All that was typed so far. */
  typed = ''
  isDestroyed = false
  readonly phaseListeners: PhaseListener[] = []
  readonly outputListeners = new Set<(bytes: Uint8Array) => void>()
  readonly #phases: Parameters<PhaseListener>[] = []
  #wake: (() => void) | undefined
  #text = ''

  constructor(config: DomainConfig) {
    this.config = config
  }

  get text(): string {
    return this.#text
  }

  get phases(): readonly Parameters<PhaseListener>[] {
    return this.#phases
  }

  /** Writes on the console, in UTF-8 or as bytes. */
  say(what: string | Uint8Array): void {
    const bytes = typeof what === 'string' ? new TextEncoder().encode(what) : what
    this.#text += new TextDecoder().decode(bytes)
    for (const listener of this.outputListeners) listener(bytes)
  }

  reach(...phase: Parameters<PhaseListener>): void {
    this.#phases.push(phase)
    for (const listener of this.phaseListeners) listener(...phase)
  }

  /** Resolves when `text` was typed. */
  async hear(text: string): Promise<void> {
    while (!this.typed.includes(text)) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
  }

  receive(bytes: Uint8Array): void {
    this.typed += new TextDecoder().decode(bytes)
    this.#wake?.()
  }
}

/** A host whose one guest behaves as told; what was asked of it stays readable. */
export class FakeHost implements Host {
  readonly #behaviour: GuestBehaviour
  readonly #started = Promise.withResolvers<void>()
  options: HostOptions | undefined
  guest: FakeGuest | undefined
  isRunning = false

  constructor(behaviour: GuestBehaviour) {
    this.#behaviour = behaviour
  }

  async createDomain(config: DomainConfig): Promise<Domain> {
    const guest = new FakeGuest(config)
    this.guest = guest
    guest.reach('building domain', 210, '')
    return {
      id: 1,
      name: config.name,
      ended: this.#started.promise.then(() => this.#behaviour(guest)),
      console: {
        onOutput: (listener) => {
          guest.outputListeners.add(listener)
          return () => guest.outputListeners.delete(listener)
        },
        send: (bytes) => guest.receive(bytes),
        text: () => guest.text,
      },
      disks: { list: () => [], attach: () => 51712, detach: async () => {} },
      networks: {
        list: () => [],
        attach: async () => 0,
        detach: async () => {},
        listen: () => () => {},
        capture: () => () => {},
      },
      onNotice: () => {},
      onPhase: (listener) => {
        guest.phaseListeners.push(listener)
        for (const phase of guest.phases) listener(...phase)
      },
      destroy: () => {
        guest.isDestroyed = true
      },
      stats: () => ({ instructions: 1234567, hypercalls: 42 }),
    }
  }

  start(): void {
    this.isRunning = true
    this.#started.resolve()
  }

  stop(): void {
    this.isRunning = false
  }
}
