// What a domain's run has counted, by name: the table from which both the figures and their reference
// (docs/reference/statistics.md) derive. A name begins with that of its group, and the group's first
// figure has just that: who prints them can indent the others below it.
//
// Hits of the TLB are not there: emitted code that counted them would be slower for it.

import type { DiskInfo } from '../toolstack/device-info.ts'
import type { Domain } from '../xen/domain.ts'
import type { XenHost } from '../toolstack/xen-host.ts'
import { TRANSLATED } from '../x86/state.ts'
import type { X86Processor } from '../xen/x86-processor.ts'

/** Causes of exits from translated code that are named, the most frequent ones. */
const EXITS_NAMED = 20

interface Source {
  readonly xen: XenHost
  readonly cpus: readonly X86Processor[]
  readonly disks: readonly DiskInfo[]
}

type Named = readonly (readonly [name: string, value: number])[]

/** One figure, or those that a placeholder in capitals stands for. */
export interface Statistic {
  readonly name: string
  readonly summary: string
  readonly read: (source: Source) => number | Named
}

const sum = ({ cpus }: Source, of: (cpu: X86Processor) => number) =>
  cpus.reduce((total, cpu) => total + of(cpu), 0)
const translated = (cpu: X86Processor) => Number(cpu.getU64(TRANSLATED))
const executed = (cpu: X86Processor) => cpu.counters.instructions

const perCpu = (name: string, summary: string, of: (cpu: X86Processor) => number): Statistic => ({
  name: `vcpuN${name}`,
  summary,
  read: ({ cpus }) => cpus.map((cpu, i) => [`vcpu${i}${name}`, of(cpu)]),
})

