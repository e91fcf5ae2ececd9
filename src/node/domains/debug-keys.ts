// What Xen prints into its log when a key is pressed on its console (`debug-keys`): the keys that
// have something to show here, with Xen's letters.

import { UserError } from '../../base/errors.ts'
import { PortState } from '../../xen/event-port.ts'
import type { DomainTable } from './domain-table.ts'
import type { ManagedDomain } from './managed-domain.ts'

const KIB_PER_PAGE = 4
/** Lines of one kind for one domain. */
const MOST_LINES = 64
/** In the order of their numbers. */
const REGISTERS = [
  ...['rax', 'rcx', 'rdx', 'rbx', 'rsp', 'rbp', 'rsi', 'rdi'],
  ...['r8 ', 'r9 ', 'r10', 'r11', 'r12', 'r13', 'r14', 'r15'],
]

interface DebugKey {
  readonly what: string
  lines(table: DomainTable): string[]
}

const KEYS: Readonly<Record<string, DebugKey>> = {
  h: {
    what: 'show this help',
    lines: () => Object.entries(KEYS).map(([key, { what }]) => ` key '${key}' => ${what}`),
  },
  d: { what: 'dump registers', lines: forEach(registerLines) },
  a: { what: 'dump timer queues', lines: timerLines },
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
  const bound = channels.boundPorts()
  const flag = (isSet: boolean) => (isSet ? 1 : 0)
  return [
    `Event channels of domain ${id}: ${bound.length} open of ${config.maxPort ?? 1023}`,
    '    port [p/m]',
    ...cut(bound, (number) => {
      const port = channels.port(number)
      const bits = `${flag(channels.isPending(number))}/${flag(channels.isMasked(number))}`
      const other = port?.remotePort ? ` d=${port.remoteDomid} p=${port.remotePort}` : ''
      const source = port?.state === PortState.virq ? ` v=${port.source}` : ''
      return `    ${String(number).padStart(4)} [${bits}]: s=${port?.state} n=${port?.vcpu}${other}${source}`
    }),
  ]
}

function grantLines({ id, running }: ManagedDomain): string[] {
  const { grants } = running.guest.domain
  const active = grants.activeGrants()
  const { version, frameCount, maxFrames } = grants
  return [
    `Grant table of domain ${id}: version ${version}, ${frameCount} frames of ${maxFrames}, ` +
      `${active.length} grants in use by others, ${grants.mappings().length} of others mapped`,
    ...cut(active, ([ref, { domid, mfn, pin }]) => {
      const frame = `mfn=0x${mfn.toString(16)}`
      return `    ref ${ref}: d${domid} ${frame} pin=0x${(pin >>> 0).toString(16).padStart(8, '0')}`
    }),
  ]
}

function registerLines({ id, name, running }: ManagedDomain): string[] {
  return running.guest.domain.vcpus.flatMap(({ id: vcpu, state, processor }) => {
    const hex = (value: bigint) => BigInt.asUintN(64, value).toString(16).padStart(16, '0')
    const general = REGISTERS.map((register, i) => `${register}: ${hex(processor.readRegister(i))}`)
    const rows = [0, 4, 8, 12].map((i) => `    ${general.slice(i, i + 4).join('  ')}`)
    return [
      `*** d${id}v${vcpu} (${name}), ${state} ***`,
      `    rip: ${hex(processor.rip)}  rflags: ${hex(BigInt(processor.rflags))}  cpl: ${processor.cpl}`,
      ...rows,
    ]
  })
}

function timerLines(table: DomainTable): string[] {
  const { hypervisor, clock } = table.host.xen
  const { timers } = hypervisor
  const next = timers.nextDeadline()
  const wait = Number.isFinite(next) ? `${((next - clock.now()) / 1e6).toFixed(3)} ms` : 'never'
  return [`Timers: ${timers.size} set, the next one in ${wait}`]
}

/** A line for each, up to a number that a log can bear. */
function cut<T>(all: readonly T[], line: (one: T) => string): string[] {
  const shown = all.slice(0, MOST_LINES).map(line)
  return all.length > MOST_LINES ? [...shown, `    and ${all.length - MOST_LINES} more`] : shown
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
