// console: attaches to a domain's console, which remembers what it has shown.

import { UserError } from '../base/errors.ts'
import { attachConsole } from './console-session.ts'
import { EXIT_OK } from './exit-status.ts'
import { HOST_OPTION, JSON_OPTION, runningHost } from './host-option.ts'
import type { Verb } from './verb.ts'

export const console: Verb = {
  name: 'console',
  summary: "attach to a domain's console",
  operands: 'domain-id',
  leastOperands: 1,
  mostOperands: 1,
  options: [
    {
      name: 'type',
      short: 't',
      value: 'TYPE',
      choices: ['pv'],
      summary: 'kind of console; PVH guests have one of kind pv',
    },
    {
      name: 'number',
      short: 'n',
      value: 'NUM',
      kind: 'integer',
      most: 0,
      summary: 'which console',
    },
    {
      name: 'history',
      summary: 'print all that is kept since boot, and end; also of a domain that is gone',
    },
    JSON_OPTION,
    HOST_OPTION,
  ],
  examples: [
    ['xenolith console web', 'the console of "web"; leave with Ctrl-]'],
    ['xenolith console web --history', 'what it has shown since boot'],
  ],
  description: [
    'Begins with what was on the screen last. On a terminal every key goes to the guest, but ' +
      'Ctrl-], which leaves the console; the domain goes on. Otherwise standard input is typed ' +
      'into it. A reboot does not end it.',
  ],
  async run(args, context) {
    const client = await runningHost(args, context)
    const domain = args.operands[0] ?? ''
    if (args.flag('history') || args.flag('json')) {
      const record = await client.call('console-text', { domain })
      const { text } = record
      if (args.flag('json')) context.stdout.write(`${JSON.stringify(record)}\n`)
      else context.stdout.write(text === '' || text.endsWith('\n') ? text : `${text}\n`)
      return EXIT_OK
    }
    const info = await client.call('find', { domain }).catch(async (error: unknown) => {
      const record = await client.call('console-text', { domain }).catch(() => undefined)
      if (!record || !(error instanceof UserError)) throw error
      throw new UserError(
        `Domain ${record.name} is gone (${record.end}).`,
        'Nobody is there to type to.',
        `What it showed is kept: xenolith console ${record.name} --history`,
      )
    })
    return attachConsole(client, info, context, { hasPhases: false, isQuiet: false })
  },
}
