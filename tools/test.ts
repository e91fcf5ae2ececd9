// All tests: fetches the guests, runs the gate, then the instruction, guest and promise tests of test/. The last line gives
// the sum of everything; a failure of any kind makes the exit status non-zero.

import { runGate, runStep } from './gate.ts'
import { addUp, runTests, type TestRun } from './run-tests.ts'

/** The guests that tests boot, fetched once into the user's cache. */
const GUESTS = { name: 'guests', commands: [['tools/fetch-guests.ts']] }

/** A guest test boots several guests in several modes. */
const FILE_TIMEOUT_MS = 15 * 60_000

function printFile(file: string, run: TestRun, ms: number): void {
  const verdict = run.failed === 0 ? `ok, ${run.passed} passed` : `FAILED, ${run.failed} tests`
  console.log(`${file.padEnd(50)} ${(ms / 1000).toFixed(1).padStart(6)} s  ${verdict}`)
  if (run.output !== '') console.log(run.output.trimEnd().replace(/^/gm, '    '))
}

const guests = await runStep(GUESTS)
const gate = await runGate()
const long = await runTests(['test/**/*.test.ts'], {
  fileTimeoutMs: FILE_TIMEOUT_MS,
  onFile: printFile,
})
const total = addUp([guests, ...gate, long])
if (total.skipped > 0) console.log(`${total.skipped} skipped`)
console.log(`${total.passed} passed, ${total.failed} failed`)
process.exitCode = total.failed > 0 ? 1 : 0
