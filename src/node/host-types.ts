// The library's interface to a host and its domains: what the command line and other users of the
// library are written against, and what a test's stand-in implements.

import type { EventAbiName } from '../xen/event-abi.ts'

/** How guests' clocks run: by the wall, or as a function of the instructions executed. */
export type TimeMode = 'virtual' | 'real'

/** When guest code is translated to WebAssembly: never, when it is hot, when it is first executed. */
export type Translation = 'off' | 'hot' | 'always'

export interface HostOptions {
  readonly time: TimeMode
  /** When guest code is translated: when it is hot if not given. Never changes what a guest does. */
  readonly translation?: Translation | undefined
  /** Count why translated code is left, for the statistics. */
  readonly countsExits?: boolean | undefined
}

export interface DomainConfig {
  readonly name: string
  /** Path of the kernel image, or its bytes. */
  readonly kernel: string | Uint8Array
  /** Path of the ramdisk, or its bytes. */
  readonly ramdisk?: string | Uint8Array | undefined
  readonly cmdline: string
  readonly memoryMiB: number
  /** It may have so much, and is asked to balloon down to `memoryMiB`; the same if not given. */
  readonly maxMemoryMiB?: number | undefined
  readonly vcpus: number
  /** It may have so many vCPUs, the others off line at first; `vcpus` if not given. */
  readonly maxVcpus?: number | undefined
  /** 32 hexadecimal digits with hyphens; one of the host's own if not given. */
  readonly uuid?: string | undefined
  /** Share of the processor against other domains, 1 to 65535; 256 if not given. */
  readonly weight?: number | undefined
  /** Per cent of one processor that it may take; no cap if 0 or not given. */
  readonly cap?: number | undefined
  readonly maxGrantFrames?: number | undefined
  readonly maxMaptrackFrames?: number | undefined
  readonly maxGrantVersion?: 1 | 2 | undefined
  /** It is built, but does not run until it is unpaused. */
  readonly isPaused?: boolean | undefined
  /** Name of the processor model that the guest sees. */
  readonly cpu?: string | undefined
  /** Event-channel ABIs it may use; two-level events are always there. FIFO if not given. */
  readonly eventChannelAbi?: readonly EventAbiName[]
  /** Event channels it may have at most; 1023 if not given. */
  readonly maxEventChannels?: number | undefined
  /** What to trace, such as `hypercalls`. */
  readonly trace?: readonly string[]
}

/** The most urgent of the reasons for which a domain stops. */
export type EndReason = 'poweroff' | 'reboot' | 'suspend' | 'crash' | 'watchdog'

export interface DomainEnd {
  readonly reason: EndReason
  /** Why, in one line, where more is known than the reason. */
  readonly cause?: string
}

/** A phase of the boot: `ms` since the domain was asked for; `detail` may be empty. */
export type PhaseListener = (phase: string, ms: number, detail: string) => void

export interface DomainConsole {
  /** Calls `listener` with what the guest writes from now on; returns how to stop that. */
  onOutput(listener: (bytes: Uint8Array) => void): () => void
  /** Types `bytes`; they wait until the guest reads them. */
  send(bytes: Uint8Array): void
  /** What the guest has written since boot; readable after its end. */
  text(): string
}

export interface Domain {
  readonly id: number
  readonly name: string
  readonly console: DomainConsole
  /** Resolves when the guest stops; rejects with a Bug when the host fails. */
  readonly ended: Promise<DomainEnd>
  /** Calls `listener` with the phases reached so far, then with each new one. */
  onPhase(listener: PhaseListener): void
  /** Stops the domain and frees what it holds; does nothing to one that has ended. */
  destroy(): void
  stats(): Record<string, number>
}

export interface Host {
  /** @throws UserError when an image cannot be read or is none, or memory does not suffice */
  createDomain(config: DomainConfig): Promise<Domain>
  /** Runs the domains in slices, from the event loop. */
  start(): void
  stop(): void
}
