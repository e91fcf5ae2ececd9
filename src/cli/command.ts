// The command: finds the verb, parses, runs, and turns what is thrown into messages and statuses.

import { UserError } from '../base/errors.ts'
import { parseArguments, UsageError } from './arguments.ts'
import { EXIT_BUG, EXIT_OK, EXIT_USAGE, EXIT_USER_ERROR } from './exit-status.ts'
import { findVerb } from './help.ts'
import { generalHelp, verbHelp } from './help-text.ts'
import type { Context } from './verb.ts'
import { versionLine } from './version.ts'

/** Options in place of a verb, as everybody tries them. */
const ALIASES: Readonly<Record<string, string>> = {
  '--help': 'help',
  '-h': 'help',
  '--version': 'version',
  '-V': 'version',
}

/**
 * Runs the command line `argv` (without the program's name).
 * @returns the exit status; never throws
 */
export async function runCommand(argv: readonly string[], context: Context): Promise<number> {
  const { verbs, stdout, stderr } = context
  const [first, ...rest] = argv
  if (first === undefined) {
    stderr.write(generalHelp(verbs))
    return EXIT_USAGE
  }
  try {
    const verb = findVerb(verbs, ALIASES[first] ?? first)
    const args = parseArguments(verb, rest)
    if (args.flag('help')) {
      stdout.write(verbHelp(verb))
      return EXIT_OK
    }
    return await verb.run(args, context)
  } catch (error) {
    if (error instanceof UserError) {
      stderr.write(`${error.what}\n${error.why}\n${error.remedy}\n`)
      return error instanceof UsageError ? EXIT_USAGE : EXIT_USER_ERROR
    }
    stderr.write(bugReport(error, argv))
    return EXIT_BUG
  }
}

/** What to print for an error that is not the user's. */
export function bugReport(error: unknown, argv: readonly string[]): string {
  const trace = error instanceof Error ? (error.stack ?? error.message) : String(error)
  return [
    'This is a bug in Xenolith, not in what you did.',
    trace,
    'Please report it with these lines and, if you may, the images:',
    `  ${versionLine()}`,
    `  xenolith ${argv.map((word) => (/^[\w./=:,-]+$/.test(word) ? word : JSON.stringify(word))).join(' ')}`,
    '',
  ].join('\n')
}
