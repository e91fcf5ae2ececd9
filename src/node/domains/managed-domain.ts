// A domain under the care of a host process: the guest file it is made from, its runs one after
// the other (a reboot makes a new domain of the same name), and those who look at its console.

import { UserError } from '../../base/errors.ts'
import type { GuestFile } from '../../toolstack/guest-file/guest-file.ts'
import type { RunningDomain } from '../running-domain.ts'

export class ManagedDomain {
  /** What it is made from; `config-update` changes it for the next start. */
  file: GuestFile
  isPausedByUser: boolean
  /** When the domain was created, in nanoseconds of the host's clock. */
  createdAt: number
  #running: RunningDomain
  readonly #listeners = new Set<(bytes: Uint8Array) => void>()
  readonly #closers = new Set<() => void>()
  #stopListening = () => {}

  constructor(file: GuestFile, running: RunningDomain, createdAt: number, isPaused: boolean) {
    this.file = file
    this.createdAt = createdAt
    this.isPausedByUser = isPaused
    this.#running = running
    this.#listen()
  }

  get id(): number {
    return this.#running.id
  }

  get name(): string {
    return this.#running.guest.name
  }

  /** The present run. */
  get running(): RunningDomain {
    return this.#running
  }

  /** The domain has been made anew; consoles follow it. */
  replace(running: RunningDomain, createdAt: number): void {
    this.#stopListening()
    this.#running = running
    this.createdAt = createdAt
    this.isPausedByUser = false
    this.#listen()
  }

  /**
   * Attaches to the console, over reboots, until the domain is gone, which calls `onGone`. Gives
   * the function that ends it.
   */
  attach(onOutput: (bytes: Uint8Array) => void, onGone: () => void): () => void {
    this.#listeners.add(onOutput)
    this.#closers.add(onGone)
    return () => {
      this.#listeners.delete(onOutput)
      this.#closers.delete(onGone)
    }
  }

  pause(): void {
    if (this.isPausedByUser) return
    this.isPausedByUser = true
    this.#running.guest.domain.pause()
  }

  /** @throws UserError if it is not paused */
  unpause(): void {
    if (!this.isPausedByUser) {
      throw new UserError(`${this.name} is not paused.`, 'It runs.', 'There is nothing to do.')
    }
    this.isPausedByUser = false
    this.#running.guest.domain.unpause()
  }

  /** The domain is gone for good. */
  gone(): void {
    this.#stopListening()
    for (const close of [...this.#closers]) close()
  }

  #listen(): void {
    this.#stopListening = this.#running.console.onOutput((bytes) => {
      for (const listener of [...this.#listeners]) listener(bytes)
    })
  }
}
