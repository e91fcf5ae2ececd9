// The watches of one client. Follows docs/misc/xenstore.txt, "Watches": an event on a path goes
// to the watches on it and on all paths above it, and names a relative path to a relative watch.

import { absolutePath, isSpecial, isValidPath, isWithin } from './path.ts'
import { type Errno, XENSTORE_REL_PATH_MAX } from './wire.ts'
import type { Change } from './workspace.ts'

/** A watch as plain data. */
export interface Watch {
  /** Absolute, or a special event. */
  readonly path: string
  readonly token: string
  /** Whether the client gave a relative path, and is told relative ones. */
  readonly isRelative: boolean
}

/** What a client may have of watches. */
export interface WatchLimits {
  readonly limit: number
  readonly pathLength: number
  /** May the client take so many bytes more. */
  readonly mayTake: (bytes: number) => boolean
}

export class Watches {
  readonly #base: string
  #watches: Watch[] = []
  #bytes = 0

  /** Relative paths are taken from `base`. */
  constructor(base: string) {
    this.#base = base
  }

  /**
   * EINVAL for a bad path, EEXIST for the same path and token, E2BIG with more than `limit` watches,
   * ENOMEM if so many bytes more are not had.
   */
  add(path: string, token: string, { limit, pathLength, mayTake }: WatchLimits): Watch | Errno {
    const absolute = absolutePath(path, this.#base)
    const isGood = isSpecial(path)
      ? path.length <= XENSTORE_REL_PATH_MAX
      : isValidPath(absolute, pathLength)
    if (!isGood) return 'EINVAL'
    if (this.#find(absolute, token) >= 0) return 'EEXIST'
    if (this.#watches.length > limit) return 'E2BIG'
    const watch = { path: absolute, token, isRelative: absolute !== path }
    if (!mayTake(bytesOf(watch))) return 'ENOMEM'
    this.#watches.push(watch)
    this.#bytes += bytesOf(watch)
    return watch
  }

  /** ENOENT if there is no such watch. */
  remove(path: string, token: string): undefined | Errno {
    const index = this.#find(absolutePath(path, this.#base), token)
    if (index < 0) return 'ENOENT'
    for (const watch of this.#watches.splice(index, 1)) this.#bytes -= bytesOf(watch)
    return undefined
  }

  /** What they take of their client's memory. */
  get bytes(): number {
    return this.#bytes
  }

  get size(): number {
    return this.#watches.length
  }

  clear(): void {
    this.#watches = []
    this.#bytes = 0
  }

  /** The watches that see a change. */
  matching({ path, isExact }: Change): Watch[] {
    return this.#watches.filter((w) => (isExact ? path === w.path : isWithin(path, w.path)))
  }

  /** The path of an event as the owner of the watch is told it. */
  pathFor(watch: Watch, path: string): string {
    return watch.isRelative ? path.slice(this.#base.length + 1) : path
  }

  save(): Watch[] {
    return [...this.#watches]
  }

  restore(watches: readonly Watch[]): void {
    this.#watches = [...watches]
    this.#bytes = watches.reduce((sum, watch) => sum + bytesOf(watch), 0)
  }

  #find(path: string, token: string): number {
    return this.#watches.findIndex((w) => w.path === path && w.token === token)
  }
}

function bytesOf({ path, token }: Watch): number {
  return path.length + token.length
}
