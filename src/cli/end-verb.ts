// shutdown and reboot: ask guests to end by themselves, and wait for it if wanted.

import { UsageError } from './arguments.ts'
import { EXIT_OK } from './exit-status.ts'
import { HOST_OPTION, runningHost } from './host-option.ts'
import type { Verb } from './verb.ts'
import { beginWait } from './wait.ts'

const TEXTS = {
  poweroff: { name: 'shutdown', summary: 'ask a domain to shut down', doing: 'Shutting down' },
  reboot: { name: 'reboot', summary: 'ask a domain to reboot', doing: 'Rebooting' },
} as const

export function endVerb(request: 'poweroff' | 'reboot'): Verb {
  const { name, summary, doing } = TEXTS[request]
  return {
    name,
    summary,
    operands: '-a|domain-id',
    mostOperands: 1,
    options: [
      { name: 'all', short: 'a', summary: 'all domains' },
      {
        name: 'wait',
        short: 'w',
        repeated: true,
        summary: 'wait until it has shut down or is gone; given twice, until it is gone',
      },
      HOST_OPTION,
    ],
    examples: [
      [
        `xenolith ${name} web`,
        `ask the domain "web" to ${name === 'reboot' ? 'reboot' : 'shut down'}`,
      ],
      [`xenolith ${name} -a -w`, 'ask all, and wait for the last one'],
    ],
    description: [
      'Returns when the guest was asked. What it does is up to its system, and what becomes of the ' +
        `domain then to on_${request} of its guest file.`,
    ],
    async run(args, context) {
      const [one] = args.operands
      const isAll = args.flag('all')
      if ((one === undefined) === !isAll) {
        throw new UsageError(
          `"${name}" needs a domain or -a.`,
          isAll ? 'It was given both.' : 'It was given neither.',
          `Name a domain (xenolith ${name} web), or give -a for all.`,
        )
      }
      const client = await runningHost(args, context)
      const waits = args.count('wait')
      const wait = waits > 0 ? await beginWait(client, waits > 1 ? 'gone' : 'shutdown') : undefined
      const all = isAll ? await client.call('list', {}) : []
      const names = one === undefined ? all.map(({ id }) => String(id)) : [one]
      const asked = []
      for (const domain of names) {
        const info = await client.call('shutdown', { domain, request })
        context.stderr.write(`${doing} domain ${info.id}\n`)
        asked.push(info)
      }
      await wait?.for(asked)
      return EXIT_OK
    },
  }
}
