// The command's entry. The host and the maker of guests are loaded when a verb asks for them:
// the help need not wait for a processor.

import { runProcess } from './process.ts'

await runProcess({
  createHost: async (options) => (await import('../node/host.ts')).Host.create(options),
  demoGuest: async (say) => (await import('../node/debian-guests.ts')).demoGuest({ say }),
})
