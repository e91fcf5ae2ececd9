// Locks of image files, which the operating system keeps: they end with the process, however it
// ends. Node cannot take them itself. On Linux flock(1) takes the lock on the file that it inherits
// from us, and such a lock belongs to the open file, not to the process that asked for it.

import { spawnSync } from 'node:child_process'
import { UserError } from '../base/errors.ts'

/** flock(1) ends with it when somebody else has the lock. */
const TAKEN = 100

/**
 * Locks an open file until it is closed: for itself alone, or against writers.
 * @throws UserError if somebody else has it, or locks cannot be had
 */
export function lockFile(fd: number, path: string, isExclusive: boolean): void {
  const kind = isExclusive ? '--exclusive' : '--shared'
  const args = [kind, '--nonblock', '--conflict-exit-code', String(TAKEN), '3']
  const { status, error } = spawnSync('flock', args, { stdio: ['ignore', 'ignore', 'pipe', fd] })
  if (status === 0) return
  if (status === TAKEN) {
    throw new UserError(
      `The disk image ${path} is in use.`,
      isExclusive
        ? 'Another domain, or another host, has it open.'
        : 'Another domain, or another host, writes it.',
      'End that one first. To use one image in several domains give it read-only, or snapshot=1.',
    )
  }
  throw new UserError(
    `The disk image ${path} cannot be locked.`,
    error ? `flock cannot be run: ${error.message}.` : `flock ended with status ${status}.`,
    'Install flock (Debian: util-linux); without locks two guests could destroy the image.',
  )
}
