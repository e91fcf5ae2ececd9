// host: runs a host process, or stops one. Most people never call it: the first create starts one.

import { constants } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import { UserError } from '../base/errors.ts'
import { HostGoneError } from '../node/host-process/client.ts'
import { hostNames } from '../node/host-process/places.ts'
import type { TimeMode } from '../node/host-types.ts'
import { EXIT_OK, EXIT_SIGNAL } from './exit-status.ts'
import { HOST_OPTION, hostName, JSON_OPTION } from './host-option.ts'
import type { Context, Verb } from './verb.ts'

/** A host that takes longer to end is left to itself. */
const STOP_SECONDS = 10
const STOP_POLL_MS = 10
const SIGNALS: readonly NodeJS.Signals[] = ['SIGINT', 'SIGTERM', 'SIGHUP']

export const host: Verb = {
  name: 'host',
  summary: 'run a host process, which domains live in',
  options: [
    {
      name: 'name',
      value: 'NAME',
      summary: 'its name, for several hosts side by side',
      otherwise: 'default',
    },
    { name: 'stop', summary: 'stop it' },
    { name: 'force', summary: 'with --stop: destroy the domains that it has' },
    { name: 'list', summary: 'list the hosts of this user' },
    {
      name: 'time',
      value: 'MODE',
      choices: ['real', 'virtual'],
      summary: "guests' clocks: the wall clock, or a function of the instructions executed",
      otherwise: 'real',
    },
    {
      name: 'linger',
      value: 'SECONDS',
      kind: 'number',
      least: 1,
      most: 1_000_000,
      summary: 'end when there was no domain for so long',
      otherwise: 'run until stopped; a host that "create" has started ends after 600',
    },
    JSON_OPTION,
    HOST_OPTION,
  ],
  examples: [
    ['xenolith host', 'run the host in the foreground; Ctrl-C stops it'],
    ['xenolith host --stop', 'stop the host that the first create has started'],
    ['xenolith host --name lab &', 'a second host; its domains: xenolith list --host lab'],
  ],
  description: [
    'A host process has its Unix socket in a folder that only its user can enter ' +
      '($XDG_RUNTIME_DIR/xenolith, or $XENOLITH_RUNTIME_DIR). It speaks HTTP with JSON there.',
  ],
  async run(args, context) {
    if (args.flag('list')) return listHosts(context, args.flag('json'))
    if (args.flag('stop')) {
      await stop(context, args.text('name') ?? hostName(args, context), args.flag('force'))
      return EXIT_OK
    }
    const name = args.text('name') ?? hostName(args, context)
    const time = (args.text('time') ?? 'real') as TimeMode
    const linger = args.number('linger')
    return serve(context, name, time, linger === undefined ? undefined : linger * 1000)
  },
}

/** Stops a host process, waits until it has stopped, and says what that ended. */
async function stop(context: Context, name: string, isForced: boolean): Promise<void> {
  const client = await context.connectHost(name, false)
  if (!client) {
    throw new UserError(
      `The host "${name}" was not stopped.`,
      'It does not run.',
      '"xenolith host --list" shows those that do.',
    )
  }
  const { pid } = await client.call('host', {})
  const domains = await client.call('list', {})
  await client.call('stop', { isForced })
  const end = performance.now() + STOP_SECONDS * 1000
  while (performance.now() < end && (await context.connectHost(name, false))) {
    await sleep(STOP_POLL_MS)
  }
  const names = domains.map((domain) => domain.name)
  const ended = names.length === 0 ? 'it had no domains' : `destroyed ${names.join(', ')}`
  context.stderr.write(`host "${name}" (process ${pid}) has stopped; ${ended}\n`)
}

async function serve(
  context: Context,
  name: string,
  time: TimeMode,
  lingerMs: number | undefined,
): Promise<number> {
  const { env, stderr, process, tellReady } = context
  const served = await context.serveHost({ name, time, env, lingerMs })
  let status = EXIT_OK
  const onSignal = (signal: NodeJS.Signals) => {
    // The shell that this host was started from is gone: that is no reason to end a background one.
    if (signal === 'SIGHUP' && tellReady) return
    status = EXIT_SIGNAL + constants.signals[signal]
    void served.stop()
  }
  for (const signal of SIGNALS) process.on(signal, onSignal)
  stderr.write(`host "${name}" serves at ${served.socket}\n`)
  tellReady?.()
  try {
    await served.stopped
  } finally {
    for (const signal of SIGNALS) process.off(signal, onSignal)
    await served.stop()
  }
  stderr.write(`host "${name}" has stopped\n`)
  return status
}

async function listHosts(context: Context, isJson: boolean): Promise<number> {
  const infos = []
  for (const name of hostNames(context.env)) {
    const client = await context.connectHost(name, false)
    const info = await client?.call('host', {}).catch(ifGone)
    if (info) infos.push(info)
  }
  if (isJson) context.stdout.write(`${JSON.stringify(infos)}\n`)
  else {
    context.stdout.write('Name                                PID Domains  Uptime(s)\n')
    for (const { name, pid, domains, uptime } of infos) {
      const numbers = `${String(pid).padStart(7)} ${String(domains).padStart(7)}`
      context.stdout.write(`${name.padEnd(32)}${numbers} ${uptime.toFixed(0).padStart(10)}\n`)
    }
  }
  return EXIT_OK
}

/** A host that has ended since it was found is none. */
function ifGone(error: unknown): undefined {
  if (!(error instanceof HostGoneError)) throw error
}
