// All tests: fetches the guests, runs the gate, then the tests of test/, some of them in other modes of
// executing guest code, and those that measure time last and alone:
//
//   tools/test                                   all of that
//   tools/test FILE...                           those files
//   tools/test --modes all [FILE...]             tests that execute guest code, in each mode; hours
//   tools/test --modes always,no-sites [FILE...] the same in one mode; more of them: --modes X --modes Y
//
// FILEs may be patterns. The last line gives the sum of everything; a failure of any kind makes the
// exit status non-zero.

import { parseArgs } from 'node:util'
import { runGate, runStep } from './gate.ts'
import { modesOf, runModes, runUsualModes } from './modes.ts'
import { addUp, runTests, type TestRun } from './run-tests.ts'

/** The guests that tests boot, fetched once into the user's cache. */
const GUESTS = { name: 'guests', commands: [['tools/fetch-guests.ts']] }

/** They measure time: nothing else may run beside them. */
const PROMISES = 'test/promises/**/*.test.ts'

/** A guest test boots several guests in several modes. */
const FILE_TIMEOUT_MS = 15 * 60_000
/** The same where every block is translated. */
const MODE_FILE_TIMEOUT_MS = 90 * 60_000

function printFile(file: string, run: TestRun, ms: number): void {
  const verdict = run.failed === 0 ? `ok, ${run.passed} passed` : `FAILED, ${run.failed} tests`
  console.log(`${file.padEnd(50)} ${(ms / 1000).toFixed(1).padStart(6)} s  ${verdict}`)
  if (run.output !== '') console.log(run.output.trimEnd().replace(/^/gm, '    '))
}

const options = { fileTimeoutMs: FILE_TIMEOUT_MS, onFile: printFile }
const inModes = { ...options, fileTimeoutMs: MODE_FILE_TIMEOUT_MS }

async function runAll(): Promise<TestRun[]> {
  const gate = await runGate()
  const long = await runTests(['test/**/*.test.ts'], { ...options, exclude: [PROMISES] })
  const modes = await runUsualModes(options)
  const promises = await runTests([PROMISES], { ...options, workers: 1 })
  return [...gate, long, modes, promises]
}

/** What the arguments ask for. */
async function run(): Promise<TestRun[]> {
  if (modes.length > 0) return [await runModes(modes, positionals, inModes)]
  return positionals.length > 0 ? [await runTests(positionals, options)] : runAll()
}

const { values, positionals } = parseArgs({
  options: { modes: { type: 'string', multiple: true, default: [] } },
  allowPositionals: true,
})
const modes = modesOf(values.modes)
const guests = await runStep(GUESTS)
const runs = await run()
const total = addUp([guests, ...runs])
if (total.skipped > 0) console.log(`${total.skipped} skipped`)
console.log(`${total.passed} passed, ${total.failed} failed`)
process.exitCode = total.failed > 0 ? 1 : 0
