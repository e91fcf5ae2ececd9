// Where a host process has its socket, and who may use it: a folder that only this user can enter,
// a socket that only this user can open. Whoever connects checks the same before it trusts what
// answers there.

import { lstatSync, mkdirSync, readdirSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { UserError } from '../../base/errors.ts'

export const DEFAULT_HOST = 'default'
/** A Unix socket's path has 108 bytes with the closing zero. */
const LONGEST_PATH = 107
const OTHERS = 0o077

export interface HostPlaces {
  readonly folder: string
  readonly socket: string
  /** The socket of xenstore: what XENSTORED_PATH is for Xen's own tools. */
  readonly xenstore: string
  /** Held while a host starts. */
  readonly lock: string
  /** What the host process prints. */
  readonly log: string
}

type Environment = Readonly<Record<string, string | undefined>>

/**
 * The paths of the host called `name`. XENOLITH_RUNTIME_DIR says the folder, otherwise it is
 * `xenolith` in XDG_RUNTIME_DIR, or one of this user's in the folder for temporary files.
 * @throws UserError for a name that is none
 */
export function placesOf(name: string, env: Environment): HostPlaces {
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]{0,31}$/.test(name)) {
    throw new UserError(
      `"${name}" is no name for a host.`,
      'It has letters, digits, ".", "_" and "-", 32 at most, and begins with a letter or digit.',
      'Choose another one.',
    )
  }
  const folder = runtimeFolder(env)
  const socket = join(folder, `${name}.sock`)
  const xenstore = join(folder, `${name}.xenstore`)
  if (Buffer.byteLength(xenstore) > LONGEST_PATH) {
    throw new UserError(
      `The host cannot have its socket at ${xenstore}.`,
      `The path of a Unix socket is ${LONGEST_PATH} bytes long at most.`,
      'Set XENOLITH_RUNTIME_DIR to a shorter folder.',
    )
  }
  const beside = (ending: string) => join(folder, `${name}.${ending}`)
  return { folder, socket, xenstore, lock: beside('lock'), log: beside('log') }
}

function runtimeFolder(env: Environment): string {
  const given = env['XENOLITH_RUNTIME_DIR']
  if (given) return given
  const runtime = env['XDG_RUNTIME_DIR']
  if (runtime) return join(runtime, 'xenolith')
  return join(tmpdir(), `xenolith-${ownUser()}`)
}

/** Names of the hosts that have a socket, alive or not. */
export function hostNames(env: Environment): string[] {
  try {
    const names = readdirSync(runtimeFolder(env)).filter((name) => name.endsWith('.sock'))
    return names.map((name) => name.slice(0, -'.sock'.length)).sort()
  } catch {
    return []
  }
}

/**
 * Makes the folder, for this user only.
 * @throws UserError if it is somebody else's, or open to others
 */
export function makeFolder({ folder }: HostPlaces): void {
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 })
  } catch (cause) {
    throw new UserError(
      `The folder ${folder} cannot be made.`,
      `${cause instanceof Error ? cause.message : String(cause)}.`,
      'Set XENOLITH_RUNTIME_DIR to a folder of yours.',
    )
  }
  checkOwned(folder, 'folder')
}

/**
 * Checks that a folder or socket is this user's and nobody else's. It is looked at itself: a
 * symbolic link is neither.
 * @returns false if there is none
 * @throws UserError
 */
export function checkOwned(path: string, kind: 'folder' | 'socket'): boolean {
  const stat = lstatSync(path, { throwIfNoEntry: false })
  if (!stat) return false
  const isKind = kind === 'folder' ? stat.isDirectory() : stat.isSocket()
  const mode = kind === 'folder' ? '700' : '600'
  const why = !isKind
    ? `It is no ${kind}.`
    : stat.uid !== ownUser()
      ? `It belongs to user ${stat.uid}, not to you.`
      : (stat.mode & OTHERS) !== 0
        ? `Others may use it: its mode is ${(stat.mode & 0o777).toString(8)}, not ${mode}.`
        : undefined
  if (why === undefined) return true
  throw new UserError(
    `The ${kind} ${path} is not safe to use.`,
    why,
    !isKind || stat.uid !== ownUser()
      ? 'Remove it, or set XENOLITH_RUNTIME_DIR to another folder.'
      : `Run: chmod ${mode} ${path}`,
  )
}

function ownUser(): number {
  // There are no users to check where there is no getuid, such as on Windows.
  return process.getuid?.() ?? 0
}
