// Waiting for something that guests do, with a limit. A host whose time is virtual, and that was
// not started, is moved on from here, and looked at after every round: whatever is typed next then
// comes at the same moment in every run. A host in real time is started, and looked at now and then.

import { setImmediate, setTimeout as sleep } from 'node:timers/promises'
import { UserError } from '../base/errors.ts'
import type { StepResult } from '../xen/scheduler.ts'

export interface WaitOptions {
  /** The longest to wait, by the clock on the wall; what the host was told if not given. */
  readonly timeoutMs?: number | undefined
  /** Ends the waiting, such as that of a test which has failed elsewhere. */
  readonly signal?: AbortSignal | undefined
}

/** What was waited for did not come in time, or cannot come any more. */
export class WaitError extends UserError {
  readonly reason: 'timeout' | 'ended'

  constructor(reason: WaitError['reason'], what: string, why: string, remedy: string) {
    super(what, why, remedy)
    this.reason = reason
  }
}

/** The host, as waiting needs it. */
export interface Waited {
  readonly isRunning: boolean
  /** Makes a host in real time run; false if this one is moved on by {@link step}. */
  startIfReal(): boolean
  step(): StepResult
}

/** Rounds between two turns of the event loop. */
const ROUNDS = 256
/** How often a host that runs is looked at. */
const LOOK_MS = 2

/**
 * Runs the host until `find` finds something.
 * @throws what `expired` makes, when the time is over
 */
export async function waitFor<T>(
  host: Waited,
  find: () => T | undefined,
  options: { readonly timeoutMs: number; readonly signal?: AbortSignal | undefined },
  expired: () => Error,
): Promise<T> {
  const { timeoutMs, signal } = options
  const end = performance.now() + timeoutMs
  const isSelfRunning = host.isRunning || host.startIfReal()
  for (let rounds = 1; ; rounds++) {
    const found = find()
    if (found !== undefined) return found
    const isTurn = isSelfRunning || rounds % ROUNDS === 0
    if (isTurn) {
      signal?.throwIfAborted()
      if (performance.now() > end) throw expired()
    }
    if (isSelfRunning) await sleep(LOOK_MS)
    else if (host.step().state !== 'ran') {
      // Nobody can run, or all have ended: only others of this process can change that.
      await sleep(LOOK_MS)
      if (performance.now() > end) throw expired()
      signal?.throwIfAborted()
    } else if (isTurn) await setImmediate()
  }
}
