// Builds the small Linux of small-linux.ts, if it is not in the cache, and says where its files are.

import { UserError } from '../src/base/errors.ts'
import { makeSmallLinux } from './small-linux.ts'

try {
  const start = performance.now()
  const files = await makeSmallLinux({ say: (line) => console.error(line) })
  console.error(`it is there (${((performance.now() - start) / 1000).toFixed(1)} s)`)
  console.log(JSON.stringify(files))
} catch (error) {
  if (!(error instanceof UserError)) throw error
  console.error(error.message)
  process.exitCode = 1
}
