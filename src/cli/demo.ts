// demo: from nothing to a running guest in one command. The guest is Debian's cloud kernel with a
// ramdisk of busybox, made on first use.

import { DEMO_PROMPT } from '../toolstack/image/demo-ramdisk.ts'
import type { ScriptStep } from './console-script.ts'
import { runInForeground } from './foreground.ts'
import { foregroundRun, RUN_OPTIONS } from './run-options.ts'
import type { Verb } from './verb.ts'

const PROMPT = new RegExp(DEMO_PROMPT.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'))

/** The kernel's tests of its own ciphers are two thirds of what it executes to boot. */
const CMDLINE_EXTRA = 'cryptomgr.notests'

/** What the demo does by itself when nobody is there to type. */
const SHOW: readonly ScriptStep[] = [
  { kind: 'expect', pattern: PROMPT },
  { kind: 'send', text: 'uname -a\r' },
  { kind: 'expect', pattern: PROMPT },
  { kind: 'send', text: 'poweroff\r' },
]

export const demo: Verb = {
  name: 'demo',
  summary: "boot the demo guest: Debian's kernel and a shell",
  options: RUN_OPTIONS,
  examples: [
    ['xenolith demo', 'a shell in a guest; leave with "poweroff" or Ctrl-]'],
    ['xenolith demo --vcpus 2 --memory 512', 'a larger one'],
  ],
  description: [
    'The guest is made from Debian packages on first use and kept in the cache. Without a terminal ' +
      'on standard input the demo types "uname -a" and "poweroff" itself.',
    `Its command line leaves out the kernel's tests of its ciphers (${CMDLINE_EXTRA}), which are ` +
      'most of a boot here; --cmdline replaces it.',
  ],
  hasExitStatuses: true,
  async run(args, context) {
    const files = await context.demoGuest((line) => context.stderr.write(`demo: ${line}\n`))
    const asked = foregroundRun(
      args,
      { ...files, name: 'demo', cmdlineExtra: CMDLINE_EXTRA },
      context,
    )
    const isAlone = context.stdin.isTTY !== true && asked.script.length === 0
    return runInForeground(isAlone ? { ...asked, script: SHOW } : asked, context)
  },
}
