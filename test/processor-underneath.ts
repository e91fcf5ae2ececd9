// The processor that the tests run on, which they compare ours with.

import { readFileSync } from 'node:fs'
import type { CpuVendor } from '../src/x86/cpuid/models.ts'

const VENDORS: readonly CpuVendor[] = ['GenuineIntel', 'AuthenticAMD', 'HygonGenuine']

/**
 * Its vendor; undefined where nobody tells, and for one that ours was never compared with. Where the
 * manuals leave something open, ours mostly does as AMD's processors do.
 */
export function vendorUnderneath(): CpuVendor | undefined {
  if (process.platform !== 'linux' || process.arch !== 'x64') return undefined
  const name = /^vendor_id\s*: (\S+)/m.exec(readFileSync('/proc/cpuinfo', 'utf8'))?.[1]
  return VENDORS.find((vendor) => vendor === name)
}
