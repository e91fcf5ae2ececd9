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

export class Watches {
  readonly #base: string
  #watches: Watch[] = []

  /** Relative paths are taken from `base`. */
  constructor(base: string) {
    this.#base = base
  }

  /** EINVAL for a bad path, EEXIST for the same path and token, E2BIG with more than `limit` watches. */
  add(path: string, token: string, limit: number, pathLength: number): Watch | Errno {
    const absolute = absolutePath(path, this.#base)
    const isGood = isSpecial(path)
      ? path.length <= XENSTORE_REL_PATH_MAX
      : isValidPath(absolute, pathLength)
    if (!isGood) return 'EINVAL'
    if (this.#find(absolute, token) >= 0) return 'EEXIST'
    if (this.#watches.length > limit) return 'E2BIG'
    const watch = { path: absolute, token, isRelative: absolute !== path }
    this.#watches.push(watch)
    return watch
  }

  /** ENOENT if there is no such watch. */
  remove(path: string, token: string): undefined | Errno {
    const index = this.#find(absolutePath(path, this.#base), token)
    if (index < 0) return 'ENOENT'
    this.#watches.splice(index, 1)
    return undefined
  }

  get size(): number {
    return this.#watches.length
  }

  clear(): void {
    this.#watches = []
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
  }

  #find(path: string, token: string): number {
    return this.#watches.findIndex((w) => w.path === path && w.token === token)
  }
}
