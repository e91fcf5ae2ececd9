// bench: measures what this host does, in comparisons that have no counterpart elsewhere.

import { writeFile } from 'node:fs/promises'
import { UserError } from '../base/errors.ts'
import { UsageError } from './arguments.ts'
import { EXIT_OK } from './exit-status.ts'
import type { Verb } from './verb.ts'

const DEFAULT_ITERATIONS = 20_000
const MOST_CHANNELS = 2 ** 18 - 1
/** Virtual time starts here, as everywhere: 2026-01-01. */
const EPOCH_SECONDS = 1_767_225_600

export const bench: Verb = {
  name: 'bench',
  summary: 'measure: "events" compares the three event-channel ABIs',
  operands: 'events',
  mostOperands: 1,
  options: [
    {
      name: 'iterations',
      value: 'N',
      kind: 'integer',
      least: 1000,
      most: 10_000_000,
      summary: 'events that each run measures',
      otherwise: String(DEFAULT_ITERATIONS),
    },
    {
      name: 'most-channels',
      value: 'N',
      kind: 'integer',
      least: 64,
      most: MOST_CHANNELS,
      summary: 'leave out runs with more channels',
      otherwise: 'all that an ABI has',
    },
    { name: 'svg', value: 'FILE', summary: 'draw the charts in a file' },
    { name: 'json', summary: 'print the figures as JSON in place of tables and charts' },
  ],
  examples: [
    ['xenolith bench events', 'two-level, three-level and FIFO event channels side by side'],
    ['xenolith bench events --svg events.svg', 'the same, and a picture'],
  ],
  description: [
    'One guest program runs over each ABI, in virtual time: latencies, waits and work are counted ' +
      'in instructions of the guest and are the same in every run. Nanoseconds are those of this ' +
      'machine.',
  ],
  async run(args, { stdout, stderr }) {
    if (args.operands[0] !== 'events') {
      throw new UsageError(
        args.operands.length === 0 ? 'Nothing to measure.' : `No bench "${args.operands[0]}".`,
        'There is one: events.',
        'Say "xenolith bench events".',
      )
    }
    // Loaded here: no other verb of the command needs a processor.
    const [{ XenHost }, { measureEvents }, { textReport }, { svgReport }] = await Promise.all([
      import('../toolstack/xen-host.ts'),
      import('../toolstack/event-bench/measure.ts'),
      import('../toolstack/event-bench/text-report.ts'),
      import('../toolstack/event-bench/svg-report.ts'),
    ])
    const host = new XenHost({
      time: 'virtual',
      wallBase: { seconds: EPOCH_SECONDS, nanoseconds: 0 },
    })
    const report = await measureEvents(host, {
      iterations: args.number('iterations') ?? DEFAULT_ITERATIONS,
      mostChannels: args.number('most-channels') ?? MOST_CHANNELS,
      nowNs: () => Number(process.hrtime.bigint()),
      onProgress: (line) => stderr.write(`bench: ${line}\n`),
    })
    stdout.write(args.flag('json') ? `${JSON.stringify(report)}\n` : textReport(report))
    const svg = args.text('svg')
    if (svg !== undefined) await write(svg, svgReport(report))
    return EXIT_OK
  },
}

async function write(file: string, text: string): Promise<void> {
  try {
    await writeFile(file, text)
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause)
    throw new UserError(
      `Cannot write ${file}.`,
      `${why}.`,
      'Give --svg a file in a folder of yours.',
    )
  }
}
