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
    [
      'xenolith run --disk debian.qcow2,qcow2,xvda,w --memory 512',
      'boot the kernel that is installed on a disk, as pygrub finds it',
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
    const [kernel, ramdisk, entry] = ['kernel', 'ramdisk', 'entry'].map((name) => args.text(name))
    checkSource({ kernel, ramdisk, entry, hasDisk: args.texts('disk').length > 0 })
    const defaults = { kernel, ramdisk, entry, name: 'guest' }
    return runInForeground(foregroundRun(args, defaults, context), context)
  },
}

interface Source {
  readonly kernel: string | undefined
  readonly ramdisk: string | undefined
  readonly entry: string | undefined
  readonly hasDisk: boolean
}

/** @throws UsageError if it is not clear what is to be booted */
function checkSource({ kernel, ramdisk, entry, hasDisk }: Source): void {
  if (kernel !== undefined) {
    if (entry === undefined) return
    throw new UsageError(
      'There is no boot menu to choose an entry from.',
      '--entry is for a guest that boots from its disk, and --kernel is given.',
      'Leave out one of them.',
    )
  }
  if (!hasDisk) {
    throw new UsageError(
      'There is nothing to boot.',
      'Neither a kernel nor a disk is given.',
      'Give a kernel (--kernel FILE), or a disk with a system on it (--disk FILE,qcow2,xvda,w).',
    )
  }
  if (ramdisk === undefined) return
  throw new UsageError(
    'The ramdisk has no kernel.',
    '--ramdisk is given without --kernel; a guest that boots from its disk finds both there.',
    'Give --kernel, or leave out --ramdisk.',
  )
}
