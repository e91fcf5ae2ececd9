// Runs cases on both processors and collects what differs, by row of the opcode table.

import { instructions } from '../../src/x86/decode/define.ts'
import '../../src/x86/instructions/all.ts'
import { differences, instructionOf, type Terms } from './compare.ts'
import { Generator } from './generate.ts'
import { RECORD_BYTES, Records } from './layout.ts'
import type { NativeProcessor } from './native.ts'
import { OurProcessor } from './ours.ts'
import { type Variant, variantsOf } from './variants.ts'

export interface Plan {
  readonly cases: number
  readonly seed: number
  /** Only instructions of this name. */
  readonly name?: string | undefined
  /** Only in these modes. */
  readonly modes?: readonly string[] | undefined
  /** Compare flags that the manuals leave undefined, too. */
  readonly isStrict?: boolean | undefined
}

/** What differs for a row: how often, and the first case that shows it. */
export interface Failure {
  readonly row: string
  count: number
  /** The case as its record. */
  readonly record: Uint8Array
  readonly found: readonly string[]
}

export interface Report {
  readonly cases: number
  /** Combinations of row, mode, operand size and form; each was met cases / variants times. */
  readonly variants: number
  readonly failures: readonly Failure[]
}

const BATCH = 8192

/** Runs a plan. */
export function runSuite(native: NativeProcessor, plan: Plan): Report {
  const { name, modes } = plan
  const variants = variantsOf(instructions.rows, { name, modes, features: native.features })
  if (variants.length === 0) throw new Error(`no instruction to compare is named ${name}`)
  const generator = new Generator(plan.seed)
  const processor = new OurProcessor(native.features)
  const terms = { features: native.features, isStrict: plan.isStrict ?? false }
  const failures = new Map<string, Failure>()
  for (let first = 0; first < plan.cases; first += BATCH) {
    const count = Math.min(BATCH, plan.cases - first)
    const cases = Records.ofCount(count)
    for (let i = 0; i < count; i++) {
      const variant = variants[(first + i) % variants.length] as Variant
      generator.make(cases, i, first + i, variant)
    }
    compareBatch(native, processor, cases, terms, (i, found) => {
      const row = instructionOf(cases, i, native.features)
      const key = row ? `${row.name} (${row.text})` : 'no instruction'
      const known = failures.get(key)
      const record = cases.u8.slice(i * RECORD_BYTES, (i + 1) * RECORD_BYTES)
      if (known) known.count++
      else failures.set(key, { row: key, count: 1, record, found })
    })
  }
  return { cases: plan.cases, variants: variants.length, failures: [...failures.values()] }
}

/** Runs a batch on both processors; calls `differ` for each case whose outcomes differ. */
export function compareBatch(
  native: Pick<NativeProcessor, 'run'>,
  processor: OurProcessor,
  cases: Records,
  terms: Terms,
  differ: (index: number, found: readonly string[]) => void,
): void {
  const theirs = native.run(cases)
  const ours = Records.ofCount(cases.count)
  processor.prepare(cases)
  for (let i = 0; i < cases.count; i++) {
    try {
      processor.run(cases, i, ours)
    } catch (error) {
      differ(i, [`ours threw ${error instanceof Error ? error.stack : String(error)}`])
      continue
    }
    const found = differences(cases, i, theirs, ours, terms)
    if (found.length > 0) differ(i, found)
  }
}
