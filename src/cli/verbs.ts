// The table of verbs, in the order in which the help lists them.

import { bench } from './bench.ts'
import { demo } from './demo.ts'
import { help } from './help.ts'
import { run } from './run.ts'
import type { Verb } from './verb.ts'
import { version } from './version.ts'

export const VERBS: readonly Verb[] = [run, demo, bench, help, version]
