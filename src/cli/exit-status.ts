// The exit statuses of the command, one table for the code, the help and the reference.

import type { EndReason } from '../node/host-types.ts'

export const EXIT_OK = 0
export const EXIT_USER_ERROR = 1
export const EXIT_USAGE = 2
export const EXIT_REBOOT = 10
export const EXIT_CRASH = 11
export const EXIT_BUG = 12
export const EXIT_TIME_LIMIT = 13
export const EXIT_DETACHED = 14
export const EXIT_UNEXPECTED = 15
/** A signal ends the command with this plus the signal's number, as shells report it. */
export const EXIT_SIGNAL = 128

/** What each status says; `run`'s help and the reference print it. */
export const EXIT_STATUSES: readonly (readonly [number, string])[] = [
  [EXIT_OK, 'the guest powered off, or the console showed all that was expected'],
  [EXIT_USER_ERROR, 'something to mend: a bad image, a missing file, a domain that is not there'],
  [EXIT_USAGE, 'bad usage: an unknown verb or option, a value out of range'],
  [EXIT_REBOOT, 'the guest asked for a reboot'],
  [EXIT_CRASH, 'the guest crashed, or its watchdog ran out'],
  [EXIT_BUG, 'Xenolith itself failed; the message says how to report it'],
  [EXIT_TIME_LIMIT, 'the time limit was reached'],
  [EXIT_DETACHED, 'ended with Ctrl-]'],
  [EXIT_UNEXPECTED, 'the guest powered off before the console showed all that was expected'],
]

const OF_REASON: Readonly<Record<EndReason, number>> = {
  poweroff: EXIT_OK,
  suspend: EXIT_OK,
  reboot: EXIT_REBOOT,
  crash: EXIT_CRASH,
  watchdog: EXIT_CRASH,
}

/** The status for a guest that stopped; `expecting`: while more of its console was expected. */
export function statusOfEnd(reason: EndReason, expecting: boolean): number {
  const status = OF_REASON[reason]
  return status === EXIT_OK && expecting ? EXIT_UNEXPECTED : status
}
