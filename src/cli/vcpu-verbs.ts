// vcpu-list and vcpu-set: a domain's virtual processors.

import { UserError } from '../base/errors.ts'
import type { DomainInfo } from '../toolstack/domain-info.ts'
import { UsageError } from './arguments.ts'
import { domainVerb } from './domain-verb.ts'
import { EXIT_OK } from './exit-status.ts'
import { chosenDomains, HOST_OPTION, JSON_OPTION } from './host-option.ts'
import type { Verb } from './verb.ts'

export const vcpuList: Verb = {
  name: 'vcpu-list',
  summary: 'list the vCPUs of domains',
  operands: '[domain-id ...]',
  mostOperands: Number.POSITIVE_INFINITY,
  options: [JSON_OPTION, HOST_OPTION],
  examples: [['xenolith vcpu-list web', 'the vCPUs of "web" and how long each has run']],
  async run(args, context) {
    const domains = await chosenDomains(args, context)
    const { stdout } = context
    if (args.flag('json')) {
      stdout.write(
        `${JSON.stringify(domains.map(({ id, name, vcpus }) => ({ id, name, vcpus })))}\n`,
      )
      return EXIT_OK
    }
    const head = ['ID', 'VCPU', 'CPU', 'State'].map((word) => word.padStart(5)).join(' ')
    stdout.write(`${'Name'.padEnd(32)} ${head} ${'Time(s)'.padStart(9)} Affinity (Hard / Soft)\n`)
    for (const domain of domains) stdout.write(rows(domain))
    return EXIT_OK
  },
}

function rows(info: DomainInfo): string {
  const isStopped = info.isPaused || info.shutdownReason !== null
  return info.vcpus
    .map(({ id, isOnline, isBlocked, seconds }) => {
      const start = `${info.name.padEnd(32)} ${number(info.id)} ${number(id)}`
      const isRunning = !isBlocked && !isStopped
      const state = isOnline
        ? `${number(0)}   ${isRunning ? 'r' : '-'}${isBlocked ? 'b' : '-'}- `
        : '    -   --p '
      return `${start} ${state} ${seconds.toFixed(1).padStart(8)}  all / all\n`
    })
    .join('')
}

function number(value: number): string {
  return String(value).padStart(5)
}

export const vcpuPin = domainVerb({
  name: 'vcpu-pin',
  summary: 'say on which processors vCPUs may run: the host has one',
  operands: 'domain-id vcpu hard [soft]',
  leastOperands: 3,
  mostOperands: 4,
  options: [{ name: 'force', short: 'f', summary: 'for xl, where a guest may have pinned itself' }],
  examples: [['xenolith vcpu-pin web all 0', 'as it is anyway']],
  description: [
    'There is one processor, 0, on which all vCPUs run. Masks that allow it ("all", "-", "0", or ' +
      'a range with 0 in it) are taken and change nothing; others are refused.',
  ],
  work: async (client, domain, { operands: [, vcpu = '', ...masks] }) => {
    const { vcpus, name } = await client.call('find', { domain })
    if (vcpu !== 'all' && !vcpus.some(({ id }) => String(id) === vcpu)) {
      throw new UserError(
        `${name} has no vCPU ${vcpu}.`,
        `It has ${vcpus.length}, counted from 0.`,
        'Give one of them, or "all".',
      )
    }
    const impossible = masks.find((mask) => !allowsFirst(mask))
    if (impossible === undefined) return undefined
    throw new UserError(
      `${name} cannot be pinned to ${impossible}.`,
      'The host has one processor, 0, on which all vCPUs run.',
      'Give a mask that has it, such as "all". Shares are for sched-credit2 to say.',
    )
  },
})

/** Whether a list of processors as xl reads it (`2,4-6,^5`) has processor 0, or leaves all be. */
function allowsFirst(mask: string): boolean {
  if (mask === 'all' || mask === '-') return true
  const parts = mask.split(',').map((part) => /^(\^?)(\d+)(?:-(\d+))?$/.exec(part))
  const isList = parts.every((part) => part !== null)
  const has = (isOut: boolean) =>
    parts.some((part) => (part?.[1] === '^') === isOut && Number(part?.[2]) === 0)
  return isList && has(false) && !has(true)
}

export const vcpuSet = domainVerb({
  name: 'vcpu-set',
  summary: 'say how many vCPUs a domain is to have on line',
  operands: 'domain-id vcpu-count',
  leastOperands: 2,
  mostOperands: 2,
  options: [
    {
      name: 'ignore-host',
      short: 'i',
      summary: 'for xl, which compares with the processors it has',
    },
  ],
  examples: [['xenolith vcpu-set web 2', 'let "web" use two of its vCPUs']],
  description: [
    'Up to maxvcpus of the guest file; the guest takes the last ones off line first, if it can.',
  ],
  work: async (client, domain, { operands: [, text = ''] }) => {
    if (/^\d+$/.test(text)) return client.call('vcpu-set', { domain, count: Number(text) })
    throw new UsageError(`"${text}" is no number of vCPUs.`, 'It is a whole number.', 'Give one.')
  },
})
