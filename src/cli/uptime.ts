// uptime: since when domains run.

import { EXIT_OK } from './exit-status.ts'
import { chosenDomains, HOST_OPTION, hostIfAny, JSON_OPTION } from './host-option.ts'
import type { Verb } from './verb.ts'

interface Row {
  readonly name: string
  readonly id: number
  readonly uptime: number
}

export const uptime: Verb = {
  name: 'uptime',
  summary: 'print for how long domains have run',
  operands: '[domain-id ...]',
  mostOperands: Number.POSITIVE_INFINITY,
  options: [
    { name: 'short', short: 's', summary: 'one line each, without a heading' },
    JSON_OPTION,
    HOST_OPTION,
  ],
  examples: [['xenolith uptime', 'the host and all domains']],
  async run(args, context) {
    const rows: Row[] = []
    if (args.operands.length === 0) {
      const host = await (await hostIfAny(args, context))?.call('host', {})
      if (host) rows.push({ name: 'Domain-0', id: 0, uptime: host.uptime })
    }
    rows.push(...(await chosenDomains(args, context)))
    const { stdout } = context
    if (args.flag('json')) {
      stdout.write(
        `${JSON.stringify(rows.map(({ name, id, uptime }) => ({ name, id, uptime })))}\n`,
      )
    } else if (args.flag('short')) {
      const now = new Date().toTimeString().slice(0, 8)
      for (const { name, id, uptime } of rows) {
        stdout.write(` ${now} up ${duration(uptime).trim()}, ${name} (${id})\n`)
      }
    } else {
      stdout.write(`${'Name'.padEnd(33)} ${'ID'.padStart(4)} Uptime\n`)
      for (const { name, id, uptime } of rows) {
        stdout.write(`${name.padEnd(33)} ${String(id).padStart(4)} ${duration(uptime)}\n`)
      }
    }
    return EXIT_OK
  },
}

/** As xl writes it: `2 days,  3:04:05`, or ` 3:04:05` within a day. */
export function duration(seconds: number): string {
  const whole = Math.floor(seconds)
  const days = Math.floor(whole / 86_400)
  const two = (value: number) => String(value).padStart(2, '0')
  const hours = String(Math.floor(whole / 3600) % 24).padStart(2)
  const time = `${hours}:${two(Math.floor(whole / 60) % 60)}:${two(whole % 60)}`
  return days === 0 ? time : `${days} day${days === 1 ? '' : 's'}, ${time}`
}
