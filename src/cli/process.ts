// Connects the command to this process: its streams, its signals, its end.

import type { Writable } from 'node:stream'
import { bugReport, runCommand } from './command.ts'
import { EXIT_BUG } from './exit-status.ts'
import type { Context } from './verb.ts'
import { VERBS } from './verbs.ts'

/** Runs the command line of this process, and leaves it when all is printed. */
export async function runProcess(
  services: Pick<Context, 'createHost' | 'demoGuest' | 'connectHost' | 'serveHost'>,
): Promise<never> {
  const argv = process.argv.slice(2)
  process.on('uncaughtException', (error) => {
    process.stderr.write(bugReport(error, argv))
    process.exit(EXIT_BUG)
  })
  // A reader that has gone (`xenolith … | head`) is no error; a run in the foreground ends by it.
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {})
  const { stdin, stdout, stderr, env } = process
  const tellReady = process.send && (() => void process.send?.('ready'))
  const context = { verbs: VERBS, stdin, stdout, stderr, env, process, tellReady, ...services }
  const status = await runCommand(argv, context)
  await Promise.all([drained(stdout), drained(stderr)])
  // Not left to the event loop: an open standard input would keep it going.
  process.exit(status)
}

function drained(stream: Writable): Promise<void> {
  return new Promise((resolve) => {
    stream.write('', () => resolve())
  })
}
