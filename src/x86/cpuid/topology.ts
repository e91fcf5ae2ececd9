// Leaves that describe the package: processor topology (1, 0xB, 0x80000008, 0x8000001E), caches
// (4, 0x8000001D, and AMD's older 0x80000005 and 6). Intel SDM vol. 2A, CPUID; SDM vol. 3A,
// 9.9.3; AMD APM vol. 3, E.3 and E.4.

import type { Cache } from './models.ts'

export interface CpuidResult {
  readonly eax: number
  readonly ebx: number
  readonly ecx: number
  readonly edx: number
}

/** The processors of one package, and how their APIC ids are made. */
export interface Topology {
  readonly cores: number
  readonly threadsPerCore: number
  /**
   * Bits of the APIC id below the core's number. Xen gives processor n the id 2n, as if each
   * core had a second thread that is not there: 1 with one thread a core.
   */
  readonly smtShift: number
}

/** One processor, with Xen's APIC ids. */
export const ONE_PROCESSOR: Topology = { cores: 1, threadsPerCore: 1, smtShift: 1 }

/** Bits of the APIC id that name a processor within the package. */
export function packageShift({ cores, smtShift }: Topology): number {
  return smtShift + Math.ceil(Math.log2(cores))
}

export function processorCount({ cores, threadsPerCore }: Topology): number {
  return cores * threadsPerCore
}

/** Leaf 0xB, the extended topology, of subleaf 0 (threads of a core), 1 (cores) and beyond. */
export function topologyLeaf(topology: Topology, subleaf: number, apicId: number): CpuidResult {
  const levels = [
    { shift: topology.smtShift, count: topology.threadsPerCore, type: 1 },
    { shift: packageShift(topology), count: processorCount(topology), type: 2 },
  ]
  const level = levels[subleaf] ?? { shift: 0, count: 0, type: 0 }
  return {
    eax: level.shift,
    ebx: level.count,
    ecx: (level.type << 8) | (subleaf & 0xff),
    edx: apicId,
  }
}

/**
 * Cache `cache` in the form of leaf 4 and leaf 0x8000001D; only leaf 4 tells the number of core
 * ids (`withCores`). Undefined is the end of the list: a cache of type 0.
 */
export function cacheLeaf(
  cache: Cache | undefined,
  topology: Topology,
  withCores: boolean,
): CpuidResult {
  if (!cache) return { eax: 0, ebx: 0, ecx: 0, edx: 0 }
  const type = { data: 1, instruction: 2, unified: 3 }[cache.kind]
  const shift = packageShift(topology)
  const sharing = 2 ** (cache.isShared ? shift : topology.smtShift)
  const coreIds = 2 ** (shift - topology.smtShift)
  const isSelfInitializing = 1 << 8
  return {
    eax:
      (type |
        (cache.level << 5) |
        isSelfInitializing |
        ((Math.min(sharing, 4096) - 1) << 14) |
        (withCores ? (Math.min(coreIds, 64) - 1) << 26 : 0)) >>>
      0,
    ebx: ((cache.line - 1) | ((cache.ways - 1) << 22)) >>> 0,
    ecx: setsOf(cache) - 1,
    edx: cache.isInclusive ? 2 : 0,
  }
}

/** Leaves 0x80000005 and 0x80000006 of an AMD processor; the TLBs are those of Zen 3. */
export function amdCacheLeaves(caches: readonly Cache[]): { l1: CpuidResult; l2: CpuidResult } {
  const find = (level: number, kind: Cache['kind']) =>
    caches.find((cache) => cache.level === level && cache.kind === kind)
  const l1 = (cache: Cache | undefined) =>
    cache ? ((cache.sizeKiB << 24) | (cache.ways << 16) | (1 << 8) | cache.line) >>> 0 : 0
  const l2 = find(2, 'unified')
  const l3 = find(3, 'unified')
  return {
    l1: {
      eax: 0xff40ff40,
      ebx: 0xff40ff40,
      ecx: l1(find(1, 'data')),
      edx: l1(find(1, 'instruction')),
    },
    l2: {
      eax: 0x48002200,
      ebx: 0x68004200,
      ecx: l2 ? intelL2(l2) | (1 << 8) : 0,
      // Size in units of 512 KiB; 9 says: see leaf 0x8000001D for the associativity.
      edx: l3 ? (((l3.sizeKiB / 512) << 18) | (9 << 12) | (1 << 8) | l3.line) >>> 0 : 0,
    },
  }
}

/** ECX of leaf 0x80000006 as Intel fills it: size, associativity (SDM 2A, table 3-8), line. */
export function intelL2({ sizeKiB, ways, line }: Cache): number {
  const code: Readonly<Record<number, number>> = { 1: 1, 2: 2, 4: 4, 8: 6, 16: 8 }
  return ((sizeKiB << 16) | ((code[ways] ?? 0) << 12) | line) >>> 0
}

function setsOf({ sizeKiB, ways, line }: Cache): number {
  return (sizeKiB * 1024) / (ways * line)
}
