// How code is executed on the machines of tests that do not say: test/every-mode.ts sets it before a
// test file is loaded, so that the same tests run in each mode.

import type { TranslationMode } from '../translator/options.ts'

let mode: TranslationMode = 'hot'

export function testedMode(): TranslationMode {
  return mode
}

/** From now on machines are made in this mode. */
export function setTestedMode(wanted: TranslationMode): void {
  mode = wanted
}
