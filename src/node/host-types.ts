// The library's interface to a host and its domains: what the command line and other users of the
// library are written against, and what a test's stand-in implements.

import type { BootloaderOptions } from '../toolstack/bootloader/pygrub-arguments.ts'
import type { DiskInfo, VifInfo } from '../toolstack/device-info.ts'
import type { DiskSpec } from '../toolstack/disk-spec.ts'
import type { PortForward } from '../toolstack/port-forward.ts'
import type { VifConfig } from '../toolstack/vif-config.ts'
import type { EventAbiName } from '../xen/event-abi.ts'
import type { TraceKind } from '../xen/trace.ts'
import type { TranslationMode } from '../x86/translator/options.ts'

/** How guests' clocks run: by the wall, or as a function of the instructions executed. */
export type TimeMode = 'virtual' | 'real'

export type {
  Translation,
  TranslationMode,
  TranslatorOptions,
} from '../x86/translator/options.ts'

export interface HostOptions {
  readonly time: TimeMode
  /**
   * When guest code is translated to WebAssembly ('off', 'hot', 'always'), and for tests by which
   * means; XENOLITH_TRANSLATE or 'hot' if not given. Never changes what a guest does.
   */
  readonly translation?: TranslationMode | undefined
  /**
   * Another thread translates while guests run; so it is if not given, where there are two processors.
   * Never changes what a guest does, but what is translated when: without it, statistics of that are the
   * same in each run as well.
   */
  readonly threads?: boolean | undefined
  /** Count why translated code is left, for the statistics; there is no other thread then. */
  readonly countsExits?: boolean | undefined
  /**
   * Measure how long translation takes, for the statistics: another one in each run.
   */
  readonly measuresTranslation?: boolean | undefined
  /**
   * Name translated code by the symbols of guests' kernels, for profilers; if not given, where this
   * process is profiled or can be.
   */
  readonly namesCode?: boolean | undefined
  /** How long waits last that do not say it; XENOLITH_TIMEOUT_MS or 60,000 if not given. */
  readonly timeoutMs?: number | undefined
  /** The clock of real time, in nanoseconds, which never goes back; the machine's if not given. */
  readonly monotonicNs?: (() => number) | undefined
}

/** What a domain is to be; what is not given is as {@link DEFAULT_DOMAIN} has it. */
export type DomainOptions = Partial<DomainConfig> & Pick<DomainConfig, 'kernel'>

/** A small domain whose kernel talks on the console. */
export const DEFAULT_DOMAIN = {
  name: 'guest',
  cmdline: 'console=hvc0',
  memoryMiB: 256,
  vcpus: 1,
} as const

export interface DomainConfig {
  readonly name: string
  /** Path of the kernel image, or its bytes; necessary unless it boots from its disk. */
  readonly kernel?: string | Uint8Array | undefined
  /** Path of the ramdisk, or its bytes. */
  readonly ramdisk?: string | Uint8Array | undefined
  /**
   * In place of kernel and ramdisk: what is to be booted of its first disk. What the disk has is found
   * as pygrub does; each start looks anew.
   */
  readonly bootloader?: BootloaderOptions | undefined
  /**
   * A System.map of the kernel, or an ELF file with its symbols: names for profilers, in place of
   * those in the image.
   */
  readonly symbols?: string | undefined
  /** The kernel's command line, or what goes behind that which the disk has. */
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
  readonly eventChannelAbi?: readonly EventAbiName[] | undefined
  /** Event channels it may have at most; 1023 if not given. */
  readonly maxEventChannels?: number | undefined
  /** Network interfaces: each an object, or the text of xl-network-configuration(5). */
  readonly vifs?: readonly (VifConfig | string)[]
  /** Path of a pcapng file for what passes the network interfaces. */
  readonly capture?: string
  /** Its disks: specifications in xl's syntax, as text or read already. */
  readonly disks?: readonly (string | DiskSpec)[]
  /** What to print on standard error as it happens. */
  readonly trace?: readonly TraceKind[]
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

/** A network interface as it is now. */
export interface NetworkInfo extends VifInfo {
  /** What the gateway gives to the guest by DHCP, if it has one. */
  readonly address: string | undefined
  readonly forwards: readonly PortForward[]
}

/** A frame that passed an interface, complete with checksums; large ones are not cut up. */
export interface Packet {
  readonly devid: number
  /** From the guest's point of view. */
  readonly direction: 'sent' | 'received'
  readonly bytes: Uint8Array
}

/** Takes what a capture writes, in the format pcapng. */
export interface CaptureSink {
  /** @param frames how many frames `bytes` has: 1, or 0 for what tells of interfaces */
  write(bytes: Uint8Array, frames: number): void
  /** There will be no more. */
  end(): void
}

export interface DomainNetworks {
  list(): readonly NetworkInfo[]
  /**
   * Plugs an interface in; its device number.
   * @throws UserError if it cannot be had
   */
  attach(vif: VifConfig | string): Promise<number>
  /**
   * Asks the guest to let go of an interface, and waits until it has.
   * @throws UserError if there is none of that number
   */
  detach(devid: number): Promise<void>
  /** Calls `listener` with each frame from now on; returns how to stop that. */
  listen(listener: (packet: Packet) => void): () => void
  /** Captures what passes all interfaces from now on; returns how to stop that. */
  capture(sink: CaptureSink): () => void
}

export interface DomainDisks {
  /** In the order in which they were attached. */
  list(): DiskInfo[]
  /**
   * Plugs a disk in while the domain runs; its device number.
   * @throws UserError when it cannot be opened, or its device name is taken
   */
  attach(disk: string | DiskSpec): number
  /**
   * Unplugs a disk: waits until the guest has given it back, or, with `force`, takes it.
   * @throws UserError when there is no such disk
   */
  detach(vdev: string, options?: { readonly force?: boolean }): Promise<void>
}

export interface Domain {
  readonly id: number
  readonly name: string
  readonly console: DomainConsole
  readonly disks: DomainDisks
  readonly networks: DomainNetworks
  /** Resolves when the guest stops; rejects with a Bug when the host fails. */
  readonly ended: Promise<DomainEnd>
  /** Calls `listener` with the phases reached so far, then with each new one. */
  onPhase(listener: PhaseListener): void
  /** Calls `listener` with what there was to remark so far, then with each new remark: a line. */
  onNotice(listener: (text: string) => void): void
  /** Stops the domain and frees what it holds; does nothing to one that has ended. */
  destroy(): void
  /** What the run has counted, by name: see docs/reference/statistics.md. */
  stats(): Record<string, number>
}

export interface Host {
  /** @throws UserError when an image cannot be read or is none, or memory does not suffice */
  createDomain(config: DomainConfig): Promise<Domain>
  /** Runs the domains in slices, from the event loop. */
  start(): void
  stop(): void
}
