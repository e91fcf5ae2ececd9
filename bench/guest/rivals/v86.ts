// v86 (on npm): an emulator in WebAssembly, of 32-bit processors only. So it runs 32-bit builds of
// the same programs, on Debian's 32-bit kernel with a 32-bit busybox. No part of the project
// depends on it: it is installed, in exactly this version, for the time of the measurement.

import { execFileSync } from 'node:child_process'
import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { UserError } from '../../../src/base/errors.ts'
import { debianFile, debianKernel } from '../../../src/node/debian-guests.ts'
import { MEMORY_MIB, OPTIONS } from '../guest-options.ts'
import { compile, writeRamdisk } from '../image.ts'
import type { SetUp } from './rival.ts'

const VERSION = '0.5.462'
const INTEGRITY =
  'sha512-aKPX7DdzqAKFRv2omDkqSju0uEzlOxzo+II82J5UT7+tZNsboA6kyaNq9NKAnxvo9hzpJ8dQj7vcvcz0J7I2QA=='

/** SSE2 for what floats, as 64-bit builds have it: results, too, are then the same. */
const COMPILE_32 = ['-m32', '-march=pentium4', '-mfpmath=sse']

/** It says that it is an Intel processor; the kernel shall not clear buffers that it has not. */
const COMMAND_LINE = `console=ttyS0 mds=off ${OPTIONS}`

export const setUpV86: SetUp = async (_image, folder) => {
  const library = install(folder)
  const say = (line: string) => console.error(line)
  const i386 = { say, architecture: 'i386' } as const
  const kernel = await debianKernel('686', { say })
  const bios = await debianFile('seabios', 'usr/share/seabios/bios.bin', { say })
  const vga = await debianFile('seabios', 'usr/share/seabios/vgabios-stdvga.bin', { say })
  const programsFolder = join(folder, 'bench')
  mkdirSync(programsFolder)
  copyFileSync(
    await debianFile('busybox-static', 'bin/busybox', i386),
    join(programsFolder, 'busybox'),
  )
  compile(join(programsFolder, 'programs'), COMPILE_32)
  const ramdisk = join(folder, 'ramdisk.gz')
  const script = join(import.meta.dirname, 'v86-guest.ts')
  return {
    title: `v86 ${VERSION}`,
    notes: [
      'It is of 32 bits and runs 32-bit builds of the programs, on a 32-bit kernel.',
      'Its boot is not measured: the kernel is another, and decompresses itself.',
    ],
    is32Bit: true,
    prepare: (programs) => {
      writeRamdisk(ramdisk, programsFolder, programs)
      const files = [library, bios, vga, kernel, ramdisk]
      // Without the engine's options that this process has, which are chosen for ours.
      const run = [process.execPath, '--disable-warning=ExperimentalWarning', script]
      return [...run, ...files, COMMAND_LINE, MEMORY_MIB]
    },
  }
}

/** Installs v86 and gives its folder; npm checks what it fetches against the lock file. */
function install(folder: string): string {
  const name = 'benchmark'
  const manifest = { name, version: '0.0.0', private: true, dependencies: { v86: VERSION } }
  const lock = {
    name,
    version: '0.0.0',
    lockfileVersion: 3,
    requires: true,
    packages: {
      '': manifest,
      'node_modules/v86': { version: VERSION, integrity: INTEGRITY },
    },
  }
  writeFileSync(join(folder, 'package.json'), JSON.stringify(manifest))
  writeFileSync(join(folder, 'package-lock.json'), JSON.stringify(lock))
  try {
    execFileSync('npm', ['ci', '--ignore-scripts'], { cwd: folder, stdio: 'pipe' })
  } catch (error) {
    const written = error instanceof Error && 'stderr' in error ? String(error.stderr) : ''
    throw new UserError(
      `Cannot install v86 ${VERSION}.`,
      written.split('\n').find((line) => /npm err/i.test(line)) ?? String(error),
      'npm fetches it: check that it is there, and the network.',
    )
  }
  return join(folder, 'node_modules', 'v86', 'build')
}
