// The six kernels and how their images are built: with gcc and nasm, as flat binaries for 1 MiB.

import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

export interface Kernel {
  readonly name: string
  /** What it computes on the machine's own processor, with any compiler. */
  readonly checksum: string
}

/** Checksums are those of the same sources run by Linux on a real processor. */
export const kernels: readonly Kernel[] = [
  { name: 'integer', checksum: '8dd758864037abc5' },
  { name: 'memory', checksum: '956f031887366876' },
  { name: 'calls', checksum: '5a691808733b5951' },
  { name: 'branches', checksum: '3458f59548f36ea7' },
  { name: 'strings', checksum: '36bb440b02a2195f' },
  { name: 'floats', checksum: 'bfd30643e3132a9c' },
]

/** Guest physical address at which images are loaded and entered. */
export const LOAD_ADDRESS = 0x100000

const HERE = import.meta.dirname

const COMPILE = (
  '-O2 -ffreestanding -fno-pic -fno-pie -mno-red-zone -fno-stack-protector ' +
  '-fno-asynchronous-unwind-tables -ffp-contract=off -fno-tree-loop-distribute-patterns ' +
  '-fcf-protection=none'
).split(' ')

/** Builds the image of a kernel in a folder and gives its path. */
export function buildImage(kernel: Kernel, folder: string): string {
  const source = (name: string) => join(HERE, 'kernels', name)
  const start = join(folder, 'start.o')
  const object = join(folder, `${kernel.name}.o`)
  const image = join(folder, `${kernel.name}.bin`)
  execFileSync('nasm', ['-f', 'elf64', '-o', start, source('start.asm')])
  if (existsSync(source(`${kernel.name}.c`))) {
    // What SSE2 does is the business of one kernel only.
    const registers = kernel.name === 'floats' ? [] : ['-mgeneral-regs-only']
    execFileSync('gcc', [...COMPILE, ...registers, '-c', '-o', object, source(`${kernel.name}.c`)])
  } else {
    execFileSync('nasm', ['-f', 'elf64', '-o', object, source(`${kernel.name}.asm`)])
  }
  execFileSync('ld', ['-T', source('link.ld'), '-o', image, start, object], { stdio: 'pipe' })
  return image
}

/** Builds Bochs' ROM with an image in it and gives its path. */
export function buildRom(image: string): string {
  const rom = `${image}.rom`
  const size = readFileSync(image).length
  if (size > 0x10000) throw new Error(`${image} has ${size} bytes and does not fit into the ROM`)
  execFileSync('nasm', ['-f', 'bin', `-DKERNEL="${image}"`, '-o', rom, join(HERE, 'bochs-rom.asm')])
  return rom
}
