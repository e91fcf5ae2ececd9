// The console of a domain of a host process, for tests that drive that host with the command: what the
// domain has shown in its present run, and typing, through a connection that is made for it.

import type { Duplex } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { call } from '../../src/cli/testing/call.ts'
import type { HostClient } from '../../src/node/host-process/client.ts'
import { until } from '../../src/node/testing/served-host.ts'
import { PROMPT } from './command.ts'

/** What is typed is the host's by then; nobody says when. */
const DELIVERY_MS = 100

export interface ServedConsole {
  /** All that it has shown since its domain was started last. */
  shown(): Promise<string>
  /** Types `text` as it is. */
  send(text: string): Promise<void>
  /** Types a line at the demo's prompt, and gives what the console has shown since. */
  typed(line: string): Promise<string>
}

export function servedConsole(client: HostClient, domain: string): ServedConsole {
  const shown = async () => {
    const { out } = await call(['console', domain, '--history'], { hostProcess: client })
    return out
  }
  const connect = async (): Promise<Duplex> => (await client.console(domain, 0)).resume()
  return {
    shown,
    async send(text) {
      const console = await connect()
      console.write(text)
      await sleep(DELIVERY_MS)
      console.destroy()
    },
    async typed(line) {
      const before = (await shown()).length
      const console = await connect()
      console.write(`${line}\r`)
      await until(async () => (await shown()).slice(before).includes(`\n${PROMPT}`), line)
      console.destroy()
      return (await shown()).slice(before)
    },
  }
}
