// help: what the verbs do.

import { UsageError } from './arguments.ts'
import { didYouMean } from '../base/did-you-mean.ts'
import { EXIT_OK } from './exit-status.ts'
import { generalHelp, verbHelp } from './help-text.ts'
import type { Verb } from './verb.ts'
import { ABSENT_FLAGS, absentVerb } from './xl-absent.ts'

/**
 * The verb of that name.
 * @throws UsageError with the name that was probably meant
 */
export function findVerb(verbs: readonly Verb[], name: string): Verb {
  const verb = verbs.find((candidate) => candidate.name === name)
  if (verb) return verb
  const flag = ABSENT_FLAGS['']?.[name]
  if (flag !== undefined) {
    throw new UsageError(
      `There is no ${name} before the verb here, as xl has it.`,
      `The reason: ${flag}.`,
      '"xenolith help" lists the verbs; options follow them.',
    )
  }
  const absent = absentVerb(name)
  if (absent) {
    throw new UsageError(
      `There is no "${name}" here, as xl has it.`,
      `The reason: ${absent.why}.`,
      '"xenolith help" lists the verbs; docs/reference/xl.md compares them with those of xl.',
    )
  }
  const near = didYouMean(
    name,
    verbs.map((candidate) => candidate.name),
  )
  throw new UsageError(
    `Unknown verb "${name}".`,
    near ? `Did you mean "${near}"?` : 'No verb has a name like that.',
    '"xenolith help" lists the verbs.',
  )
}

export const help: Verb = {
  name: 'help',
  summary: 'show what the verbs do',
  operands: '[VERB]',
  mostOperands: 1,
  options: [{ name: 'long', summary: 'for xl; all verbs are listed anyway' }],
  examples: [['xenolith help run', 'everything about one verb']],
  async run({ operands: [name] }, { verbs, stdout }) {
    stdout.write(name === undefined ? generalHelp(verbs) : verbHelp(findVerb(verbs, name)))
    return EXIT_OK
  },
}
