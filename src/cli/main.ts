// The command's entry. The host and the maker of guests are loaded when a verb asks for them:
// the help need not wait for a processor.

import { fileURLToPath } from 'node:url'
import { runProcess } from './process.ts'

/** The command that serves a host for those who come and go. */
const serve = (name: string): string[] => [
  process.execPath,
  ...process.execArgv,
  fileURLToPath(import.meta.url),
  ...['host', '--name', name, '--linger', '600'],
]

await runProcess({
  createHost: async (options) => (await import('../node/host.ts')).Host.create(options),
  connectHost: async (name, isStarted) => {
    const { connectHost } = await import('../node/host-process/connect.ts')
    return connectHost({ name, env: process.env, start: isStarted ? serve(name) : undefined })
  },
  serveHost: async (options) => (await import('../node/host-process/serve.ts')).serveHost(options),
  demoGuest: async (say) => (await import('../node/debian-guests.ts')).demoGuest({ say }),
})
