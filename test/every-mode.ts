// Loaded before a test file (tools/run-tests.ts): the machines of tests that do not say how they
// execute code do it as XENOLITH_TRANSLATE says. Hosts, and commands in processes of their own, see to
// that themselves.

import { setTestedMode } from '../src/x86/testing/tested-mode.ts'
import { translationMode } from '../src/x86/translator/options.ts'

const mode = process.env['XENOLITH_TRANSLATE']
if (mode) setTestedMode(translationMode(mode))
