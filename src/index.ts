// The library: what programs import as `xenolith`. The command line is written on the same classes.
// docs/how-to/boot-guests-in-tests.md shows its use; its examples are run as tests.

import { Host } from './node/host.ts'
import type { DomainOptions, HostOptions } from './node/host-types.ts'
import type { RunningDomain } from './node/running-domain.ts'

export { Bug, UserError } from './base/errors.ts'
export { debianKernel, demoGuest } from './node/debian-guests.ts'
export { Host } from './node/host.ts'
export { RunningDomain as Guest } from './node/running-domain.ts'
export type { CommandResult, GuestConsole } from './node/guest-console.ts'
export type * from './node/host-types.ts'
export type { PacketLog } from './node/packet-log.ts'
export { WaitError, type WaitOptions } from './node/wait.ts'

/**
 * A domain on a host of its own, which ends with it. Time is virtual if not told otherwise: the
 * guest runs while something is waited for, and every run is the same.
 * @throws UserError when an image cannot be read or is none, or memory does not suffice
 */
export async function boot(options: DomainOptions & Partial<HostOptions>): Promise<RunningDomain> {
  const { time = 'virtual', translation, timeoutMs, ...rest } = options
  const { threads, countsExits, measuresTranslation, namesCode, ...domain } = rest
  const counting = { threads, countsExits, measuresTranslation, namesCode }
  const host = await Host.create({ time, translation, timeoutMs, ...counting })
  const guest = await host.createDomain(domain)
  host.startIfReal()
  return guest
}
