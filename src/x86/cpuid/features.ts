// CPUID features by name: where their bits are, and which follow from which.

import { Bug } from '../../base/errors.ts'
import { type CpuidRegister, FEATURE_WORDS, PREREQUISITES } from './feature-table.ts'

/** A named bit. */
export interface Feature {
  readonly name: string
  readonly aliases: readonly string[]
  readonly leaf: number
  readonly subleaf: number
  readonly register: CpuidRegister
  readonly bit: number
  /** Names of the features it directly depends on. */
  readonly needs: readonly string[]
}

/** All features by their own names. */
export const FEATURES: ReadonlyMap<string, Feature> = collect()

const BY_SPELLING = new Map<string, string>()
for (const { name, aliases } of FEATURES.values()) {
  for (const spelling of [name, ...aliases]) {
    const key = fold(spelling)
    const other = BY_SPELLING.get(key)
    if (other !== undefined && other !== name) throw new Bug(`${spelling}: ${other} or ${name}?`)
    BY_SPELLING.set(key, name)
  }
}

/**
 * A feature by any of its names, or undefined. `-`, `_` and `.` do not count: `sse4.1`, `sse4_1`
 * and `sse41` are the same.
 */
export function featureNamed(name: string): Feature | undefined {
  const own = BY_SPELLING.get(fold(name))
  return own === undefined ? undefined : FEATURES.get(own)
}

/** `names` and all that they need. */
export function withPrerequisites(names: Iterable<string>): Set<string> {
  const out = new Set<string>()
  const add = (name: string): void => {
    if (out.has(name)) return
    out.add(name)
    for (const needed of FEATURES.get(name)?.needs ?? []) add(needed)
  }
  for (const name of names) add(name)
  return out
}

/** Those of `names` of which all that they need is among `names` too. */
export function withoutOrphans(names: Iterable<string>): Set<string> {
  const out = new Set(names)
  // A feature may lose what it needs in any round; dependencies have no cycles, so this ends.
  for (let before = -1; before !== out.size; ) {
    before = out.size
    for (const name of out) {
      if (!FEATURES.get(name)?.needs.every((needed) => out.has(needed))) out.delete(name)
    }
  }
  return out
}

function fold(name: string): string {
  return name.toLowerCase().replaceAll(/[-_.]/g, '')
}

function collect(): Map<string, Feature> {
  const features = new Map<string, Feature>()
  for (const { leaf, subleaf, register, bits } of FEATURE_WORDS) {
    for (const text of bits.trim().split(/\s+/)) {
      const [bit, names] = text.split(':') as [string, string]
      const [name, ...aliases] = names.split('/') as [string, ...string[]]
      if (features.has(name)) throw new Bug(`two CPUID bits are named ${name}`)
      const needs = PREREQUISITES[name]?.split(' ') ?? []
      features.set(name, { name, aliases, leaf, subleaf, register, bit: Number(bit), needs })
    }
  }
  for (const [name, needs] of Object.entries(PREREQUISITES)) {
    const unknown = [name, ...needs.split(' ')].find((each) => !features.has(each))
    if (unknown !== undefined) throw new Bug(`no CPUID bit is named ${unknown}`)
  }
  return features
}
