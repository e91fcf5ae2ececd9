// Never wait silently: notices when nothing was heard for five seconds, then for twice as long, and
// so on. It has no clock of its own; who has one calls it.

const FIRST_MS = 5_000

export class Silence {
  #since: number
  #noticeAfter = FIRST_MS

  constructor(nowMs: number) {
    this.#since = nowMs
  }

  /** Something was heard. */
  broken(nowMs: number): void {
    this.#since = nowMs
    this.#noticeAfter = FIRST_MS
  }

  /** For how long nothing was heard, in whole seconds, if that is worth a line now. */
  notice(nowMs: number): number | undefined {
    const silent = nowMs - this.#since
    if (silent < this.#noticeAfter) return undefined
    this.#noticeAfter = silent * 2
    return Math.floor(silent / 1000)
  }
}
