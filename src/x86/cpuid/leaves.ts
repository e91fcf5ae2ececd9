// The leaves of a policy that do not depend on the processor's state, computed once. Leaves that
// are not here are zero. (Intel SDM vol. 2A, CPUID; AMD APM vol. 3, appendix E)

import { COMMON_EDX } from './feature-table.ts'
import { FEATURES } from './features.ts'
import type { CpuModel } from './models.ts'
import {
  amdCacheLeaves,
  type CpuidResult,
  cacheLeaf,
  intelL2,
  packageShift,
  processorCount,
  type Topology,
} from './topology.ts'
import { componentsOf, standardSize, xcr0Mask, xssMask } from './xstate.ts'

/** What a policy's leaves are made of. */
export interface LeafSource {
  readonly identity: Omit<CpuModel, 'features'>
  readonly features: ReadonlySet<string>
  readonly topology: Topology
  readonly physicalAddressBits: number
  /** Frequency of the time-stamp counter; 0 leaves leaf 0x15 empty. */
  readonly tscKhz: number
  /** Frequency of the crystal, which is also that of the APIC timer. */
  readonly crystalKhz: number
}

/** Key of a subleaf in the map of leaves. */
export function leafKey(leaf: number, subleaf: number): number {
  return leaf * 64 + subleaf
}

/** Whether a vendor's processors behave as Intel's. */
export function isIntel({ vendor }: { readonly vendor: string }): boolean {
  return vendor === 'GenuineIntel'
}

type Registers = { -readonly [K in keyof CpuidResult]: number }

/** All leaves that are not zero, by {@link leafKey}; registers are unsigned. */
export function staticLeaves(source: LeafSource): Map<number, CpuidResult> {
  const leaves = new Map<number, Registers>()
  const at = (leaf: number, subleaf = 0): Registers => {
    const key = leafKey(leaf, subleaf)
    let registers = leaves.get(key)
    if (!registers) {
      registers = { eax: 0, ebx: 0, ecx: 0, edx: 0 }
      leaves.set(key, registers)
    }
    return registers
  }
  for (const [leaf, eax, ebx, ecx, edx] of source.identity.fixed) {
    Object.assign(at(leaf), { eax, ebx, ecx, edx })
  }
  addFeatures(source, at)
  addIdentity(source, at)
  addTopology(source, at)
  addXstate(source.features, at)
  addClocks(source, at)
  return leaves
}

type At = (leaf: number, subleaf?: number) => Registers

function addFeatures({ features, identity }: LeafSource, at: At): void {
  for (const name of features) {
    const feature = FEATURES.get(name)
    if (!feature) continue
    const registers = at(feature.leaf, feature.subleaf)
    registers[feature.register] = (registers[feature.register] | (1 << feature.bit)) >>> 0
  }
  at(7).eax = [2, 1].find((subleaf) => Object.values(at(7, subleaf)).some((bits) => bits)) ?? 0
  if (!isIntel(identity)) {
    const extended = at(0x80000001)
    extended.edx = (extended.edx | (at(1).edx & COMMON_EDX)) >>> 0
  }
  if (features.has('monitor')) Object.assign(at(5), { eax: 64, ebx: 64, ecx: 3 })
}

function addIdentity({ identity, features, physicalAddressBits }: LeafSource, at: At): void {
  const [ebx, edx, ecx] = words(identity.vendor)
  Object.assign(at(0), { eax: identity.maxBasicLeaf, ebx, ecx, edx })
  at(1).eax = signature(identity)
  const extended = at(0x80000000)
  extended.eax = identity.maxExtendedLeaf
  if (!isIntel(identity)) {
    Object.assign(extended, { ebx, ecx, edx })
    at(0x80000001).eax = signature(identity)
  }
  const brand = words(identity.brand.padEnd(48, '\0'))
  for (let i = 0; i < 3; i++) {
    const [a, b, c, d] = brand.slice(i * 4)
    Object.assign(at(0x80000002 + i), { eax: a, ebx: b, ecx: c, edx: d })
  }
  const linearBits = features.has('lm') ? 48 : 32
  at(0x80000008).eax = physicalAddressBits | (linearBits << 8)
}

function addTopology({ identity, features, topology }: LeafSource, at: At): void {
  const shift = packageShift(topology)
  const lineUnits = 64 / 8
  at(1).ebx = ((features.has('clflush') ? lineUnits : 0) << 8) | (Math.min(2 ** shift, 255) << 16)
  const { caches } = identity
  const cacheLeafNumber = isIntel(identity) ? 4 : features.has('topoext') ? 0x8000001d : undefined
  if (cacheLeafNumber !== undefined) {
    for (const [i, cache] of caches.entries()) {
      Object.assign(at(cacheLeafNumber, i), cacheLeaf(cache, topology, isIntel(identity)))
    }
  }
  if (isIntel(identity)) {
    const l2 = caches.find((cache) => cache.level === 2)
    at(0x80000006).ecx = l2 ? intelL2(l2) : 0
  } else {
    const { l1, l2 } = amdCacheLeaves(caches)
    Object.assign(at(0x80000005), l1)
    Object.assign(at(0x80000006), l2)
    at(0x80000008).ecx = Math.min(processorCount(topology) - 1, 255) | (shift << 12)
  }
}

function addXstate(features: ReadonlySet<string>, at: At): void {
  if (!features.has('xsave')) return
  const xcr0 = xcr0Mask(features)
  Object.assign(at(0xd), { eax: xcr0, ecx: standardSize(xcr0) })
  at(0xd, 1).ecx = xssMask(features)
  for (const { bit, size, offset, isSupervisor } of componentsOf(features)) {
    Object.assign(at(0xd, bit), { eax: size, ebx: offset, ecx: isSupervisor ? 1 : 0 })
  }
}

/** Leaf 0x15: TSC frequency = ECX × EBX / EAX; leaf 0x16: the same in MHz. */
function addClocks({ tscKhz, crystalKhz }: LeafSource, at: At): void {
  if (tscKhz === 0) return
  const common = greatestCommonDivisor(tscKhz, crystalKhz)
  Object.assign(at(0x15), {
    eax: crystalKhz / common,
    ebx: tscKhz / common,
    ecx: crystalKhz * 1000,
  })
  const mhz = Math.round(tscKhz / 1000)
  Object.assign(at(0x16), { eax: mhz, ebx: mhz, ecx: Math.round(crystalKhz / 1000) })
}

function greatestCommonDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestCommonDivisor(b, a % b)
}

/** Family, model and stepping as leaf 1 EAX. (SDM 2A, figure 3-6) */
function signature({ family, model, stepping }: LeafSource['identity']): number {
  const baseFamily = Math.min(family, 0xf)
  return (
    stepping |
    ((model & 0xf) << 4) |
    (baseFamily << 8) |
    ((model >> 4) << 16) |
    ((family - baseFamily) << 20)
  )
}

/** ASCII text as little-endian words of four characters. */
function words(text: string): number[] {
  const out: number[] = []
  for (let i = 0; i < text.length; i += 4) {
    let value = 0
    for (let k = 3; k >= 0; k--) value = value * 256 + (text.charCodeAt(i + k) & 0xff)
    out.push(value)
  }
  return out
}
