// What CPUID says in one domain. A policy is immutable: an identity, a set of features closed
// under dependencies, a topology; it is made from a model by taking what our processor
// implements, and changed by making another. Xen's own leaves (0x40000000 and up) are the
// hypervisor's business: here they are zero.

import { UserError } from '../../base/errors.ts'
import { COMMON_EDX } from './feature-table.ts'
import { FEATURES, featureNamed, withoutOrphans, withPrerequisites } from './features.ts'
import { isIntel, type LeafSource, leafKey, staticLeaves } from './leaves.ts'
import type { CpuModel } from './models.ts'
import { type CpuidResult, ONE_PROCESSOR, type Topology, topologyLeaf } from './topology.ts'
import { compactedSize, standardSize } from './xstate.ts'

/** What CPUID's answer takes from the state of the processor that executes it. */
export interface CpuidDynamic {
  readonly apicId: number
  /** IA32_APIC_BASE.EN. */
  readonly isApicEnabled: boolean
  readonly cr4OsXsave: boolean
  readonly cr4Pke: boolean
  /** Executed in 64-bit mode: Intel shows SYSCALL only there. */
  readonly is64BitMode: boolean
  readonly xcr0: bigint
  readonly ia32Xss: bigint
}

export interface CpuidOptions {
  readonly topology?: Topology
  /** Highest width of a physical address; a model with fewer bits keeps its own. Default 40. */
  readonly physicalAddressBits?: number
  /** Default 0: leaf 0x15 is empty. */
  readonly tscKhz?: number
  /** Also the frequency of the APIC timer: Linux takes one for the other. Default 100 MHz. */
  readonly crystalKhz?: number
}

/** A policy as plain data. */
export interface CpuidPolicyState {
  readonly version: 1
  readonly identity: LeafSource['identity']
  readonly features: readonly string[]
  readonly limit: readonly string[]
  readonly topology: Topology
  readonly physicalAddressBits: number
  readonly tscKhz: number
  readonly crystalKhz: number
}

/** Bits of a domain rather than of a processor: any policy may have them. */
const ENVIRONMENT = ['hypervisor', 'htt', 'cmp_legacy', 'topoext', 'x2apic', 'arat', 'itsc']

/** Bits that follow the processor's state, so that no policy holds them. */
const DYNAMIC = ['osxsave', 'ospke']

const HYPERVISOR_LEAVES = 0x40000000
const EXTENDED_LEAVES = 0x80000000
const ZERO: CpuidResult = { eax: 0, ebx: 0, ecx: 0, edx: 0 }

const OSXSAVE = 1 << 27
const OSPKE = 1 << 4
const APIC = 1 << 9
const SYSCALL = 1 << 11

export class CpuidPolicy {
  /** Names of all features that are shown, as in feature-table.ts. */
  readonly features: ReadonlySet<string>
  /** Features that {@link with} may add: all that the processor implements. */
  readonly limit: ReadonlySet<string>
  readonly #source: LeafSource
  readonly #leaves: ReadonlyMap<number, CpuidResult>

  private constructor(source: LeafSource, limit: ReadonlySet<string>) {
    this.#source = source
    this.features = source.features
    this.limit = limit
    this.#leaves = staticLeaves(source)
  }

  /** The policy of `model` on a processor that implements `implemented` (any spelling). */
  static of(
    model: CpuModel,
    implemented: Iterable<string>,
    options: CpuidOptions = {},
  ): CpuidPolicy {
    const { features, ...identity } = model
    const known = [...implemented, ...ENVIRONMENT].flatMap((name) => featureNamed(name)?.name ?? [])
    const limit = withoutOrphans(known.filter((name) => !DYNAMIC.includes(name)))
    const shown = new Set([...features, 'hypervisor', 'htt'])
    return new CpuidPolicy(
      {
        identity,
        features: withoutOrphans([...shown].filter((name) => limit.has(name))),
        topology: options.topology ?? ONE_PROCESSOR,
        physicalAddressBits: Math.min(model.physicalAddressBits, options.physicalAddressBits ?? 40),
        tscKhz: options.tscKhz ?? 0,
        crystalKhz: options.crystalKhz ?? 100_000,
      },
      limit,
    )
  }

  /** Vendor, family, model, stepping, brand, highest leaves. */
  get identity(): LeafSource['identity'] {
    return this.#source.identity
  }

  get physicalAddressBits(): number {
    return this.#source.physicalAddressBits
  }

  /** Whether a feature is shown, by any of its names. */
  has(name: string): boolean {
    return this.features.has(required(name))
  }

  /**
   * Also shows these features and all that they need. Throws a UserError for a name that is no
   * feature's or a feature that the processor does not implement.
   */
  with(...names: readonly string[]): CpuidPolicy {
    const wanted = withPrerequisites(names.map(required))
    for (const name of wanted) {
      if (this.limit.has(name)) continue
      throw new UserError(
        `CPUID feature ${names.join(', ')} cannot be shown`,
        `the processor does not implement ${name}`,
        'leave it out of the guest configuration',
      )
    }
    return this.#replace({ features: new Set([...this.features, ...wanted]) })
  }

  /** Hides these features and all that need them. Throws a UserError for an unknown name. */
  without(...names: readonly string[]): CpuidPolicy {
    const unwanted = new Set(names.map(required))
    const left = [...this.features].filter((name) => !unwanted.has(name))
    return this.#replace({ features: withoutOrphans(left) })
  }

  /** Shows no more than `names`, and of those only what has all that it needs. */
  mask(names: Iterable<string>): CpuidPolicy {
    const allowed = new Set([...names].map(required))
    const left = [...this.features].filter((name) => allowed.has(name))
    return this.#replace({ features: withoutOrphans(left) })
  }

