// run: boots one guest in the foreground and attaches its console.

import { UsageError } from './arguments.ts'
import { runInForeground } from './foreground.ts'
import { foregroundRun, IMAGE_OPTIONS, RUN_OPTIONS } from './run-options.ts'
import type { Verb } from './verb.ts'

export const run: Verb = {
  name: 'run',
  summary: 'boot a guest in the foreground and attach its console',
  options: [...IMAGE_OPTIONS, ...RUN_OPTIONS],
  examples: [
    ['xenolith run --kernel vmlinuz --ramdisk initrd.gz', 'boot a guest; leave with Ctrl-]'],
    [
      "xenolith run -k vmlinuz -r initrd.gz --timeout 60 --expect 'login:'",
      'in a script: status 0 as soon as the console shows "login:"',
    ],
    [
      "xenolith run -k vmlinuz -r initrd.gz --expect '# $' --send 'uname -r\\r' --expect '^6'",
      'type a command at the prompt and wait for its answer',
    ],
    [
      'xenolith run -k vmlinuz -r initrd.gz --disk root.qcow2,qcow2,xvda,w',
      'with a disk, which the guest sees as /dev/xvda',
    ],
    ['xenolith run -k vmlinuz -r initrd.gz --json | jq .', 'events for a program'],
  ],
  description: [
    'On a terminal every key goes to the guest, but Ctrl-], which ends the run. Otherwise ' +
      'standard input is typed into the console; its end does not end the run. The console comes ' +
      'on standard output, the talk on standard error.',
    'The options --expect and --send are carried out in the order given. A run whose last one is ' +
      "--expect ends when the text has come; a run whose last one is --send ends by the guest's " +
      'own end. Terminal escape sequences and carriage returns are not part of the text searched.',
  ],
  hasExitStatuses: true,
  async run(args, context) {
    const kernel = args.text('kernel')
    if (kernel === undefined) throw new UsageError('No kernel.', 'run needs one.', 'Give --kernel.')
    const defaults = { kernel, ramdisk: args.text('ramdisk'), name: 'guest' }
    return runInForeground(foregroundRun(args, defaults, context), context)
  },
}
