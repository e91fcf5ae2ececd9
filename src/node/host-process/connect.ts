// Finds the host process of a name, and starts one where that is wanted.

import { spawn } from 'node:child_process'
import { closeSync, openSync, readFileSync } from 'node:fs'
import { UserError } from '../../base/errors.ts'
import { answers } from './claim.ts'
import { HostClient } from './client.ts'
import { checkOwned, DEFAULT_HOST, makeFolder, placesOf } from './places.ts'

type Environment = Readonly<Record<string, string | undefined>>

export interface ConnectOptions {
  readonly name?: string | undefined
  /** Says where hosts are; a host process that is started has these variables and no others. */
  readonly env: Environment
  /** The command that serves a host of that name, if one is to be started. */
  readonly start?: readonly string[] | undefined
}

/** A client of a host process; undefined if none runs and none is to be started. @throws UserError */
export async function connectHost(options: ConnectOptions): Promise<HostClient | undefined> {
  const places = placesOf(options.name ?? DEFAULT_HOST, options.env)
  const client = new HostClient(places.socket)
  const isThere = checkOwned(places.folder, 'folder') && checkOwned(places.socket, 'socket')
  if (isThere && (await answers(places.socket))) return client
  if (!options.start) return undefined
  makeFolder(places)
  try {
    await startProcess(options.start, places.log, options.env)
  } catch (error) {
    // Somebody else may have started it meanwhile.
    if (!(await answers(places.socket))) throw error
  }
  return client
}

/** Starts a host process that outlives this one; resolves when it says over IPC that it serves. */
function startProcess(
  command: readonly string[],
  logPath: string,
  env: Environment,
): Promise<void> {
  const [program = '', ...args] = command
  const log = openSync(logPath, 'a', 0o600)
  const child = spawn(program, args, {
    cwd: '/',
    env,
    detached: true,
    stdio: ['ignore', log, log, 'ipc'],
  })
  closeSync(log)
  return new Promise((resolve, reject) => {
    child.once('message', () => {
      child.disconnect()
      child.unref()
      resolve()
    })
    child.once('error', (error) => reject(notStarted(error.message, logPath)))
    child.once('exit', () => reject(notStarted(lastLogLine(logPath), logPath)))
  })
}

function lastLogLine(path: string): string {
  const lines = readFileSync(path, 'utf8').trim().split('\n')
  return lines.slice(-3).join(' ') || 'It ended without a word.'
}

function notStarted(why: string, log: string): UserError {
  return new UserError('The host process could not be started.', why, `Its log is ${log}.`)
}
