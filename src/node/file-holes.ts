// Holes in files: bytes that read as zeros and take no room. Node cannot make them itself; on Linux
// fallocate(1) does, in the file that it inherits from us.

import { spawnSync } from 'node:child_process'
import { fstatSync, statfsSync } from 'node:fs'

/** File systems that take bytes back, by statfs(2)'s f_type. */
const WITH_HOLES: ReadonlySet<number> = new Set([
  0xef53, // ext4
  0x58465342, // XFS
  0x9123683e, // Btrfs
  0x01021994, // tmpfs
  0xf2f52010, // F2FS
  0x794c7630, // overlayfs, if what lies below does
])

/** Is an open file one that holes can be made in, as far as can be told beforehand. */
export function canHaveHoles(fd: number): boolean {
  if (!fstatSync(fd).isFile()) return false
  return WITH_HOLES.has(statfsSync(`/proc/self/fd/${fd}`).type)
}

/** Makes a hole in a file that is open for writing. False if that cannot be done: nothing has changed. */
export function makeHole(fd: number, offset: number, length: number): boolean {
  const range = ['--offset', String(offset), '--length', String(length)]
  const { status } = spawnSync('fallocate', ['--punch-hole', ...range, '/proc/self/fd/3'], {
    stdio: ['ignore', 'ignore', 'ignore', fd],
  })
  return status === 0
}