export const STATISTICS: readonly Statistic[] = [
  {
    name: 'instructions',
    summary: 'instructions that the domain has executed',
    read: (source) => sum(source, executed),
  },
  {
    name: 'instructions interpreted',
    summary: 'of these by the interpreter',
    read: (source) => sum(source, executed) - sum(source, translated),
  },
  {
    name: 'instructions translated',
    summary: 'of these by translated regions',
    read: (source) => sum(source, translated),
  },
  {
    name: 'rounds',
    summary: 'rounds of the scheduler, in each of which each processor that can run gets a turn',
    read: ({ xen }) => xen.hypervisor.scheduler.counters.rounds,
  },
  {
    name: 'rounds idle',
    summary: 'times that nobody could run, so that virtual time went on to the next timer',
    read: ({ xen }) => xen.hypervisor.scheduler.counters.skips,
  },
  {
    name: 'blocks',
    summary: 'blocks of code that were decoded',
    read: ({ xen }) => xen.engine.code.blocksBuilt,
  },
  {
    name: 'blocks instructions',
    summary: 'instructions in them',
    read: ({ xen }) => xen.engine.code.instructionsDecoded,
  },
  {
    name: 'handlers',
    summary: 'forms of instructions that the interpreter has met, and has code for',
    read: ({ xen }) => xen.engine.handlers.count,
  },
  {
    name: 'handlers modules',
    summary: 'WebAssembly modules made of them',
    read: ({ xen }) => xen.engine.handlers.modules,
  },
  {
    name: 'handlers bytes',
    summary: 'their size',
    read: ({ xen }) => xen.engine.handlers.bytes,
  },
  {
    name: 'handlers cores',
    summary: 'times that those executed most were put into one function',
    read: ({ xen }) => xen.engine.handlers.cores,
  },
  {
    name: 'regions',
    summary: 'regions of code that were translated',
    read: ({ xen }) => xen.engine.translator.counters.regions,
  },
  {
    name: 'regions live',
    summary: 'those that are there now',
    read: ({ xen }) => xen.engine.translator.counters.live,
  },
  {
    name: 'regions instructions',
    summary: 'instructions of the guest in all that were translated',
    read: ({ xen }) => xen.engine.translator.counters.instructions,
  },
  {
    name: 'regions modules',
    summary: 'WebAssembly modules made of them',
    read: ({ xen }) => xen.engine.translator.counters.modules,
  },
  {
    name: 'regions bytes',
    summary: 'size of those modules',
    read: ({ xen }) => xen.engine.translator.counters.bytes,
  },
  {
    name: 'regions live bytes',
    summary: 'size of the modules that have live regions',
    read: ({ xen }) => xen.engine.translator.liveBytes,
  },
  {
    name: 'regions attempts',
    summary: 'times that a region was emitted, until it was complete',
    read: ({ xen }) => xen.engine.translator.counters.attempts,
  },
  {
    name: 'regions failures',
    summary: 'modules for which the engine had no memory: their code is interpreted',
    read: ({ xen }) => xen.engine.translator.counters.failures,
  },
  {
    name: 'regions ms',
    summary:
      'milliseconds that making them took, if that was asked for; V8 compiles to machine code later, ' +
      'when a region is first entered and on other threads',
    read: ({ xen }) => xen.engine.translator.counters.milliseconds,
  },
  {
    name: 'invalidations',
    summary: 'writes that have hit decoded code',
    read: ({ xen }) => xen.engine.code.invalidations,
  },
  {
    name: 'invalidations blocks',
    summary: 'blocks that were dropped for that',
    read: ({ xen }) => xen.engine.code.blocksDropped,
  },
  {
    name: 'invalidations regions',
    summary: 'regions made with such blocks, or dropped when all was forgotten',
    read: ({ xen }) => xen.engine.translator.counters.dropped,
  },
  {
    name: 'invalidations evicted',
    summary: 'regions that were given up because others needed their room',
    read: ({ xen }) => xen.engine.translator.counters.evicted,
  },
  {
    name: 'invalidations flushes',
    summary: 'times that all decoded code was forgotten because it needed its room',
    read: ({ xen }) => xen.engine.code.flushes,
  },
  {
    name: 'tlb misses',
    summary: 'walks of page tables whose result was entered into a TLB; hits are not counted',
    read: (source) => sum(source, ({ tlb }) => tlb.fills + tlb.code.fills),
  },
  {
    name: 'tlb misses code',
    summary: 'of these for code',
    read: (source) => sum(source, ({ tlb }) => tlb.code.fills),
  },
  {
    name: 'tlb flushes',
    summary: 'times that a TLB was emptied, global entries included',
    read: (source) => sum(source, ({ tlb }) => tlb.flushes),
  },
  {
    name: 'slow accesses',
    summary:
      'accesses to memory that needed a closer look: TLB misses, devices, those that cross pages or ' +
      'write where code lies',
    read: (source) => sum(source, ({ counters }) => counters.slowAccesses),
  },
  perCpu('', 'instructions that a vCPU has executed', executed),
  perCpu(' translated', 'of these by translated regions', translated),
  perCpu(
    ' lookups',
    'times that code was looked up beyond the jump cache',
    (cpu) => cpu.counters.lookups,
  ),
  perCpu(' faults', 'exceptions', (cpu) => cpu.counters.faults),
  perCpu(' interrupts', 'interrupts that were delivered', (cpu) => cpu.counters.interrupts),
  perCpu(
    ' host instructions',
    'instructions that are carried out in TypeScript',
    (cpu) => cpu.counters.hostInstructions,
  ),
  {
    name: 'exits',
    summary: 'times that a region was left, if that was asked for',
    read: ({ xen }) => total(xen.engine.translator.exits?.counts ?? []),
  },
  {
    name: 'exits CAUSE',
    summary: `why; the ${EXITS_NAMED} most frequent causes`,
    read: ({ xen }) => prefixed('exits', xen.engine.translator.exits?.counts.slice(0, EXITS_NAMED)),
  },
  {
    name: 'VDEV COUNTER',
    summary: 'requests of each kind, and sectors, of a disk',
    read: ({ disks }) =>
      disks.flatMap(({ vdev, counters }) => prefixed(vdev, Object.entries(counters))),
  },
  {
    name: 'hypercalls',
    summary: 'hypercalls of all domains',
    read: (source) => total(hypercalls(source)),
  },
  {
    name: 'hypercalls NAME',
    summary: 'of one kind',
    read: (source) => prefixed('hypercalls', hypercalls(source)),
  },
]

function hypercalls({ xen }: Source): Named {
  return [...xen.hypervisor.counters.snapshot()].map(([name, { calls }]) => [name, calls])
}

function prefixed(group: string, named: Named = []): Named {
  return named.map(([name, value]) => [`${group} ${name}`, value])
}

function total(named: Named): number {
  return named.reduce((all, [, value]) => all + value, 0)
}

/** The figures of a domain. Of the engine and the scheduler they are those of the whole host. */
export function statisticsOf(
  xen: XenHost,
  domain: Domain,
  disks: readonly DiskInfo[],
): Record<string, number> {
  const cpus = domain.vcpus.map(({ processor }) => processor as X86Processor)
  const source = { xen, cpus, disks }
  return Object.fromEntries(
    STATISTICS.flatMap(({ name, read }) => {
      const figures = read(source)
      return typeof figures === 'number' ? [[name, figures] as const] : figures
    }),
  )
}
