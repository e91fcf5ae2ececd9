// What all three sides run: the programs of programs/ (built by the host's gcc for any x86-64),
// busybox, the driver and its list, in a folder for the host and in a ramdisk for the guests.

import { execFileSync } from 'node:child_process'
import { copyFileSync, globSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { UserError } from '../../src/base/errors.ts'
import { debianFile, demoGuest } from '../../src/node/debian-guests.ts'
import { nodeDecompressors } from '../../src/node/decompressors.ts'
import { writeCpio } from '../../src/toolstack/image/cpio.ts'
import { openKernel } from '../../src/toolstack/image/kernel.ts'
import type { GuestProgram } from './suite.ts'

/** No contraction: results must not depend on the compiler's taste. */
const COMPILE = '-O2 -static -s -ffp-contract=off'.split(' ')

// The shell prints through /dev/console, which is the device that the command line names.
const INIT = `#!/bin/busybox sh
echo @init
cd /work
/bin/busybox sh /bench/driver.sh /bench
/bin/busybox poweroff -f
`

/** Paths of what is run. */
export interface Image {
  /** As Debian packs it, for ours. */
  readonly kernel: string
  /** The ELF file inside, for QEMU: entered as a PVH guest like ours, without decompressing. */
  readonly elf: string
  readonly ramdisk: string
  /** Programs, busybox, driver and list, as the ramdisk has them in /bench. */
  readonly folder: string
}

/**
 * Builds everything in a folder.
 * @throws UserError when gcc is missing, or Debian's packages can neither be found nor fetched
 */
export async function buildImage(programs: readonly GuestProgram[], into: string): Promise<Image> {
  const say = (line: string) => console.error(line)
  const { kernel } = await demoGuest({ say })
  const busybox = await debianFile('busybox-static', 'bin/busybox', { say })
  const folder = join(into, 'bench')
  mkdirSync(folder)
  compile(join(folder, 'programs'))
  copyFileSync(busybox, join(folder, 'busybox'))
  copyFileSync(join(import.meta.dirname, 'driver.sh'), join(folder, 'driver.sh'))
  const list = programs.map(({ name, size }) => `${name} ${size}\n`)
  writeFileSync(join(folder, 'list'), list.join(''))

  const elf = join(into, 'vmlinux')
  const opened = await openKernel(readFileSync(kernel), kernel, nodeDecompressors)
  writeFileSync(elf, opened.elf.bytes)
  const ramdisk = join(into, 'ramdisk.gz')
  writeFileSync(ramdisk, gzipSync(makeRamdisk(folder), { level: 9 }))
  return { kernel, elf, ramdisk, folder }
}

function makeRamdisk(folder: string): Uint8Array {
  const program = (path: string, name: string) =>
    ({ kind: 'file', path, mode: 0o755, data: readFileSync(join(folder, name)) }) as const
  return writeCpio([
    { kind: 'folder', path: 'bench' },
    { kind: 'folder', path: 'bin' },
    { kind: 'folder', path: 'dev' },
    { kind: 'folder', path: 'work' },
    { kind: 'character device', path: 'dev/console', major: 5, minor: 1 },
    { kind: 'character device', path: 'dev/null', mode: 0o666, major: 1, minor: 3 },
    program('bin/busybox', 'busybox'),
    { kind: 'link', path: 'bench/busybox', target: '/bin/busybox' },
    program('bench/programs', 'programs'),
    program('bench/driver.sh', 'driver.sh'),
    program('bench/list', 'list'),
    { kind: 'file', path: 'init', mode: 0o755, data: INIT },
  ])
}

function compile(output: string): void {
  const sources = globSync(join(import.meta.dirname, 'programs', '*.c')).toSorted()
  try {
    execFileSync('gcc', [...COMPILE, '-o', output, ...sources, '-lm'], { stdio: 'pipe' })
  } catch (error) {
    throw new UserError(
      'Cannot build the programs of the suite.',
      error instanceof Error ? error.message : String(error),
      'Install gcc with the static C library (Debian: gcc libc6-dev), for x86-64.',
    )
  }
}
