// The verbs that end, pause and rename domains: each asks the host process one thing.

import { domainVerb } from './domain-verb.ts'
import { endVerb } from './end-verb.ts'

export const destroy = domainVerb({
  name: 'destroy',
  summary: 'end a domain at once, as if its power cord was pulled',
  options: [{ name: 'force', short: 'f', summary: 'for xl, which needs it for domain 0' }],
  examples: [['xenolith destroy web', 'end the domain "web"; "shutdown" is the gentle way']],
  work: async (client, domain) => {
    await client.call('destroy', { domain })
  },
})

export const shutdown = endVerb('poweroff')
export const reboot = endVerb('reboot')

export const pause = domainVerb({
  name: 'pause',
  summary: 'pause a domain: it keeps what it has, but does not run',
  examples: [['xenolith pause web', 'let "web" stand still']],
  work: async (client, domain) => client.call('pause', { domain }),
})

export const unpause = domainVerb({
  name: 'unpause',
  summary: 'let a paused domain run again',
  examples: [['xenolith unpause web', 'let "web" go on']],
  work: async (client, domain) => client.call('unpause', { domain }),
})

export const rename = domainVerb({
  name: 'rename',
  summary: 'give a domain another name',
  operands: 'domain-id new-name',
  leastOperands: 2,
  mostOperands: 2,
  examples: [['xenolith rename web shop', 'call the domain "web" from now on "shop"']],
  work: async (client, domain, { operands: [, name = ''] }) =>
    client.call('rename', { domain, name }),
})
