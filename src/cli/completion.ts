// completion: prints what a shell needs to complete the command line, made from the table of verbs.

import { UsageError } from './arguments.ts'
import { completionScript, SHELLS } from './completion-script.ts'
import { EXIT_OK } from './exit-status.ts'
import type { Verb } from './verb.ts'

export const completion: Verb = {
  name: 'completion',
  summary: "print a shell's completion of this command",
  operands: 'bash|zsh',
  leastOperands: 1,
  mostOperands: 1,
  options: [],
  examples: [
    ['source <(xenolith completion bash)', 'complete verbs, options, files and names of domains'],
  ],
  async run({ operands: [name = ''] }, { verbs, stdout }) {
    const shell = SHELLS.find((one) => one === name)
    if (shell === undefined) {
      throw new UsageError(
        `There is no completion for "${name}".`,
        `The shells are ${SHELLS.join(' and ')}.`,
        'Give one of them.',
      )
    }
    stdout.write(completionScript(shell, verbs))
    return EXIT_OK
  },
}
