// Verbs that list the devices of domains, in xl's columns.

import type { HostClient } from '../node/host-process/client.ts'
import { EXIT_OK } from './exit-status.ts'
import { HOST_OPTION, JSON_OPTION, runningHost } from './host-option.ts'
import type { Verb } from './verb.ts'

interface DeviceList<T> extends Pick<Verb, 'name' | 'summary' | 'examples' | 'description'> {
  /** The heading, without the end of the line. */
  readonly head: string
  readonly devices: (client: HostClient, domain: string) => Promise<readonly T[]>
  /** A line of the table, without its end. */
  readonly row: (device: T, domid: number) => string
}

export function deviceList<T>({ head, devices, row, ...rest }: DeviceList<T>): Verb {
  return {
    operands: 'domain-id [domain-id ...]',
    leastOperands: 1,
    mostOperands: Number.POSITIVE_INFINITY,
    options: [JSON_OPTION, HOST_OPTION],
    ...rest,
    async run(args, context) {
      const client = await runningHost(args, context)
      const { stdout } = context
      const found = []
      for (const domain of args.operands) {
        const { id, name } = await client.call('find', { domain })
        found.push({ id, name, devices: await devices(client, String(id)) })
      }
      if (args.flag('json')) {
        stdout.write(`${JSON.stringify(found)}\n`)
        return EXIT_OK
      }
      stdout.write(`${head}\n`)
      for (const { id, devices } of found) {
        for (const device of devices) stdout.write(`${row(device, id)}\n`)
      }
      return EXIT_OK
    },
  }
}

/** Columns of so many characters, to the left, with a blank between. */
export function columns(widths: readonly number[], values: readonly (string | number)[]): string {
  return values.map((value, i) => String(value).padEnd(widths[i] ?? 0)).join(' ')
}
