// What Xen prints into its log when a key is pressed on its console (`debug-keys`): the keys that
// have something to show here, with Xen's letters.

import { UserError } from '../../base/errors.ts'
import type { DomainTable } from './domain-table.ts'
import type { ManagedDomain } from './managed-domain.ts'

const KIB_PER_PAGE = 4

interface DebugKey {
  readonly what: string
  lines(table: DomainTable): string[]
}

const KEYS: Readonly<Record<string, DebugKey>> = {
  h: {
    what: 'show this help',
    lines: () => Object.entries(KEYS).map(([key, { what }]) => ` key '${key}' => ${what}`),
  },
  q: { what: 'dump domain (and guest debug) info', lines: forEach(domainLines) },
  e: { what: 'dump evtchn info', lines: forEach(eventLines) },
  g: { what: 'print grant table usage', lines: forEach(grantLines) },
  r: { what: 'dump run queues', lines: runQueueLines },
  m: { what: 'memory info', lines: memoryLines },
  c: { what: 'hypercall counters', lines: hypercallLines },
}

/**
 * Writes what a key shows into the log.
 * @throws UserError if nothing listens to that key
 */
export function debugKey(key: string, table: DomainTable): void {
  const known = KEYS[key]
  if (!known) {
    throw new UserError(
      `There is no debug key "${key}".`,
      `The keys are ${Object.keys(KEYS).join(', ')}.`,
      '"xenolith debug-keys h" writes what they do into the log; "xenolith dmesg" prints it.',
    )
  }
  table.log.add(`'${key}' pressed -> ${known.what}`)
  for (const line of known.lines(table)) table.log.add(line)
}

function forEach(lines: (managed: ManagedDomain) => string[]): DebugKey['lines'] {
  return (table) => table.all().flatMap(lines)
}

function domainLines({ id, name, running }: ManagedDomain): string[] {
  const { domain } = running.guest
  return [
    `General information for domain ${id} (${name}):`,
    `    nr_pages=${domain.totalPages} max_pages=${domain.maxPages} paused=${domain.isPaused} ` +
      `dying=${domain.isDying} shutdown=${domain.shutdownReason ?? 'no'}`,
    ...domain.vcpus.map(
      ({ id, state, processor, cpuTimeNs }) =>
        `    VCPU${id}: ${state} rip=${processor.rip.toString(16).padStart(16, '0')} ` +
        `cpl=${processor.cpl} time=${(cpuTimeNs / 1e9).toFixed(3)}s`,
    ),
  ]
}

function eventLines({ id, running }: ManagedDomain): string[] {
  const { channels, config } = running.guest.domain
  const open = channels.boundPorts().length
  return [`Event channels of domain ${id}: ${open} open of ${config.maxPort ?? 1023}`]
}

function grantLines({ id, running }: ManagedDomain): string[] {
  const active = running.guest.domain.grants.activeGrants()
  return [`Grants of domain ${id} in use by others: ${active.length}`]
}

function runQueueLines(table: DomainTable): string[] {
  const { rounds, instructions, skips } = table.host.xen.hypervisor.scheduler.counters
  return [
    `sched=credit2 rounds=${rounds} instructions=${instructions} skips=${skips}`,
    ...table.all().map(({ id, running }) => {
      const { credit, vcpus } = running.guest.domain
      const states = vcpus.map(({ state }) => state).join(' ')
      return `    d${id}: weight=${credit.weight} cap=${credit.cap} charged=${Math.round(credit.charged)} ${states}`
    }),
  ]
}

function memoryLines(table: DomainTable): string[] {
  const { frames } = table.host.xen
  const kib = (pages: number) => `${pages * KIB_PER_PAGE}kB`
  return [
    `Physical memory information: ${kib(frames.frames)} in all, ${kib(frames.freeFrames)} free`,
  ]
}

function hypercallLines(table: DomainTable): string[] {
  const counts = [...table.host.xen.hypervisor.counters.snapshot()]
  return counts.map(([name, { calls }]) => `    ${name}: ${calls}`)
}
