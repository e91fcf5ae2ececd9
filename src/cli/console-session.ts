// Attaches this terminal to a domain's console in a host process, until Ctrl-], the end of the
// domain, or a signal. A reboot does not end it: the console is that of the name.

import { constants } from 'node:os'
import type { HostClient } from '../node/host-process/client.ts'
import type { DomainInfo } from '../toolstack/domain-info.ts'
import { connectInput } from './console-input.ts'
import { EXIT_OK, EXIT_SIGNAL } from './exit-status.ts'
import type { Context } from './verb.ts'

const SIGNALS: readonly NodeJS.Signals[] = ['SIGINT', 'SIGTERM', 'SIGHUP']
/** The height of what is replayed where there is no terminal. */
const DEFAULT_ROWS = 24
const LINE_FEED = 10

type Outcome =
  | { readonly kind: 'detached' | 'gone' | 'closed' }
  | { readonly kind: 'signal'; readonly signal: NodeJS.Signals }

export interface ConsoleSession {
  /** Called when the console is attached. */
  readonly onAttached?: (() => Promise<void>) | undefined
  /** Tell the phases of the boot. */
  readonly hasPhases: boolean
  readonly isQuiet: boolean
}

/** @returns the exit status */
export async function attachConsole(
  client: HostClient,
  { id, name }: Pick<DomainInfo, 'id' | 'name'>,
  context: Context,
  options: ConsoleSession,
): Promise<number> {
  const { stdin, stdout, stderr } = context
  const isTerminal = stdin.isTTY === true
  let lineIsOpen = false
  const note = (text: string) => {
    if (options.isQuiet) return
    const fresh = lineIsOpen && stdout.isTTY && stderr.isTTY ? '\r\n' : ''
    lineIsOpen = false
    stderr.write(`${fresh}${name}: ${text}\n`)
  }
  const stop = new AbortController()
  const events = await client.events(stop.signal)
  const socket = await client.console(String(id), stdout.rows ?? DEFAULT_ROWS)
  const { promise, resolve } = Promise.withResolvers<Outcome>()
  const send = (bytes: Uint8Array) => void socket.write(bytes)
  if (isTerminal) {
    note(`attached to the console of ${name} (domain ${id}); leave with Ctrl-]`)
  }
  const disconnect = connectInput(context, { send }, () => resolve({ kind: 'detached' }))
  const onSignal = (signal: NodeJS.Signals) => resolve({ kind: 'signal', signal })
  for (const signal of SIGNALS) context.process.on(signal, onSignal)
  const onClosed = () => resolve({ kind: 'closed' })
  stdout.on('error', onClosed)
  socket.on('data', (bytes: Uint8Array) => {
    lineIsOpen = bytes.at(-1) !== LINE_FEED
    if (!stdout.write(bytes)) {
      socket.pause()
      stdout.once('drain', () => socket.resume())
    }
  })
  socket.on('error', () => resolve({ kind: 'gone' }))
  socket.on('close', () => resolve({ kind: 'gone' }))
  const following = follow(events, { id, name }, options.hasPhases, note)
  try {
    await options.onAttached?.()
    const outcome = await promise
    if (outcome.kind === 'gone') await following
    disconnect()
    if (stdout.isTTY && context.env['TERM'] !== 'dumb') stdout.write('\x1b[0m\x1b[?25h')
    if (outcome.kind === 'detached') {
      note(`detached; attach again with: xenolith console ${name}`)
    }
    if (outcome.kind === 'signal') return EXIT_SIGNAL + constants.signals[outcome.signal]
    return outcome.kind === 'closed' ? EXIT_SIGNAL + constants.signals.SIGPIPE : EXIT_OK
  } finally {
    disconnect()
    for (const signal of SIGNALS) context.process.off(signal, onSignal)
    stdout.off('error', onClosed)
    socket.destroy()
    stop.abort()
  }
}

/** Says what happens to the domain, until it is gone. */
async function follow(
  events: Awaited<ReturnType<HostClient['events']>>,
  followed: Pick<DomainInfo, 'id' | 'name'>,
  hasPhases: boolean,
  note: (text: string) => void,
): Promise<void> {
  let { id, name } = followed
  for await (const event of events) {
    // A domain that was started again has a new number, and one that was renamed a new name.
    if (event.event === 'restarted' && event.name === name) id = event.id
    if (event.id !== id) continue
    name = event.name
    if (
      event.event === 'phase' &&
      hasPhases &&
      (event.detail === 'kernel' || event.detail === 'init')
    ) {
      note(`${event.detail.padEnd(24)} ${((event.ms ?? 0) / 1000).toFixed(1)} s`)
    }
    if (event.event === 'shutdown') note(`ended (${event.detail})`)
    if (event.event === 'restarted') note(`started again as domain ${event.id}`)
    if (event.event === 'gone') return
  }
}
