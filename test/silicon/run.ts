// Compares our processor with the one underneath, instruction by instruction:
//
//   tools/node test/silicon/run.ts [--cases N] [--seed N] [--only NAME] [--mode NAME]
//                                  [--strict] [--translation MODE] [--case TEXT]
//
// Prints, for each row of the opcode table that differs, how often and one case, as small as it
// could be made. --case runs such a case again. --strict compares undefined flags too. MODE: off or
// always, or one with more behind commas, as in always,no-sites (src/x86/translator/options.ts).

import { parseArgs } from 'node:util'
import { translationMode } from '../../src/x86/translator/options.ts'
import { minimize } from './minimize.ts'
import { NativeProcessor } from './native.ts'
import { OurProcessor } from './ours.ts'
import { runSuite } from './suite.ts'
import { caseFromText, caseToText } from './text.ts'

const { values } = parseArgs({
  options: {
    cases: { type: 'string', default: '50000' },
    seed: { type: 'string', default: '1' },
    only: { type: 'string' },
    mode: { type: 'string', multiple: true },
    strict: { type: 'boolean', default: false },
    translation: { type: 'string', default: 'off' },
    case: { type: 'string' },
  },
})

const mode = translationMode(values.translation)
const native = new NativeProcessor()
const terms = { features: native.features, vendor: native.vendor, isStrict: values.strict }
let shower: OurProcessor | undefined
try {
  process.exitCode = values.case === undefined ? runPlan() : runCase(values.case)
} finally {
  native.dispose()
}

function runPlan(): number {
  const started = performance.now()
  const { cases, variants, failures } = runSuite(native, {
    cases: Number(values.cases),
    seed: Number(values.seed),
    name: values.only,
    modes: values.mode,
    isStrict: values.strict,
    mode,
  })
  const seconds = ((performance.now() - started) / 1000).toFixed(1)
  for (const { row, count, record } of failures) {
    console.log(`${row}: ${count} differ`)
    show(record)
  }
  console.log(
    `${cases} cases, each of ${variants} variants ${Math.floor(cases / variants)} times, ` +
      `in ${seconds} s, seed ${values.seed}: ${failures.length} rows differ`,
  )
  return failures.length === 0 ? 0 : 1
}

function runCase(text: string): number {
  return show(caseFromText(text)) ? 1 : 0
}

/** Prints a case, made small, and what differs; says whether something does. */
function show(record: Uint8Array): boolean {
  shower ??= new OurProcessor(native.features, mode)
  const { record: small, found } = minimize(native, shower, record, terms)
  console.log(`  --case '${caseToText(small)}'`)
  for (const line of found) console.log(`    ${line}`)
  if (found.length === 0) console.log('    no difference')
  return found.length > 0
}
