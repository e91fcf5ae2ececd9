// Runs cases on both processors and collects what differs, by row of the opcode table.

import { instructions } from '../../src/x86/decode/define.ts'
import '../../src/x86/instructions/all.ts'
import type { TranslationMode } from '../../src/x86/translator/options.ts'
import { differences, instructionOf, type Terms } from './compare.ts'
import { Generator } from './generate.ts'
import { Records } from './layout.ts'
import type { NativeProcessor } from './native.ts'
import { OurProcessor } from './ours.ts'
import { type Variant, variantsOf } from './variants.ts'
import type { Vectors } from './vectors.ts'

export interface Plan {
  readonly cases: number
  readonly seed: number
  /** Only instructions of this name. */
  readonly name?: string | undefined
  /** Only in these modes. */
  readonly modes?: readonly string[] | undefined
  /** Compare flags that the manuals leave undefined, too. */
  readonly isStrict?: boolean | undefined
  /** How our processor executes each instruction; it interprets it if not given. */
  readonly mode?: TranslationMode | undefined
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
  const processor = new OurProcessor(native.features, plan.mode)
  const failures = new Failures({
    features: native.features,
    vendor: native.vendor,
    isStrict: plan.isStrict ?? false,
  })
  for (let first = 0; first < plan.cases; first += BATCH) {
    const cases = Records.ofCount(Math.min(BATCH, plan.cases - first))
    for (let i = 0; i < cases.count; i++) {
      const variant = variants[(first + i) % variants.length] as Variant
      generator.make(cases, i, first + i, variant)
    }
    failures.compare(native, processor, cases)
  }
  return { cases: plan.cases, variants: variants.length, failures: failures.all }
}

/** Runs recorded cases on our processor. */
export function runVectors(
  { features, vendor, cases, outcomes }: Vectors,
  mode?: TranslationMode,
): Report {
  const failures = new Failures({ features, vendor, isStrict: false })
  const processor = new OurProcessor(features, mode)
  failures.compare({ run: () => outcomes }, processor, cases)
  return { cases: cases.count, variants: 0, failures: failures.all }
}

/** Collects failures by row. */
class Failures {
  readonly #terms: Terms
  readonly #byRow = new Map<string, Failure>()

  constructor(terms: Terms) {
    this.#terms = terms
  }

  get all(): Failure[] {
    return [...this.#byRow.values()]
  }

  compare(native: Pick<NativeProcessor, 'run'>, processor: OurProcessor, cases: Records): void {
    compareBatch(native, processor, cases, this.#terms, (i, found) => {
      const row = instructionOf(cases, i, this.#terms.features)
      const key = row ? `${row.name} (${row.text})` : 'no instruction'
      const known = this.#byRow.get(key)
      const record = cases.record(i).slice()
      if (known) known.count++
      else this.#byRow.set(key, { row: key, count: 1, record, found })
    })
  }
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
