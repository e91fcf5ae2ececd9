// Waits for domains to end: the event stream tells. Whoever asks a domain to end begins to wait
// before it asks, so that no end is missed.

import type { HostClient } from '../node/host-process/client.ts'
import type { DomainInfo } from '../toolstack/domain-info.ts'

/** What is waited for: that a domain has shut down, or that it is gone. */
export type Awaited = 'shutdown' | 'gone'

/** A wait that has begun. */
export interface Wait {
  /** Resolves when all the domains have ended, or the host has. */
  for(domains: readonly Pick<DomainInfo, 'id'>[]): Promise<void>
}

export async function beginWait(client: HostClient, awaited: Awaited): Promise<Wait> {
  const stop = new AbortController()
  const events = await client.events(stop.signal)
  return {
    for: async (domains) => {
      const left = new Set(domains.map(({ id }) => id))
      // Those that ended before anybody listened are not heard of.
      const present = await client.call('list', {})
      for (const id of left) {
        const domain = present.find((one) => one.id === id)
        if (!domain || (awaited === 'shutdown' && domain.shutdownReason !== null)) left.delete(id)
      }
      try {
        if (left.size === 0) return
        for await (const { event, id } of events) {
          if (event === 'gone' || (event === 'shutdown' && awaited === 'shutdown')) left.delete(id)
          // Its place has been taken by one with another number.
          if (event === 'restarted') await forgetGone(client, left)
          if (left.size === 0) return
        }
      } finally {
        stop.abort()
      }
    },
  }
}

/** Waits for domains that nobody has asked anything. */
export async function waitForEnd(
  client: HostClient,
  domains: readonly Pick<DomainInfo, 'id'>[],
  awaited: Awaited,
): Promise<void> {
  const wait = await beginWait(client, awaited)
  await wait.for(domains)
}

async function forgetGone(client: HostClient, left: Set<number>): Promise<void> {
  const present = new Set((await client.call('list', {})).map(({ id }) => id))
  for (const id of left) if (!present.has(id)) left.delete(id)
}
