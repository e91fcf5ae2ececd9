// Named processors: what CPUID of real silicon says about itself. A policy takes from a model
// what our processor implements.

import { FEATURES } from './features.ts'

/** The vendor string of leaf 0. The behaviour follows Intel's or, for AMD and Hygon, AMD's. */
export type CpuVendor = 'GenuineIntel' | 'AuthenticAMD' | 'HygonGenuine'

/** A cache as leaf 4 or 0x8000001D describes it. */
export interface Cache {
  readonly level: 1 | 2 | 3
  readonly kind: 'data' | 'instruction' | 'unified'
  readonly sizeKiB: number
  readonly ways: number
  /** Bytes of a line. */
  readonly line: number
  readonly isShared: boolean
  /** It holds what the lower levels hold. */
  readonly isInclusive: boolean
}

/** A leaf that is the same whatever the policy: leaf, EAX, EBX, ECX, EDX. */
export type FixedLeaf = readonly [number, number, number, number, number]

export interface CpuModel {
  readonly name: string
  readonly vendor: CpuVendor
  readonly family: number
  readonly model: number
  readonly stepping: number
  /** At most 47 characters. */
  readonly brand: string
  readonly maxBasicLeaf: number
  readonly maxExtendedLeaf: number
  readonly physicalAddressBits: number
  readonly caches: readonly Cache[]
  readonly fixed: readonly FixedLeaf[]
  /** Names of features, as in feature-table.ts. */
  readonly features: readonly string[]
}

const cache = (
  level: Cache['level'],
  kind: Cache['kind'],
  sizeKiB: number,
  ways: number,
  isInclusive = false,
): Cache => ({ level, kind, sizeKiB, ways, line: 64, isShared: level === 3, isInclusive })

const list = (...names: readonly string[]) => names.flatMap((some) => some.trim().split(/\s+/))

const X86_64 = `fpu vme de pse tsc msr pae mce cx8 apic sep mtrr pge mca cmov pat pse36 clflush
  mmx fxsr sse sse2 syscall nx lm lahf_lm cx16`

const SANDY_BRIDGE = `${X86_64} ds acpi ss tm1 pbe sse3 pclmulqdq dtes64 monitor dscpl vmx eist
  tm2 ssse3 xtpr pdcm pcid sse4_1 sse4_2 x2apic popcnt tsc_deadline aesni xsave xsaveopt avx
  rdtscp itsc arat`

const SKYLAKE = `${SANDY_BRIDGE} sdbg fma movbe f16c rdrand fsgsbase tsc_adjust sgx bmi1 hle avx2
  smep bmi2 erms invpcid rtm no_fpu_sel mpx rdseed adx smap clflushopt proc_trace xsavec xgetbv1
  xsaves page1gb abm 3dnowprefetch`

const ZEN3 = `${X86_64} sse3 pclmulqdq monitor ssse3 fma pcid sse4_1 sse4_2 x2apic movbe popcnt aesni
  xsave avx f16c rdrand mmxext ffxsr page1gb rdtscp cmp_legacy svm extapic cr8_legacy abm sse4a
  misalignsse 3dnowprefetch osvw ibs skinit wdt tce topoext perfctr_core perfctr_nb dbext
  perfctr_llc monitorx addr_mask_ext fsgsbase bmi1 avx2 smep bmi2 erms invpcid pqm pqe rdseed adx smap
  clflushopt clwb sha umip pku cet_ss vaes vpclmulqdq rdpid fsrm xsaveopt xsavec xgetbv1 xsaves
  clzero irperf rstr_fp_err_ptrs invlpgb rdpru wbnoinvd ibpb ibrs amd_stibp stibp_always
  ibrs_fast ibrs_same_mode no_lmsl amd_ppin amd_ssbd psfd hw_pstate itsc cpb efro
  lfence_dispatch nscb arat`

const ZEN3_IDENTITY = {
  vendor: 'AuthenticAMD',
  family: 0x19,
  model: 0x01,
  stepping: 1,
  maxExtendedLeaf: 0x80000023,
  physicalAddressBits: 48,
  caches: [
    cache(1, 'data', 32, 8),
    cache(1, 'instruction', 32, 8),
    cache(2, 'unified', 512, 8, true),
    cache(3, 'unified', 32768, 16),
  ],
  fixed: [[0x8000001a, 0x6, 0, 0, 0]],
} as const satisfies Partial<CpuModel>

export const MODELS = {
  /** Intel Core of 2011: SSE4.2, AES, AVX; the first with XSAVEOPT. */
  SandyBridge: {
    name: 'SandyBridge',
    vendor: 'GenuineIntel',
    family: 6,
    model: 42,
    stepping: 7,
    brand: 'Intel(R) Core(TM) i7-2600K CPU @ 3.40GHz',
    maxBasicLeaf: 0xd,
    maxExtendedLeaf: 0x80000008,
    physicalAddressBits: 36,
    caches: [
      cache(1, 'data', 32, 8),
      cache(1, 'instruction', 32, 8),
      cache(2, 'unified', 256, 8),
      cache(3, 'unified', 8192, 16, true),
    ],
    fixed: [[2, 0x76035a01, 0x00f0b2ff, 0, 0x00ca0000]],
    features: list(SANDY_BRIDGE, 'smx'),
  },
  /** Intel Core of 2015: AVX2, BMI, FMA, SMAP, XSAVES; no AVX-512. */
  Skylake: {
    name: 'Skylake',
    vendor: 'GenuineIntel',
    family: 6,
    model: 94,
    stepping: 3,
    brand: 'Intel(R) Core(TM) i7-6700K CPU @ 4.00GHz',
    maxBasicLeaf: 0x16,
    maxExtendedLeaf: 0x80000008,
    physicalAddressBits: 39,
    caches: [
      cache(1, 'data', 32, 8),
      cache(1, 'instruction', 32, 8),
      cache(2, 'unified', 256, 4),
      cache(3, 'unified', 8192, 16, true),
    ],
    fixed: [[2, 0x76036301, 0x00f0b5ff, 0, 0x00c30000]],
    features: list(SKYLAKE),
  },
  /** AMD EPYC of 2021. */
  Zen3: {
    ...ZEN3_IDENTITY,
    name: 'Zen3',
    brand: 'AMD EPYC 7763 64-Core Processor',
    maxBasicLeaf: 0x10,
    features: list(ZEN3),
  },
  /** All that our processor implements, under the identity of Zen3. */
  max: {
    ...ZEN3_IDENTITY,
    name: 'max',
    brand: 'AMD EPYC Processor',
    maxBasicLeaf: 0x16,
    features: [...FEATURES.keys()],
  },
} as const satisfies Readonly<Record<string, CpuModel>>

/** A model by its name in any case, or undefined. */
export function modelNamed(name: string): CpuModel | undefined {
  return Object.values(MODELS).find((model) => model.name.toLowerCase() === name.toLowerCase())
}
