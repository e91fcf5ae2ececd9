// pcap: what passes a domain's network interfaces, for tshark and Wireshark.

import { once } from 'node:events'
import { captureFile } from '../node/capture.ts'
import { UsageError } from './arguments.ts'
import { EXIT_OK } from './exit-status.ts'
import { HOST_OPTION, runningHost } from './host-option.ts'
import type { Context, Verb } from './verb.ts'

export const pcap: Verb = {
  name: 'pcap',
  summary: "capture what passes a domain's network interfaces",
  operands: 'domain-id',
  leastOperands: 1,
  mostOperands: 1,
  options: [
    { name: 'write', short: 'w', value: 'FILE', summary: 'where to; standard output if not given' },
    {
      name: 'count',
      short: 'c',
      value: 'N',
      kind: 'integer',
      least: 1,
      summary: 'end after so many frames',
    },
    HOST_OPTION,
  ],
  examples: [
    ['xenolith pcap web -w web.pcapng', 'capture until Ctrl-C, or until "web" ends'],
    ['xenolith pcap web | tshark -r -', 'look at it as it passes'],
  ],
  description: [
    'The format is pcapng, with an interface for each of the guest. Frames that the guest has left ' +
      'to be cut up are there in one piece, checksums that it has left out are filled in. What is ' +
      'not read in time is left out.',
  ],
  async run(args, context) {
    const client = await runningHost(args, context)
    const file = args.text('write')
    if (file === undefined && context.stdout.isTTY) {
      throw new UsageError(
        'A capture is not for a terminal.',
        'It is binary.',
        'Give --write FILE, or a pipe: xenolith pcap web | tshark -r -',
      )
    }
    const domain = args.operands[0] ?? ''
    const stopped = new AbortController()
    const stop = () => stopped.abort()
    const { stdout } = context
    for (const signal of ['SIGINT', 'SIGTERM'] as const) context.process.on(signal, stop)
    stdout.on('error', stop)
    try {
      const frames = await client.capture(domain, args.number('count'), stopped.signal)
      const sink = file === undefined ? undefined : captureFile(file)
      try {
        for await (const bytes of frames) {
          if (sink) sink.write(bytes, 0)
          else await print(stdout, bytes)
        }
      } finally {
        sink?.end()
      }
    } catch (error) {
      if (!stopped.signal.aborted) throw error
    } finally {
      for (const signal of ['SIGINT', 'SIGTERM'] as const) context.process.off(signal, stop)
      stdout.off('error', stop)
    }
    return EXIT_OK
  },
}

/** Standard output, as fast as whoever reads it. */
async function print(stdout: Context['stdout'], bytes: Uint8Array): Promise<void> {
  if (!stdout.write(bytes)) await once(stdout, 'drain')
}
