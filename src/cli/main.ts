// The command's entry.

import { demoGuest } from '../node/debian-guests.ts'
import { Host } from '../node/host.ts'
import { runProcess } from './process.ts'

await runProcess({
  createHost: (options) => Host.create(options),
  demoGuest: (say) => demoGuest({ say }),
})
