// The table of verbs, in the order in which the help lists them.

import { bench } from './bench.ts'
import { console } from './console.ts'
import { create } from './create.ts'
import { demo } from './demo.ts'
import { help } from './help.ts'
import { host } from './host.ts'
import { destroy, pause, reboot, rename, shutdown, unpause } from './life-verbs.ts'
import { list } from './list.ts'
import { domid, domname } from './name-verbs.ts'
import { run } from './run.ts'
import type { Verb } from './verb.ts'
import { version } from './version.ts'

export const VERBS: readonly Verb[] = [
  run,
  demo,
  create,
  list,
  console,
  shutdown,
  reboot,
  destroy,
  pause,
  unpause,
  rename,
  domid,
  domname,
  host,
  bench,
  help,
  version,
]
