// What a verb is: one definition, from which parsing, help, did-you-mean, the reference and shell
// completion derive.

import type { Readable, Writable } from 'node:stream'
import type { GuestFiles } from '../node/debian-guests.ts'
import type { HostClient } from '../node/host-process/client.ts'
import type { ServedHost, ServeOptions } from '../node/host-process/serve.ts'
import type { Host, HostOptions } from '../node/host-types.ts'
import type { Arguments } from './arguments.ts'

export interface OptionDefinition {
  /** Without the dashes. */
  readonly name: string
  /** One letter, without the dash. */
  readonly short?: string
  /** What the help calls the value, such as `FILE`; an option without one is a flag. */
  readonly value?: string
  readonly kind?: 'text' | 'integer' | 'number'
  /** Bounds of a number, both allowed. */
  readonly least?: number
  readonly most?: number
  readonly choices?: readonly string[]
  readonly required?: boolean
  /** May be given several times; otherwise the last one holds. */
  readonly repeated?: boolean
  readonly summary: string
  /** The default, as the help tells it. */
  readonly otherwise?: string
}

export interface Verb {
  readonly name: string
  /** One line without a full stop. */
  readonly summary: string
  /** What follows the verb on the command line, apart from options. */
  readonly operands?: string
  /** How many operands have to be given, and how many may. */
  readonly leastOperands?: number
  readonly mostOperands?: number
  readonly options: readonly OptionDefinition[]
  /** Command lines that can be pasted, each with what it does. */
  readonly examples: readonly (readonly [command: string, what: string])[]
  /** Paragraphs of the long help. */
  readonly description?: readonly string[]
  /** Whether the help shows the table of exit statuses. */
  readonly hasExitStatuses?: boolean
  /** Does it; the exit status. */
  run(args: Arguments, context: Context): Promise<number>
}

/** Standard input: a stream, and a terminal's switch. */
export interface Input extends Readable {
  readonly isTTY?: boolean
  setRawMode?(raw: boolean): unknown
}

export interface Output extends Writable {
  readonly isTTY?: boolean
  /** The size of a terminal. */
  readonly rows?: number
  readonly columns?: number
}

/** The process's signals, and its end. */
export interface ProcessEvents {
  on(event: NodeJS.Signals | 'exit', listener: (signal: NodeJS.Signals) => void): unknown
  off(event: NodeJS.Signals | 'exit', listener: (signal: NodeJS.Signals) => void): unknown
}

/** All that a verb may use of the world outside; a test hands in its own. */
export interface Context {
  readonly verbs: readonly Verb[]
  readonly stdin: Input
  readonly stdout: Output
  readonly stderr: Output
  readonly env: Readonly<Record<string, string | undefined>>
  readonly process: ProcessEvents
  createHost(options: HostOptions): Promise<Host>
  /** The host process of a name; started if there is none and it is wanted. */
  connectHost(name: string, isStarted: boolean): Promise<HostClient | undefined>
  /** Becomes a host process. */
  serveHost(options: ServeOptions): Promise<ServedHost>
  /** This process is a host process that a `create` has started: tells it that it serves. */
  readonly tellReady?: (() => void) | undefined
  /** Fetches or finds the demo guest; tells in one line each what takes time. */
  demoGuest(say: (line: string) => void): Promise<GuestFiles>
}
