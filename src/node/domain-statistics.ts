// What a domain and its host have done so far, in numbers, for `run --stats`, benchmarks and tests: names
// are for people and may change.

import type { GuestDomain } from '../toolstack/guest-domain.ts'
import type { XenHost } from '../toolstack/xen-host.ts'
import { TRANSLATED } from '../x86/state.ts'

/** Causes of exits from translated code that are named, the most frequent ones. */
const EXITS_SHOWN = 20

/** Counts since the host was made, those of the processors and disks since the domain was. */
export function domainStatistics(xen: XenHost, guest: GuestDomain): Record<string, number> {
  const { scheduler, counters } = xen.hypervisor
  const { code, handlers, translator } = xen.engine
  const stats: Record<string, number> = {
    instructions: scheduler.counters.instructions,
    rounds: scheduler.counters.rounds,
    'idle skips': scheduler.counters.skips,
    'handlers emitted': handlers.count,
    'handler modules': handlers.modules,
    'handler bytes': handlers.bytes,
    'regions translated': translator.counters.regions,
    'regions live': translator.counters.live,
    'region instructions': translator.counters.instructions,
    'region modules': translator.counters.modules,
    'region bytes': translator.counters.bytes,
    'blocks decoded': code.blocksBuilt,
    'instructions decoded': code.instructionsDecoded,
    'code invalidations': code.invalidations,
    'code flushes': code.flushes,
  }
  for (const [i, vcpu] of guest.domain.vcpus.entries()) {
    const cpu = vcpu.processor as unknown as {
      counters: Record<string, number>
      tlb: { fills: number; flushes: number }
      getU64: (offset: number) => bigint
    }
    for (const [name, value] of Object.entries(cpu.counters)) stats[`vcpu${i} ${name}`] = value
    stats[`vcpu${i} instructions translated`] = Number(cpu.getU64(TRANSLATED))
    stats[`vcpu${i} tlb fills`] = cpu.tlb.fills
    stats[`vcpu${i} tlb flushes`] = cpu.tlb.flushes
  }
  for (const [why, count] of (translator.exits?.counts ?? []).slice(0, EXITS_SHOWN)) {
    stats[`region exit, ${why}`] = count
  }
  for (const { vdev, counters } of guest.disks.list()) {
    for (const [name, value] of Object.entries(counters)) stats[`${vdev} ${name}`] = value
  }
  for (const [name, count] of counters.snapshot()) stats[`hypercall ${name}`] = count.calls
  return stats
}
