// trace: what happens to a domain, as it happens: its hypercalls, events, exits, and processors.

import { once } from 'node:events'
import { TRACE_KINDS } from '../xen/trace.ts'
import { EXIT_OK } from './exit-status.ts'
import { HOST_OPTION, JSON_OPTION, runningHost } from './host-option.ts'
import { TRACE_NAMES, traceKinds } from './trace-kinds.ts'
import type { Verb } from './verb.ts'

const SIGNALS: readonly NodeJS.Signals[] = ['SIGINT', 'SIGTERM']

export const trace: Verb = {
  name: 'trace',
  summary: 'print what happens to a domain, as it happens',
  operands: 'domain-id',
  leastOperands: 1,
  mostOperands: 1,
  options: [
    {
      name: 'events',
      short: 'e',
      value: 'KIND,...',
      summary: TRACE_NAMES.join(', '),
      otherwise: 'all of them',
    },
    {
      name: 'count',
      short: 'c',
      value: 'N',
      kind: 'integer',
      least: 1,
      summary: 'end after so many lines',
    },
    JSON_OPTION,
    HOST_OPTION,
  ],
  examples: [
    ['xenolith trace web', 'all that happens to "web", until Ctrl-C, or until it ends'],
    ['xenolith trace web -e hypercalls -c 100', 'its next hundred hypercalls'],
    ['xenolith trace web -e exits --json', 'for a program'],
  ],
  description: [
    `The kinds: ${Object.entries(TRACE_KINDS)
      .map(([kind, what]) => `${kind} (${what})`)
      .join('; ')}.`,
    'A line is the time in seconds since the host started, domain and vCPU, and what happened. ' +
      'What is not read in time is left out, and it is said how much that was.',
  ],
  async run(args, context) {
    const client = await runningHost(args, context)
    const { stdout, process } = context
    const stopped = new AbortController()
    const stop = () => stopped.abort()
    for (const signal of SIGNALS) process.on(signal, stop)
    stdout.on('error', stop)
    const kinds = traceKinds(args.text('events')) ?? TRACE_NAMES
    const domain = args.operands[0] ?? ''
    let left = args.number('count') ?? Number.POSITIVE_INFINITY
    try {
      const stream = await client.trace(domain, kinds, args.flag('json'), stopped.signal)
      let rest = ''
      for await (const bytes of stream) {
        const lines = (rest + Buffer.from(bytes).toString()).split('\n')
        rest = lines.pop() ?? ''
        const shown = lines.slice(0, left)
        left -= shown.length
        if (shown.length > 0 && !stdout.write(`${shown.join('\n')}\n`)) await once(stdout, 'drain')
        if (left <= 0) break
      }
    } catch (error) {
      if (!stopped.signal.aborted) throw error
    } finally {
      for (const signal of SIGNALS) process.off(signal, stop)
      stdout.off('error', stop)
      stop()
    }
    return EXIT_OK
  },
}
