// sysrq and trigger: what the keyboard and the buttons of a machine would do.

import { UsageError } from './arguments.ts'
import { didYouMean } from '../base/did-you-mean.ts'
import { domainVerb } from './domain-verb.ts'

const TRIGGERS = ['nmi', 'reset', 'init', 'power', 'sleep', 's3resume']

export const sysrq = domainVerb({
  name: 'sysrq',
  summary: 'send a magic system request to a domain',
  operands: 'domain-id letter',
  leastOperands: 2,
  mostOperands: 2,
  examples: [['xenolith sysrq web h', 'let the Linux in "web" list what it understands']],
  work: async (client, domain, { operands: [, key = ''] }) => client.call('sysrq', { domain, key }),
})

export const trigger = domainVerb({
  name: 'trigger',
  summary: 'send a trigger to a vCPU of a domain',
  operands: 'domain-id nmi [vcpu]',
  leastOperands: 2,
  mostOperands: 3,
  examples: [['xenolith trigger web nmi', 'a non-maskable interrupt for the first vCPU of "web"']],
  description: ['PVH guests have no power, sleep and reset buttons: only nmi is there.'],
  work: async (client, domain, { operands: [, what = '', vcpu = '0'] }) => {
    if (!TRIGGERS.includes(what)) {
      const near = didYouMean(what, TRIGGERS)
      throw new UsageError(
        `There is no trigger "${what}".`,
        near ? `Did you mean "${near}"?` : `They are ${TRIGGERS.join(', ')}.`,
        '"xenolith help trigger" tells more.',
      )
    }
    if (!/^\d{1,4}$/.test(vcpu)) {
      throw new UsageError(`"${vcpu}" is no vCPU.`, 'It is a number from 0 on.', 'Give one.')
    }
    return client.call('trigger', { domain, what, vcpu: Number(vcpu) })
  },
})
