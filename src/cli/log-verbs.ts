// dmesg and debug-keys: the host's message buffer, and what it can be asked to write there.

import { EXIT_OK } from './exit-status.ts'
import { HOST_OPTION, JSON_OPTION, runningHost } from './host-option.ts'
import type { Verb } from './verb.ts'

export const dmesg: Verb = {
  name: 'dmesg',
  summary: "print the host's message buffer",
  options: [
    { name: 'clear', short: 'c', summary: 'clear it, when it is printed' },
    JSON_OPTION,
    HOST_OPTION,
  ],
  examples: [['xenolith dmesg', 'what happened on the host']],
  async run(args, context) {
    const client = await runningHost(args, context)
    const lines = await client.call('dmesg', { isCleared: args.flag('clear') })
    const text = args.flag('json')
      ? `${JSON.stringify(lines)}\n`
      : lines.map((l) => `${l}\n`).join('')
    context.stdout.write(text)
    return EXIT_OK
  },
}

export const debugKeys: Verb = {
  name: 'debug-keys',
  summary: "write the hypervisor's state into its message buffer",
  operands: 'keys',
  leastOperands: 1,
  mostOperands: 1,
  options: [HOST_OPTION],
  examples: [
    ['xenolith debug-keys h', 'what each key does; "xenolith dmesg" prints it'],
    ['xenolith debug-keys qe', 'domains and event channels'],
  ],
  async run(args, context) {
    const client = await runningHost(args, context)
    await client.call('debug-keys', { keys: args.operands[0] ?? '' })
    return EXIT_OK
  },
}
