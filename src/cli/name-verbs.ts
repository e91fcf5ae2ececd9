// domid and domname: a domain's number by its name, and the other way round.

import { UserError } from '../base/errors.ts'
import { domainVerb } from './domain-verb.ts'
import { JSON_OPTION } from './host-option.ts'

export const domid = domainVerb({
  name: 'domid',
  summary: 'print the number of a domain',
  operands: 'domain-name',
  options: [JSON_OPTION],
  examples: [['xenolith domid web', 'the number of "web"']],
  work: async (client, domain) => `${(await client.call('find', { domain })).id}\n`,
})

export const domname = domainVerb({
  name: 'domname',
  summary: 'print the name of a domain',
  options: [JSON_OPTION],
  examples: [['xenolith domname 3', 'the name of domain 3']],
  work: async (client, domain, args) => {
    if (!/^\d+$/.test(domain)) {
      throw new UserError(
        `"${domain}" is no number of a domain.`,
        'domname wants a number.',
        `The other way round: xenolith domid ${domain}`,
      )
    }
    const { name } = await client.call('find', { domain })
    return args.flag('json') ? `${JSON.stringify(name)}\n` : `${name}\n`
  },
})
