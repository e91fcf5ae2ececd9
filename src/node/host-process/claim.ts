// Claims a host's socket: one process at a time, over the remains of one that was killed. A lock
// file keeps two that start at once apart; it holds its owner's process id.

import { closeSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs'
import { createConnection, type Server } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { UserError } from '../../base/errors.ts'
import { checkOwned, type HostPlaces, makeFolder } from './places.ts'

const LOCK_TRIES = 100
const LOCK_WAIT_MS = 50
/** Reading and writing for this user only. */
const SOCKET_MASK = 0o177

/** A host of that name runs already. */
export class HostRunsError extends UserError {}

/** Makes `server` listen on the host's socket. @throws HostRunsError, UserError */
export async function claimSocket(server: Server, places: HostPlaces, name: string): Promise<void> {
  makeFolder(places)
  await takeLock(places)
  try {
    if (checkOwned(places.socket, 'socket')) {
      if (await answers(places.socket)) {
        throw new HostRunsError(
          `The host "${name}" runs already.`,
          `A process answers at ${places.socket}.`,
          'Use it, or give the new one another name: --name NAME.',
        )
      }
      rmSync(places.socket)
    }
    await listen(server, places.socket)
    checkOwned(places.socket, 'socket')
  } finally {
    rmSync(places.lock, { force: true })
  }
}

/** Does anybody listen at a socket. */
export function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection(path)
    const end = (isThere: boolean) => {
      socket.destroy()
      resolve(isThere)
    }
    socket.once('connect', () => end(true))
    socket.once('error', () => end(false))
  })
}

async function takeLock({ lock }: HostPlaces): Promise<void> {
  for (let tries = 0; tries < LOCK_TRIES; tries++) {
    try {
      const file = openSync(lock, 'wx', 0o600)
      writeSync(file, String(process.pid))
      closeSync(file)
      return
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error
    }
    // What a killed one left is taken away; a new one has its number in it at once.
    if (tries > 2 && ownerIsDead(lock)) rmSync(lock, { force: true })
    await sleep(LOCK_WAIT_MS)
  }
  throw new UserError(
    'The host cannot be started.',
    `Another process holds ${lock}.`,
    'Wait for it, or remove that file if there is no such process.',
  )
}

function ownerIsDead(lock: string): boolean {
  try {
    const pid = Number(readFileSync(lock, 'utf8'))
    if (pid === 0) return true
    process.kill(pid, 0)
    return false
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'ESRCH'
  }
}

function listen(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    // The socket is made while this call lasts.
    const before = process.umask(SOCKET_MASK)
    try {
      server.listen(path, resolve)
    } finally {
      process.umask(before)
    }
  })
}
