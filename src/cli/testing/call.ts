// Calls the command as a test: arguments and a guest in, status and texts out.

import { EventEmitter } from 'node:events'
import { PassThrough } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { Bug } from '../../base/errors.ts'
import type { HostClient } from '../../node/host-process/client.ts'
import { runCommand } from '../command.ts'
import type { Context } from '../verb.ts'
import { VERBS } from '../verbs.ts'
import { FakeHost, type GuestBehaviour, POWEROFF } from './fake-host.ts'

/** A file that exists and can stand for an image. */
export const SOME_FILE = fileURLToPath(import.meta.url)

export interface CallOptions {
  readonly guest?: GuestBehaviour
  /** What comes from standard input, which then ends. */
  readonly stdin?: string
  /** Standard input, output and error are a terminal. */
  readonly terminal?: boolean
  readonly env?: Record<string, string>
  /** The host process that there is; none if not given. */
  readonly hostProcess?: HostClient
  /** Called with what the command sees, before it starts. */
  readonly meddle?: (world: World) => void
}

export interface World {
  readonly stdin: PassThrough
  readonly stdout: PassThrough
  readonly process: EventEmitter
  readonly host: FakeHost
  /** Every setting of the terminal's raw mode so far. */
  readonly rawModes: boolean[]
}

export interface CallResult extends World {
  readonly status: number
  readonly out: string
  readonly err: string
}

export async function call(argv: string[], options: CallOptions = {}): Promise<CallResult> {
  const rawModes: boolean[] = []
  const isTTY = options.terminal === true
  const stdin = Object.assign(new PassThrough(), {
    isTTY,
    setRawMode: (raw: boolean) => rawModes.push(raw),
  })
  const stdout = Object.assign(new PassThrough(), { isTTY })
  const stderr = Object.assign(new PassThrough(), { isTTY })
  const host = new FakeHost(options.guest ?? (async () => POWEROFF))
  const process = new EventEmitter()
  const world = { stdin, stdout, process, host, rawModes }
  let out = ''
  let err = ''
  stdout.on('data', (bytes: Buffer) => {
    out += bytes.toString()
  })
  stderr.on('data', (bytes: Buffer) => {
    err += bytes.toString()
  })
  if (options.stdin !== undefined) stdin.end(options.stdin)
  options.meddle?.(world)
  const context: Context = {
    verbs: VERBS,
    stdin,
    stdout,
    stderr,
    process,
    env: options.env ?? {},
    createHost: async (hostOptions) => {
      host.options = hostOptions
      return host
    },
    connectHost: async () => options.hostProcess,
    serveHost: () => Promise.reject(new Bug('no host is served here')),
    demoGuest: async () => ({ kernel: SOME_FILE, ramdisk: SOME_FILE }),
  }
  const status = await runCommand(argv, context)
  return { ...world, status, out, err }
}
