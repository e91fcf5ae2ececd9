// A reporter for node:test: quiet about what passes, exact about what fails, and the totals as the
// last line, in JSON behind a mark, for the script that adds them up (run-tests.ts).

import type { TestEvent } from 'node:test/reporters'
import { relative } from 'node:path'

/** What stands before the totals, at the start of the last line. */
export const TOTALS_MARK = 'totals: '

export interface Totals {
  passed: number
  failed: number
  skipped: number
}

/** The reporter: the text to print for a stream of test events. */
export default async function* report(source: AsyncIterable<TestEvent>): AsyncGenerator<string> {
  const totals: Totals = { passed: 0, failed: 0, skipped: 0 }
  for await (const event of source) {
    if (event.type === 'test:fail') yield failure(event.data)
    else if (event.type === 'test:stdout' || event.type === 'test:stderr') yield event.data.message
    else if (event.type === 'test:summary') {
      const { counts } = event.data
      totals.passed = counts.passed
      totals.failed = counts.tests - counts.passed - counts.skipped - counts.todo
      totals.skipped = counts.skipped + counts.todo
    }
  }
  yield `${TOTALS_MARK}${JSON.stringify(totals)}\n`
}

/** The mode that code is executed in, if it is not the usual one. */
const MODE = process.env['XENOLITH_TRANSLATE']

/** Lines quoted of one failure: a comparison of two long lists has thousands. */
const QUOTED_LINES = 30

type Failure = Extract<TestEvent, { type: 'test:fail' }>['data']

function failure({ name, file, line, details }: Failure): string {
  const { error } = details
  // A suite or a file that fails only because of a test inside it says nothing new.
  if ('failureType' in error && error.failureType === 'subtestsFailed') return ''
  const thrown = error.cause instanceof Error ? error.cause : error
  const said = thrown === error ? error.message : (thrown.stack ?? thrown.message)
  const place = file === undefined ? '' : ` (${relative('.', file)}:${line ?? 1})`
  const lines = said.split('\n')
  const quoted = lines.slice(0, QUOTED_LINES)
  if (lines.length > QUOTED_LINES) quoted.push(`… ${lines.length - QUOTED_LINES} more lines`)
  for (const cause of causes(thrown)) quoted.push(`because of ${cause.message}`)
  const title = MODE ? `${name} [${MODE}]` : name
  return `FAILED ${title}${place}\n${quoted.map((line) => `    ${line}\n`).join('')}`
}

/** What made an error, and what made that: a failed fetch says why only there. */
function causes({ cause }: Error): Error[] {
  return cause instanceof Error ? [cause, ...causes(cause)] : []
}
