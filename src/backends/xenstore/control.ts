// The commands of CONTROL, as xenstore-control(8) sends them: looking at and setting the quotas, and
// checking the store. The replies are worded as those of xenstored 4.17, whose tools print them.
// Left out: its log, memory report and live update.

import type { MutableQuotas, Quotas } from './quotas.ts'
import type { Errno } from './wire.ts'

/** What the commands look at. */
export interface Controlled {
  readonly quotas: MutableQuotas
  /** What a domain uses of its quotas; undefined if it is not introduced. */
  usageOf(domid: number): DomainUsage | undefined
}

export interface DomainUsage {
  readonly nodes: number
  readonly watches: number
  readonly transactions: number
  readonly outstanding: number
  /** Bytes, see memory.ts. */
  readonly memory: number
}

/** A reply to print. */
export interface ControlReply {
  readonly text: string
}

type Named = readonly (readonly [name: string, key: keyof Quotas, description: string])[]

/** The quotas under the names of the command, in its order. */
const NAMED: Named = [
  ['nodes', 'nodes', 'Nodes per domain'],
  ['watches', 'watches', 'Watches per domain'],
  ['transactions', 'transactions', 'Transactions per domain'],
  ['outstanding', 'outstandingReplies', 'Outstanding requests per domain'],
  ['transaction-nodes', 'transactionNodes', 'Max. number of accessed nodes per transaction'],
  ['memory', 'memory', 'Total Xenstore memory per domain (error level)'],
  ['node-size', 'nodeSize', 'Max. size of a node'],
  ['path-max', 'pathLength', 'Max. length of a node path'],
  ['permissions', 'permissions', 'Max. number of permissions per node'],
]

/** The same of those that only warn. */
const SOFT: Named = [['memory', 'softMemory', 'Total Xenstore memory per domain (warning level)']]

const OK: ControlReply = { text: 'OK' }

type Command = (world: Controlled, parameters: readonly string[]) => ControlReply | Errno

const COMMANDS: Readonly<Record<string, readonly [parameters: string, command: Command]>> = {
  check: ['', (_world, parameters) => (parameters.length > 0 ? 'EINVAL' : OK)],
  quota: ['[set <name> <val>|<domid>]', quota],
  'quota-soft': ['[set <name> <val>]', softQuota],
  help: ['', (_world, parameters) => (parameters.length > 0 ? 'EINVAL' : { text: help() })],
}

/** Carries out a command; EINVAL for one that there is not. */
export function control(world: Controlled, words: readonly string[]): ControlReply | Errno {
  const [name = '', ...parameters] = words
  if (!Object.hasOwn(COMMANDS, name)) return 'EINVAL'
  return COMMANDS[name]?.[1](world, parameters) ?? 'EINVAL'
}

function help(): string {
  const lines = Object.entries(COMMANDS).map(([name, [parameters]]) => `${name}\t${parameters}\n`)
  return lines.join('')
}

function quota(world: Controlled, parameters: readonly string[]): ControlReply | Errno {
  const [first] = parameters
  if (first === undefined) return { text: settings(world.quotas, NAMED) }
  if (first === 'set') return set(world, parameters, NAMED)
  if (parameters.length !== 1 || !/^\d{1,5}$/.test(first)) return 'EINVAL'
  const usage = world.usageOf(Number(first))
  if (!usage) return 'ENOENT'
  const lines = Object.entries(usage).map(([what, count]) => line(what, 16, count))
  return { text: `Domain ${Number(first)}:\n${lines.join('')}` }
}

function softQuota(world: Controlled, parameters: readonly string[]): ControlReply | Errno {
  if (parameters.length === 0) return { text: settings(world.quotas, SOFT) }
  return parameters[0] === 'set' ? set(world, parameters, SOFT) : 'EINVAL'
}

function set(
  { quotas }: Controlled,
  [, name, value, ...more]: readonly string[],
  named: Named,
): ControlReply | Errno {
  const key = named.find(([known]) => known === name)?.[1]
  if (!key || value === undefined || more.length > 0 || !/^\d{1,9}$/.test(value)) return 'EINVAL'
  quotas[key] = Number(value)
  return OK
}

function settings(quotas: Quotas, named: Named): string {
  const lines = named.map(([name, key, what]) => line(name, 17, quotas[key], ` ${what}`))
  return `Quota settings:\n${lines.join('')}`
}

function line(name: string, width: number, value: number, more = ''): string {
  return `${name.padEnd(width)}: ${String(value).padStart(8)}${more}\n`
}
