// What a host process can be asked, as types: the names of the operations, what they take and what
// they answer. All of it is JSON. An operation is POST /v1/NAME; the answer is lines of JSON, any
// number with `progress` and a last one with `result` or `error`.

import type { DiskInfo } from '../../toolstack/device-info.ts'
import type { DiskSpec } from '../../toolstack/disk-spec.ts'
import type { DomainInfo } from '../../toolstack/domain-info.ts'
import type { GuestFile } from '../../toolstack/guest-file/guest-file.ts'
import type { VifConfig } from '../../toolstack/vif-config.ts'
import type { ConsoleRecord, DomainEvent } from '../domains/domain-table.ts'
import type { NetworkInfo, TimeMode } from '../host-types.ts'

/** Bumped when something changes that an older client or host would not understand. */
export const PROTOCOL_VERSION = 1

/** What `info` shows of a host. */
export interface HostInfo {
  readonly name: string
  readonly pid: number
  readonly version: string
  readonly protocol: number
  readonly time: TimeMode
  /** The socket of xenstore: what XENSTORED_PATH is for Xen's own tools. */
  readonly xenstore: string
  /** Seconds since it started. */
  readonly uptime: number
  readonly totalMemoryKiB: number
  readonly freeMemoryKiB: number
  /** Memory that the host process itself has, beside the guests'. */
  readonly ownMemoryKiB: number
  /** Seconds of processor time of the host process that went to no guest. */
  readonly ownSeconds: number
  readonly domains: number
  readonly machine: string
  readonly system: string
}

/** A phase of a domain's making, told while it goes on. */
export interface Progress {
  readonly phase: string
  readonly ms: number
  readonly detail: string
}

type Nothing = Readonly<Record<string, never>>

interface OneDomain {
  /** A number or a name. */
  readonly domain: string
}

/** By operation: what it takes, and what it answers. */
export interface Operations {
  readonly host: readonly [Nothing, HostInfo]
  readonly stop: readonly [{ readonly isForced: boolean }, null]
  readonly list: readonly [Nothing, readonly DomainInfo[]]
  readonly find: readonly [OneDomain, DomainInfo]
  readonly file: readonly [OneDomain, GuestFile]
  readonly create: readonly [{ readonly guest: GuestFile; readonly isPaused: boolean }, DomainInfo]
  readonly 'config-update': readonly [OneDomain & { readonly guest: GuestFile }, null]
  readonly destroy: readonly [OneDomain, DomainInfo]
  readonly shutdown: readonly [OneDomain & { readonly request: 'poweroff' | 'reboot' }, DomainInfo]
  readonly pause: readonly [OneDomain, null]
  readonly unpause: readonly [OneDomain, null]
  readonly rename: readonly [OneDomain & { readonly name: string }, null]
  readonly 'mem-set': readonly [OneDomain & { readonly kib: number }, null]
  readonly 'mem-max': readonly [OneDomain & { readonly kib: number }, null]
  readonly 'vcpu-set': readonly [OneDomain & { readonly count: number }, null]
  readonly credit: readonly [
    OneDomain & { readonly weight?: number | undefined; readonly cap?: number | undefined },
    null,
  ]
  readonly sysrq: readonly [OneDomain & { readonly key: string }, null]
  readonly trigger: readonly [OneDomain & { readonly what: string; readonly vcpu: number }, null]
  readonly 'debug-keys': readonly [{ readonly keys: string }, null]
  readonly dmesg: readonly [{ readonly isCleared: boolean }, readonly string[]]
  readonly 'block-list': readonly [OneDomain, readonly DiskInfo[]]
  readonly 'block-attach': readonly [OneDomain & { readonly disk: DiskSpec }, null]
  readonly 'block-detach': readonly [
    OneDomain & { readonly vdev: string; readonly isForced: boolean },
    null,
  ]
  readonly 'network-list': readonly [OneDomain, readonly NetworkInfo[]]
  readonly 'network-attach': readonly [OneDomain & { readonly vif: VifConfig }, null]
  /** `device` is the number or the Ethernet address. */
  readonly 'network-detach': readonly [OneDomain & { readonly device: string }, null]
  /** What the console has shown since boot, also of a domain that is gone. */
  readonly 'console-text': readonly [OneDomain, ConsoleRecord]
}

export type OperationName = keyof Operations
export type Parameters<K extends OperationName> = Operations[K][0]
export type Answer<K extends OperationName> = Operations[K][1]

/** An error as it goes over the socket. */
export interface SentError {
  /** `usage` and `user` are for the user to mend, `bug` is ours. */
  readonly kind: 'user' | 'bug'
  readonly what: string
  readonly why: string
  readonly remedy: string
}

/** A line of an answer. */
export type AnswerLine =
  | { readonly progress: Progress }
  | { readonly result: unknown }
  | { readonly error: SentError }

/** The type of what GET /v1/capture answers: pcapng, of all interfaces of a domain. */
export const CAPTURE_TYPE = 'application/x-pcapng'

/** The type of what GET /v1/trace answers: a record of a domain a line, as text or as JSON. */
export const TRACE_TYPE = 'text/plain; charset=utf-8'

/** A line of GET /v1/events. */
export type EventLine = DomainEvent

/** What follows 101 on GET /v1/console is the console itself, byte for byte in both directions. */
export const CONSOLE_PROTOCOL = 'xenolith-console'
