// Compares our processor with the one underneath, instruction by instruction:
//
//   node test/silicon/run.ts [--cases N] [--seed N] [--only NAME] [--verbose]
//
// Prints, for each instruction that differs, how often and one example.

import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { instructions } from '../../src/x86/decode/define.ts'
import type { Row } from '../../src/x86/decode/row.ts'
import '../../src/x86/instructions/all.ts'
import { decodeOutcomes, encodeCases, type TestCase } from './case.ts'
import { differences } from './compare.ts'
import { Generator } from './generate.ts'
import { OurProcessor } from './ours.ts'
import { NOT_COMPARED } from './undefined.ts'

export interface Report {
  readonly cases: number
  /** Instruction to examples of what differs. */
  readonly failures: ReadonlyMap<string, { count: number; readonly example: string }>
}

const BATCH = 4096

/** Runs `count` cases spread over the rows of the opcode table. */
export function compareWithSilicon(count: number, seed: number, only?: string): Report {
  const folder = mkdtempSync(join(tmpdir(), 'xenolith-silicon-'))
  try {
    const runner = join(folder, 'runner')
    execFileSync('gcc', ['-O1', '-o', runner, join(import.meta.dirname, 'runner.c')])
    return compareWith(runner, count, seed, only)
  } finally {
    rmSync(folder, { recursive: true })
  }
}

function compareWith(runner: string, count: number, seed: number, only?: string): Report {
  const rows = instructions.rows.filter(
    (row) =>
      !row.attributes.has('i64') &&
      NOT_COMPARED[row.name] === undefined &&
      !loadsSegment(row) &&
      (only === undefined || row.name === only),
  )
  const generator = new Generator(seed)
  const processor = new OurProcessor()
  const failures = new Map<string, { count: number; example: string }>()
  for (let first = 0; first < count; first += BATCH) {
    const size = Math.min(BATCH, count - first)
    const cases = Array.from({ length: size }, (_, i) =>
      generator.make(first + i, rows[(first + i) % rows.length] as (typeof rows)[0]),
    )
    const result = spawnSync(runner, {
      input: encodeCases(cases),
      maxBuffer: 1 << 30,
      timeout: 30000,
    })
    const outcomes = decodeOutcomes(result.stdout)
    if (outcomes.length !== size)
      throw new Error(`the runner ended: ${result.signal ?? result.status}`)
    for (const [i, test] of cases.entries()) {
      const row = rows[(first + i) % rows.length] as (typeof rows)[0]
      const found = compareOne(processor, row.name, test, outcomes[i] as (typeof outcomes)[0])
      if (found.length === 0) continue
      const key = `${row.name} (${row.text})`
      const known = failures.get(key)
      if (known) known.count++
      else failures.set(key, { count: 1, example: describe(test, found) })
    }
  }
  return { cases: count, failures }
}

/** Segment registers take selectors of another GDT, and FS is the runner's own. */
function loadsSegment(row: Row): boolean {
  const [first] = row.operands
  if (first?.kind === 'S') return true
  return first?.kind === 'fixed' && first.fixed?.class === 'segment' && row.name === 'POP'
}

function compareOne(
  processor: OurProcessor,
  name: string,
  test: TestCase,
  theirs: ReturnType<typeof decodeOutcomes>[0],
): string[] {
  try {
    return differences(name, test, theirs, processor.run(test))
  } catch (error) {
    return [`ours threw ${error instanceof Error ? error.stack : String(error)}`]
  }
}

function describe(test: TestCase, found: readonly string[]): string {
  const code = Buffer.from(test.code).toString('hex')
  const registers = [...test.gpr].map((value) => value.toString(16)).join(' ')
  return (
    `case ${test.id}: ${code} at +${test.codeOffset}, flags ${test.rflags.toString(16)}, ` +
    `registers ${registers}\n    ${found.join('\n    ')}`
  )
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: {
      cases: { type: 'string', default: '50000' },
      seed: { type: 'string', default: '1' },
      only: { type: 'string' },
    },
  })
  const started = performance.now()
  const { cases, failures } = compareWithSilicon(
    Number(values.cases),
    Number(values.seed),
    values.only,
  )
  for (const [name, { count, example }] of failures)
    console.log(`${name}: ${count} differ\n  ${example}`)
  const seconds = ((performance.now() - started) / 1000).toFixed(1)
  console.log(`${cases} cases in ${seconds} s, seed ${values.seed}: ${failures.size} rows differ`)
  process.exitCode = failures.size === 0 ? 0 : 1
}
