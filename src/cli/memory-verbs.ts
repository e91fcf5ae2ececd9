// mem-set and mem-max: how much memory a domain is to have, and may have.

import { type Arguments, UsageError } from './arguments.ts'
import { domainVerb } from './domain-verb.ts'

const OPERANDS = { operands: 'domain-id mem', leastOperands: 2, mostOperands: 2 }

const UNITS: Readonly<Record<string, number>> = {
  b: 1 / 1024,
  k: 1,
  m: 1024,
  g: 1024 ** 2,
  t: 1024 ** 3,
}

const UNITS_TOLD =
  'The number is in KiB, as with xl; b, k, m, g and t stand for bytes, KiB, MiB, GiB and TiB.'

export const memSet = domainVerb({
  name: 'mem-set',
  summary: "set the target of a domain's balloon driver",
  ...OPERANDS,
  examples: [['xenolith mem-set web 128m', 'let "web" give back what it has beyond 128 MiB']],
  description: [
    `${UNITS_TOLD} The guest's balloon driver gives memory back or takes it again up to maxmem of ` +
      'the guest file; without a driver nothing happens.',
  ],
  work: async (client, domain, args) => client.call('mem-set', { domain, kib: kibOf(args) }),
})

export const memMax = domainVerb({
  name: 'mem-max',
  summary: 'set how much memory the hypervisor lets a domain have',
  ...OPERANDS,
  examples: [['xenolith mem-max web 256m', 'let "web" never have more than 256 MiB']],
  description: [`${UNITS_TOLD} The guest does not hear of it.`],
  work: async (client, domain, args) => client.call('mem-max', { domain, kib: kibOf(args) }),
})

/** @throws UsageError */
function kibOf({ operands: [, text = ''] }: Arguments): number {
  const [, number, unit = 'k'] = /^(\d+)([bkmgt])?$/i.exec(text) ?? []
  const kib = Math.floor(Number(number) * (UNITS[unit.toLowerCase()] ?? 1))
  if (number !== undefined && Number.isSafeInteger(kib)) return kib
  throw new UsageError(
    `"${text}" is no amount of memory.`,
    'It is a number of KiB, or one with b, k, m, g or t behind it.',
    'Write, for example: 512m',
  )
}
