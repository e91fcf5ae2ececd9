// The ways to execute guest code that tests are run in, by the names that XENOLITH_TRANSLATE has for
// them (src/x86/translator/options.ts), and which tests those are: all that execute guest code.

import { translationMode } from '../src/x86/translator/options.ts'
import { addUp, runTests, type TestRun } from './run-tests.ts'

/** All modes: `tools/test --modes all`. */
const ALL = [
  'off',
  'hot',
  'always',
  'hot,no-sites',
  'always,no-sites',
  'hot,no-links',
  'always,no-links',
  'off,seed=1',
  'hot,seed=2',
  'hot,seed=3',
  'always,seed=4',
  'always,seed=5',
] as const

/** Instructions one by one, and programs beside the interpreter. */
const SMALL = ['src/x86/**/*.test.ts', 'test/{silicon,translator}/**/*.test.ts']
/** Guests, and commands and hosts that have some. */
const GUESTS = ['test/{guest,hostile,events,toolstack,docs,cli}/**/*.test.ts']
/** What has results of its own in each mode, or chooses the mode itself. */
const WITHOUT = [
  'test/translator/region-size.test.ts',
  'test/docs/profile-a-guest.test.ts',
  'test/guest/many-linux.test.ts',
]

/**
 * What every run of all tests has of the modes: those in which most of the code is translated in
 * another way. Whole sessions of guests are compared in test/guest/modes.test.ts.
 */
const USUAL = ['always', 'always,no-sites', 'always,no-links', 'hot,seed=2'] as const
const USUAL_FILES = ['src/x86/{system,interpreter,mmu}/*.test.ts']

interface Options {
  readonly fileTimeoutMs: number
  readonly onFile: (file: string, run: TestRun, ms: number) => void
}

/**
 * The modes of a list of names; `all` is all of them.
 * @throws UserError for what is no mode
 */
export function modesOf(names: readonly string[]): string[] {
  const modes = names.flatMap((name) => (name === 'all' ? ALL : [name]))
  for (const mode of modes) translationMode(mode)
  return [...new Set(modes)]
}

/** Runs tests in modes: the files that match, or all that execute guest code. */
export async function runModes(
  modes: readonly string[],
  files: readonly string[],
  options: Options,
): Promise<TestRun> {
  const patterns = files.length > 0 ? [...files] : [...SMALL, ...GUESTS]
  const runs: TestRun[] = []
  for (const mode of modes) runs.push(await runTests(patterns, inMode(mode, options)))
  return addUp(runs)
}

/** What belongs to a run of all tests. */
export async function runUsualModes(options: Options): Promise<TestRun> {
  return runModes(USUAL, USUAL_FILES, options)
}

function inMode(mode: string, { fileTimeoutMs, onFile }: Options) {
  return {
    fileTimeoutMs,
    mode,
    exclude: WITHOUT,
    onFile: (file: string, run: TestRun, ms: number) => onFile(`${file} [${mode}]`, run, ms),
  }
}
