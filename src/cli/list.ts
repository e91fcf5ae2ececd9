// list: the domains of a host, in xl's columns.

import type { HostClient } from '../node/host-process/client.ts'
import type { HostInfo } from '../node/host-process/protocol.ts'
import { cpuSeconds, type DomainInfo, stateLetters } from '../toolstack/domain-info.ts'
import { EXIT_OK } from './exit-status.ts'
import { HOST_OPTION, hostIfAny, JSON_OPTION, runningHost } from './host-option.ts'
import { longForm } from './long-list.ts'
import type { Verb } from './verb.ts'

const HEAD = 'Name                                        ID   Mem VCPUs\tState\tTime(s)'
const VERBOSE_HEAD = '   UUID                            Reason-Code\tSecurity Label'
const POOL_HEAD = '         Cpupool'

export const list: Verb = {
  name: 'list',
  summary: 'list the domains',
  operands: '[domain-id ...]',
  mostOperands: Number.POSITIVE_INFINITY,
  options: [
    { name: 'long', short: 'l', summary: 'all that is known of them, as JSON in the form of xl' },
    { name: 'verbose', short: 'v', summary: 'also UUIDs and why they have shut down' },
    { name: 'cpupool', short: 'c', summary: 'also the pool of processors' },
    { name: 'names', summary: 'names only, without Domain-0, for scripts' },
    JSON_OPTION,
    HOST_OPTION,
  ],
  examples: [
    ['xenolith list', 'all domains'],
    ['xenolith list -l web', 'everything about "web"'],
  ],
  description: [
    'Name, number, memory in MiB, vCPUs on line, state, and seconds of processor time. The letters ' +
      'of the state: r runs or could, b waits, p is paused, s has shut down, c has crashed, d is ' +
      'dying. Domain-0 is the host process itself: its memory and time beside the guests.',
  ],
  async run(args, context) {
    const { operands } = args
    const client =
      operands.length > 0 ? await runningHost(args, context) : await hostIfAny(args, context)
    const isTable = !['names', 'json', 'long'].some((form) => args.flag(form))
    // Asked for together: a host that is busy with its guests takes its time for each answer.
    const [domains, host] = await Promise.all([
      client ? chosen(client, operands) : [],
      isTable && operands.length === 0 ? client?.call('host', {}) : undefined,
    ])
    const { stdout } = context
    if (args.flag('names')) stdout.write(domains.map(({ name }) => `${name}\n`).join(''))
    else if (args.flag('json')) stdout.write(`${JSON.stringify(domains)}\n`)
    else if (args.flag('long')) {
      const long = []
      for (const domain of domains) {
        long.push(
          longForm(
            domain,
            await (client as HostClient).call('file', { domain: String(domain.id) }),
          ),
        )
      }
      stdout.write(`${JSON.stringify(long, undefined, 4)}\n`)
    } else {
      const isVerbose = args.flag('verbose')
      const hasPool = args.flag('cpupool')
      stdout.write(`${HEAD}${isVerbose ? VERBOSE_HEAD : ''}${hasPool ? POOL_HEAD : ''}\n`)
      const tail = (verbose: string) =>
        `${isVerbose ? verbose : ''}${hasPool ? 'Pool-0'.padStart(16) : ''}\n`
      if (host) stdout.write(hostRow(host) + tail(verboseTail(NO_UUID, null)))
      for (const domain of domains) {
        stdout.write(row(domain) + tail(verboseTail(domain.uuid, domain.shutdownReason)))
      }
    }
    return EXIT_OK
  },
}

const NO_UUID = '00000000-0000-0000-0000-000000000000'

async function chosen(client: HostClient, names: readonly string[]): Promise<DomainInfo[]> {
  if (names.length === 0) return [...(await client.call('list', {}))]
  const found = []
  for (const domain of names) found.push(await client.call('find', { domain }))
  return found
}

function row(info: DomainInfo): string {
  const online = info.vcpus.filter(({ isOnline }) => isOnline).length
  const memory = Math.round(info.memoryKiB / 1024)
  return columns(info.name, info.id, memory, online, stateLetters(info), cpuSeconds(info))
}

function hostRow({ ownMemoryKiB, ownSeconds }: HostInfo): string {
  return columns('Domain-0', 0, Math.round(ownMemoryKiB / 1024), 1, 'r-----', ownSeconds)
}

function columns(
  name: string,
  id: number,
  memoryMiB: number,
  vcpus: number,
  state: string,
  seconds: number,
): string {
  const numbers = [id, memoryMiB, vcpus].map((value) => String(value).padStart(5)).join(' ')
  return `${name.padEnd(40)} ${numbers}     ${state}  ${seconds.toFixed(1).padStart(8)}`
}

function verboseTail(uuid: string, shutdownReason: number | null): string {
  const reason = shutdownReason === null ? '-' : shutdownReason.toString(16)
  return ` ${uuid} ${reason.padStart(8)} ${'-'.padStart(16)}`
}
