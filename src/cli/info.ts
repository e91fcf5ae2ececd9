// info: what the host is, as name : value.

import { didYouMean } from '../base/did-you-mean.ts'
import { UserError } from '../base/errors.ts'
import type { HostInfo } from '../node/host-process/protocol.ts'
import { TSC_KHZ } from '../toolstack/guest-limits.ts'
import { XEN_EXTRAVERSION, XEN_VERSION } from '../xen/version.ts'
import { EXIT_OK } from './exit-status.ts'
import { HOST_OPTION, JSON_OPTION, runningHost } from './host-option.ts'
import type { Verb } from './verb.ts'

export const info: Verb = {
  name: 'info',
  summary: 'print what the host is and has',
  operands: '[field]',
  mostOperands: 1,
  options: [JSON_OPTION, HOST_OPTION],
  examples: [
    ['xenolith info', 'the host: version, memory, scheduler'],
    [
      'XENSTORED_PATH=$(xenolith info xenstored_path) xenstore-ls -f',
      "what xenstore holds, shown by Xen's own tool",
    ],
  ],
  async run(args, context) {
    const client = await runningHost(args, context)
    const host = await client.call('host', {})
    if (args.flag('json')) context.stdout.write(`${JSON.stringify(host)}\n`)
    else if (args.operands[0] !== undefined) {
      context.stdout.write(`${fieldNamed(args.operands[0], host)}\n`)
    } else {
      for (const [name, value] of fields(host)) {
        context.stdout.write(`${name.padEnd(23)}: ${value}\n`)
      }
    }
    return EXIT_OK
  },
}

/** The value of one field. @throws UserError if there is none of that name */
function fieldNamed(name: string, host: HostInfo): string | number {
  const all = fields(host)
  const found = all.find(([known]) => known === name)
  if (found) return found[1]
  const meant = didYouMean(
    name,
    all.map(([known]) => known),
  )
  throw new UserError(
    `There is no "${name}" among what info prints.`,
    meant === undefined ? 'No name is like it.' : `Did you mean "${meant}"?`,
    '"xenolith info" prints all of it.',
  )
}

function fields(host: HostInfo): (readonly [string, string | number])[] {
  const mib = (kib: number) => Math.floor(kib / 1024)
  return [
    ['host', host.machine],
    ['release', host.version],
    ['version', `Xenolith ${host.version}, host process "${host.name}", pid ${host.pid}`],
    ['machine', 'x86_64'],
    ['system', host.system],
    ['nr_cpus', 1],
    ['max_cpu_id', 0],
    ['nr_nodes', 1],
    ['cores_per_socket', 1],
    ['threads_per_core', 1],
    ['cpu_mhz', (TSC_KHZ / 1000).toFixed(3)],
    ['virt_caps', 'hvm hap'],
    ['total_memory', mib(host.totalMemoryKiB)],
    ['free_memory', mib(host.freeMemoryKiB)],
    ['sharing_freed_memory', 0],
    ['sharing_used_memory', 0],
    ['outstanding_claims', 0],
    ['free_cpus', 0],
    ['xen_major', XEN_VERSION >> 16],
    ['xen_minor', XEN_VERSION & 0xffff],
    ['xen_extra', XEN_EXTRAVERSION],
    ['xen_version', `${XEN_VERSION >> 16}.${XEN_VERSION & 0xffff}${XEN_EXTRAVERSION}`],
    ['xen_caps', 'hvm-3.0-x86_32 hvm-3.0-x86_32p hvm-3.0-x86_64'],
    ['xen_scheduler', 'credit2'],
    ['xen_pagesize', 4096],
    ['guest_time', host.time],
    ['nr_domains', host.domains],
    ['xenstored_path', host.xenstore],
  ]
}
