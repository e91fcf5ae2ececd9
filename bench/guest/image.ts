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

// The shell prints through /dev/console, which is the device that the command line names. At last
// it waits until a slow serial port has sent everything.
const INIT = `#!/bin/busybox sh
echo @init
/bin/busybox mount -t sysfs none /sys
cd /work
/bin/busybox sh /bench/driver.sh /bench
/bin/busybox sleep 1
/bin/busybox poweroff -f
`

/** Paths of what is run; of all sides but the rivals. */
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
  writeFileSync(join(folder, 'list'), listOf(programs))

  const elf = join(into, 'vmlinux')
  const opened = await openKernel(readFileSync(kernel), kernel, nodeDecompressors)
  writeFileSync(elf, opened.elf.bytes)
  const ramdisk = join(into, 'ramdisk.gz')
  writeRamdisk(ramdisk, folder, programs)
  return { kernel, elf, ramdisk, folder }
}

const listOf = (programs: readonly GuestProgram[]) =>
  programs.map(({ name, size }) => `${name} ${size}\n`).join('')

/** Writes a ramdisk that runs a list of programs, from a folder with `programs` and `busybox`. */
export function writeRamdisk(
  ramdisk: string,
  folder: string,
  programs: readonly GuestProgram[],
): void {
  const program = (path: string, file: string) =>
    ({ kind: 'file', path, mode: 0o755, data: readFileSync(file) }) as const
  const archive = writeCpio([
    { kind: 'folder', path: 'bench' },
    { kind: 'folder', path: 'bin' },
    { kind: 'folder', path: 'dev' },
    { kind: 'folder', path: 'sys' },
    { kind: 'folder', path: 'work' },
    { kind: 'character device', path: 'dev/console', major: 5, minor: 1 },
    { kind: 'character device', path: 'dev/null', mode: 0o666, major: 1, minor: 3 },
    program('bin/busybox', join(folder, 'busybox')),
    { kind: 'link', path: 'bench/busybox', target: '/bin/busybox' },
    program('bench/programs', join(folder, 'programs')),
    program('bench/driver.sh', join(import.meta.dirname, 'driver.sh')),
    { kind: 'file', path: 'bench/list', mode: 0o644, data: listOf(programs) },
    { kind: 'file', path: 'init', mode: 0o755, data: INIT },
  ])
  writeFileSync(ramdisk, gzipSync(archive, { level: 9 }))
}

/**
 * Builds the programs.
 * @param options more of the compiler's
 * @throws UserError when the compiler or its C library is missing
 */
export function compile(output: string, options: readonly string[] = []): void {
  const sources = globSync(join(import.meta.dirname, 'programs', '*.c')).toSorted()
  try {
    const command = [...COMPILE, ...options, '-o', output, ...sources, '-lm']
    execFileSync('gcc', command, { stdio: 'pipe' })
  } catch (error) {
    throw new UserError(
      'Cannot build the programs of the suite.',
      error instanceof Error ? error.message : String(error),
      'Install gcc with the static C library (Debian: gcc libc6-dev, for 32 bits gcc-multilib).',
    )
  }
}
