// The processor that the tests run on, which they compare ours with.

import { readFileSync } from 'node:fs'

/**
 * Its vendor string as CPUID has it, such as `GenuineIntel`; undefined where the operating system
 * does not tell. Where the manuals leave something open, ours does as AMD's processors do.
 */
export function vendorUnderneath(): string | undefined {
  if (process.platform !== 'linux') return undefined
  return /^vendor_id\s*: (\S+)/m.exec(readFileSync('/proc/cpuinfo', 'utf8'))?.[1]
}
