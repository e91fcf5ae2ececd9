// The host process that a verb talks to: the one that --host names.

import { UserError } from '../base/errors.ts'
import type { HostClient } from '../node/host-process/client.ts'
import type { DomainInfo } from '../toolstack/domain-info.ts'
import type { Arguments } from './arguments.ts'
import type { Context, OptionDefinition } from './verb.ts'

const DEFAULT_HOST = 'default'

export const HOST_OPTION: OptionDefinition = {
  name: 'host',
  value: 'NAME',
  summary: 'the host process to use',
  otherwise: 'the one that XENOLITH_HOST names, or "default"',
}

export const JSON_OPTION: OptionDefinition = { name: 'json', summary: 'print it as JSON' }

export function hostName(args: Arguments, { env }: Pick<Context, 'env'>): string {
  return args.text('host') ?? (env['XENOLITH_HOST'] || DEFAULT_HOST)
}

/** The host process, if it runs. */
export function hostIfAny(args: Arguments, context: Context): Promise<HostClient | undefined> {
  return context.connectHost(hostName(args, context), false)
}

/** The host process, started if need be. */
export async function startedHost(args: Arguments, context: Context): Promise<HostClient> {
  const client = await context.connectHost(hostName(args, context), true)
  if (client) return client
  throw noHost(hostName(args, context))
}

/**
 * The host process.
 * @throws UserError if it does not run: then there are no domains either
 */
export async function runningHost(args: Arguments, context: Context): Promise<HostClient> {
  const client = await hostIfAny(args, context)
  if (client) return client
  throw noHost(hostName(args, context))
}

function noHost(name: string): UserError {
  const why = name === DEFAULT_HOST ? 'No host process runs' : `No host process "${name}" runs`
  return new UserError(
    'There are no domains.',
    `${why}: the first "create" starts it.`,
    'Create one (xenolith create FILE), or name another host (--host NAME).',
  )
}

/** The domains that the operands name, or all; none if no host process runs. */
export async function chosenDomains(args: Arguments, context: Context): Promise<DomainInfo[]> {
  if (args.operands.length === 0) {
    const client = await hostIfAny(args, context)
    return client ? [...(await client.call('list', {}))] : []
  }
  const client = await runningHost(args, context)
  const found = []
  for (const domain of args.operands) found.push(await client.call('find', { domain }))
  return found
}
