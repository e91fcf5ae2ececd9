// Fetches the guests that tests and demonstrations use into the cache, and prints their paths:
//   node tools/fetch-guests.ts [demo] [cloud] [generic] [installer]
// Without arguments: all of them. What is in the cache and intact is not fetched again.

import { UserError } from '../src/base/errors.ts'
import { debianInstaller, debianKernel, demoGuest } from '../src/node/debian-guests.ts'

const say = (line: string): void => console.error(line)

const GUESTS: Readonly<Record<string, () => Promise<unknown>>> = {
  demo: () => demoGuest({ say }),
  cloud: async () => ({ kernel: await debianKernel('cloud', { say }) }),
  generic: async () => ({ kernel: await debianKernel('generic', { say }) }),
  installer: () => debianInstaller({ say }),
}

const wanted = process.argv.length > 2 ? process.argv.slice(2) : Object.keys(GUESTS)
try {
  for (const name of wanted) {
    const fetch = GUESTS[name]
    if (!fetch) {
      throw new UserError(
        `Cannot fetch "${name}".`,
        'There is no guest of that name.',
        `Choose among ${Object.keys(GUESTS).join(', ')}.`,
      )
    }
    console.log(JSON.stringify({ name, ...((await fetch()) as object) }))
  }
} catch (cause) {
  if (!(cause instanceof UserError)) throw cause
  console.error(cause.message)
  process.exitCode = 1
}
