// All tests: fetches the guests, runs the gate, then the tests of test/, and those that measure time
// last and alone. The last line gives the sum of everything; a failure of any kind makes the exit
// status non-zero.

import { runGate, runStep } from './gate.ts'
import { addUp, runTests, type TestRun } from './run-tests.ts'

/** The guests that tests boot, fetched once into the user's cache. */
const GUESTS = { name: 'guests', commands: [['tools/fetch-guests.ts']] }

/** They measure time: nothing else may run beside them. */
const PROMISES = 'test/promises/**/*.test.ts'

/** A guest test boots several guests in several modes. */
const FILE_TIMEOUT_MS = 15 * 60_000

function printFile(file: string, run: TestRun, ms: number): void {
  const verdict = run.failed === 0 ? `ok, ${run.passed} passed` : `FAILED, ${run.failed} tests`
  console.log(`${file.padEnd(50)} ${(ms / 1000).toFixed(1).padStart(6)} s  ${verdict}`)
  if (run.output !== '') console.log(run.output.trimEnd().replace(/^/gm, '    '))
}

const guests = await runStep(GUESTS)
const gate = await runGate()
const options = { fileTimeoutMs: FILE_TIMEOUT_MS, onFile: printFile }
const long = await runTests(['test/**/*.test.ts'], { ...options, exclude: [PROMISES] })
const promises = await runTests([PROMISES], { ...options, workers: 1 })
const total = addUp([guests, ...gate, long, promises])
if (total.skipped > 0) console.log(`${total.skipped} skipped`)
console.log(`${total.passed} passed, ${total.failed} failed`)
process.exitCode = total.failed > 0 ? 1 : 0