  /** Another family, model, stepping, brand, vendor or highest leaf; features stay. */
  withIdentity(change: Partial<LeafSource['identity']>): CpuidPolicy {
    return this.#replace({ identity: { ...this.identity, ...change } })
  }

  withTopology(topology: Topology): CpuidPolicy {
    return this.#replace({ topology })
  }

  /** The frequency of the time-stamp counter, in kHz. */
  withTscKhz(tscKhz: number): CpuidPolicy {
    return this.#replace({ tscKhz })
  }

  /** What CPUID returns, each register unsigned. Never fails: unknown leaves have an answer. */
  leaf(index: number, subleaf: number, dynamic: CpuidDynamic): CpuidResult {
    const { identity } = this.#source
    if (index >= HYPERVISOR_LEAVES && index < HYPERVISOR_LEAVES + 0x1000_0000) return ZERO
    const highest = index < EXTENDED_LEAVES ? identity.maxBasicLeaf : identity.maxExtendedLeaf
    if (index > highest) {
      // Intel's processors answer with the highest basic leaf (SDM 2A, CPUID), AMD's with zeros.
      return isIntel(identity) ? this.leaf(identity.maxBasicLeaf, subleaf, dynamic) : ZERO
    }
    switch (index) {
      case 0x1: {
        const { eax, ebx, ecx, edx } = this.#static(1)
        return {
          eax,
          ebx: (ebx | (dynamic.apicId << 24)) >>> 0,
          ecx: this.features.has('xsave') && dynamic.cr4OsXsave ? (ecx | OSXSAVE) >>> 0 : ecx,
          edx: dynamic.isApicEnabled ? edx : (edx & ~APIC) >>> 0,
        }
      }
      case 0x4:
      case 0x8000001d:
        return this.#static(index, subleaf)
      case 0x7: {
        const registers = this.#static(7, subleaf)
        const isOspke = subleaf === 0 && this.features.has('pku') && dynamic.cr4Pke
        return isOspke ? { ...registers, ecx: (registers.ecx | OSPKE) >>> 0 } : registers
      }
      case 0xb:
        // The leaf exists with x2APIC: EDX is the id of that mode.
        return this.features.has('x2apic')
          ? topologyLeaf(this.#source.topology, subleaf, dynamic.apicId)
          : ZERO
      case 0xd:
        return this.#xstate(subleaf, dynamic)
      case 0x80000001: {
        const { edx, ...others } = this.#static(index)
        const isHidden = isIntel(identity) && !dynamic.is64BitMode
        const hidden = (isHidden ? SYSCALL : 0) | (dynamic.isApicEnabled ? 0 : APIC & COMMON_EDX)
        return { ...others, edx: (edx & ~hidden) >>> 0 }
      }
      case 0x8000001e: {
        if (isIntel(identity) || !this.features.has('topoext')) return ZERO
        const { smtShift, threadsPerCore } = this.#source.topology
        const core = (dynamic.apicId >>> smtShift) & 0xff
        return { ...ZERO, eax: dynamic.apicId, ebx: core | ((threadsPerCore - 1) << 8) }
      }
      default:
        return this.#static(index)
    }
  }

  save(): CpuidPolicyState {
    const { features, ...rest } = this.#source
    return structuredCopy({ version: 1, ...rest, features: [...features], limit: [...this.limit] })
  }

  /** Throws a UserError if the state is of another version or names features unknown here. */
  static restore(state: CpuidPolicyState): CpuidPolicy {
    const unknown = [...state.features, ...state.limit].find((name) => !FEATURES.has(name))
    if (state.version !== 1 || unknown !== undefined) {
      throw new UserError(
        'the saved CPUID policy cannot be restored',
        unknown === undefined ? `its version is ${state.version}` : `it has feature ${unknown}`,
        'restore it with the release that saved it',
      )
    }
    const { identity, topology, physicalAddressBits, tscKhz, crystalKhz } = structuredCopy(state)
    const features = new Set(state.features)
    return new CpuidPolicy(
      { identity, features, topology, physicalAddressBits, tscKhz, crystalKhz },
      new Set(state.limit),
    )
  }

  #replace(change: Partial<LeafSource>): CpuidPolicy {
    return new CpuidPolicy({ ...this.#source, ...change }, this.limit)
  }

  #static(index: number, subleaf = 0): CpuidResult {
    // Keys have room for 64 subleaves; none above has content.
    return (subleaf < 64 ? this.#leaves.get(leafKey(index, subleaf)) : undefined) ?? ZERO
  }

  /** Leaf 0xD, whose sizes follow XCR0 and IA32_XSS. (SDM 1, 13.2) */
  #xstate(subleaf: number, { xcr0, ia32Xss }: CpuidDynamic): CpuidResult {
    const registers = this.#static(0xd, subleaf)
    if (subleaf > 1 || !this.features.has('xsave')) return registers
    const enabled = Number(BigInt.asUintN(31, xcr0))
    if (subleaf === 0) return { ...registers, ebx: standardSize(enabled) }
    if (!this.features.has('xsavec') && !this.features.has('xsaves')) return registers
    return { ...registers, ebx: compactedSize(enabled | Number(BigInt.asUintN(31, ia32Xss))) }
  }
}

function required(name: string): string {
  const feature = featureNamed(name)
  if (feature) return feature.name
  throw new UserError(
    `'${name}' is no CPUID feature`,
    'neither Xen nor Linux has a bit of this name',
    'see the list of CPUID features in the documentation',
  )
}

function structuredCopy<T>(value: T): T {
  return JSON.parse(JSON.stringify(value)) as T
}
