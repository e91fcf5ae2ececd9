// The flushes of a disk. In real time nobody waits for the medium: the disk alone stands still until it
// is there, with all that its frontend has put into its rings, and the guest and the others go on. What
// is acknowledged is safe then as it is when everybody waits. In virtual time everybody does, since a run
// must not depend on when a disk answers.

import { type DiskImage, flushNow } from './disk-image.ts'

export class Flusher {
  readonly #image: DiskImage
  readonly #onIdle: (() => void) | undefined
  #isBusy = false

  /** `onIdle` is called after each flush that nobody waited for; without it all are waited for. */
  constructor(image: DiskImage, onIdle?: () => void) {
    this.#image = image
    this.#onIdle = onIdle
  }

  /** Nobody may touch the image but to close it. */
  get isBusy(): boolean {
    return this.#isBusy
  }

  /** Flushes. False if that is done; true if `done` is called when it is, or with why it failed. */
  flush(done: (error?: unknown) => void): boolean {
    if (!this.#onIdle) {
      flushNow(this.#image)
      return false
    }
    this.#isBusy = true
    const ended = (error?: unknown) => {
      this.#isBusy = false
      done(error)
      this.#onIdle?.()
    }
    void this.#walk().then(() => ended(), ended)
    return true
  }

  async #walk(): Promise<void> {
    for (const storage of this.#image.flushSteps()) {
      if (storage.flushLater) await storage.flushLater()
      else storage.flush()
    }
  }
}
