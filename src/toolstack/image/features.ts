// The feature words of a kernel's notes (public/features.h): a string such as
// `!writable_page_tables|pae_pgdir_above_4gb`, where `!` marks what the kernel cannot do
// without, and a number with the bits it supports.

import * as header from '../../xen/abi/features.ts'

/** XENFEAT_* by name, without the prefix. */
export const XENFEAT: ReadonlyMap<string, number> = new Map(
  Object.entries(header)
    .filter(([name, bit]) => /^XENFEAT_(?!NR_)/.test(name) && typeof bit === 'number')
    .map(([name, bit]) => [name.slice('XENFEAT_'.length), bit]),
)

export interface Features {
  /** The string as the kernel wrote it. */
  readonly text: string
  /** Bits the kernel supports, required ones included. */
  readonly supported: number
  /** Bits the kernel cannot do without. */
  readonly required: number
  /** Names nobody knows; those with a leading `!` are required. */
  readonly unknown: readonly string[]
}

export const NO_FEATURES: Features = { text: '', supported: 0, required: 0, unknown: [] }

/** Decodes the string and joins it with the bits of XEN_ELFNOTE_SUPPORTED_FEATURES. */
export function parseFeatures(text: string, supportedBits: bigint): Features {
  let supported = Number(BigInt.asUintN(32, supportedBits))
  let required = 0
  const unknown: string[] = []
  for (const word of text.split('|')) {
    if (word === '') continue
    const isRequired = word.startsWith('!')
    const bit = XENFEAT.get(isRequired ? word.slice(1) : word)
    if (bit === undefined) {
      unknown.push(word)
      continue
    }
    supported = (supported | (1 << bit)) >>> 0
    if (isRequired) required = (required | (1 << bit)) >>> 0
  }
  return { text, supported, required, unknown }
}

/** The names of the bits set, lowest first; a bit without a name gives `bit N`. */
export function featureNames(bits: number): string[] {
  const names = new Map(Array.from(XENFEAT, ([name, bit]) => [bit, name]))
  return Array.from({ length: 32 }, (_, bit) => bit)
    .filter((bit) => ((bits >>> bit) & 1) === 1)
    .map((bit) => names.get(bit) ?? `bit ${bit}`)
}
