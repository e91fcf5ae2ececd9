// sched-credit2: weights and caps of domains.

import { UsageError } from './arguments.ts'
import { EXIT_OK } from './exit-status.ts'
import { HOST_OPTION, hostIfAny, JSON_OPTION, runningHost } from './host-option.ts'
import type { Verb } from './verb.ts'

export const schedCredit2: Verb = {
  name: 'sched-credit2',
  summary: 'show or set how much of the processor domains may take',
  options: [
    { name: 'domain', short: 'd', value: 'DOMAIN', summary: 'the domain to show or change' },
    {
      name: 'weight',
      short: 'w',
      value: 'WEIGHT',
      kind: 'integer',
      least: 1,
      most: 65535,
      summary: 'its weight: twice as much gets twice the time; 256 at first',
    },
    {
      name: 'cap',
      short: 'c',
      value: 'CAP',
      kind: 'integer',
      most: 65535,
      summary: 'per cent of one processor that it may take; 0 for no cap',
    },
    JSON_OPTION,
    HOST_OPTION,
  ],
  examples: [
    ['xenolith sched-credit2', 'all domains'],
    ['xenolith sched-credit2 -d web -w 512', 'let "web" have twice the time of others'],
    ['xenolith sched-credit2 -d web -c 25', 'let "web" have a quarter of a processor at most'],
  ],
  description: [
    'A weight counts when domains want more together than there is, and is shared by all vCPUs of ' +
      'the domain. In virtual time each vCPU has a processor of its own: weights do nothing there, ' +
      'caps do.',
  ],
  async run(args, context) {
    const [domain, weight, cap] = [args.text('domain'), args.number('weight'), args.number('cap')]
    const isSetting = weight !== undefined || cap !== undefined
    if (isSetting) {
      if (domain === undefined) {
        throw new UsageError(
          'Nothing says whose weight or cap is to be set.',
          'There is no -d.',
          'Give the domain: xenolith sched-credit2 -d web -w 512',
        )
      }
      const client = await runningHost(args, context)
      await client.call('credit', { domain, weight, cap })
      return EXIT_OK
    }
    const client =
      domain === undefined ? await hostIfAny(args, context) : await runningHost(args, context)
    const domains =
      domain === undefined
        ? ((await client?.call('list', {})) ?? [])
        : [await (client ?? (await runningHost(args, context))).call('find', { domain })]
    const { stdout } = context
    if (args.flag('json')) {
      const plain = domains.map(({ id, name, weight, cap }) => ({ id, name, weight, cap }))
      stdout.write(`${JSON.stringify(plain)}\n`)
      return EXIT_OK
    }
    if (domain === undefined) stdout.write('Cpupool Pool-0:\n')
    stdout.write(row('Name', 'ID', 'Weight', 'Cap'))
    for (const { name, id, weight, cap } of domains) stdout.write(row(name, id, weight, cap))
    return EXIT_OK
  },
}

function row(name: string, id: string | number, weight: string | number, cap: string | number) {
  const [i, w, c] = [String(id).padStart(4), String(weight).padStart(6), String(cap).padStart(4)]
  return `${name.padEnd(33)} ${i} ${w} ${c}\n`
}
