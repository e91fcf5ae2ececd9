// Makes the disk that boots a Linux kernel with a ramdisk through a PC's BIOS: boot-disk.asm, then
// the kernel as it lies in memory, then the ramdisk, in chunks of 32 KiB.

import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { UserError } from '../../../src/base/errors.ts'
import { isLoadable, parseElf } from '../../../src/toolstack/image/elf.ts'
import { readXenNotes } from '../../../src/toolstack/image/notes.ts'

const CHUNK = 32 << 10
/** Physical address; behind Debian's kernels, which are at 16 MiB. */
const RAMDISK = 128 << 20
/** Disks of this geometry have whole cylinders. */
const CYLINDER = 16 * 63 * 512

/**
 * Writes the disk.
 * @param elf path of the kernel's ELF file, with a PVH entry
 * @param ramdisk path
 * @throws UserError when the kernel has no PVH entry or is too large
 */
export function writeBootDisk(
  disk: string,
  elf: string,
  ramdisk: string,
  commandLine: string,
): void {
  const image = parseElf(readFileSync(elf), elf)
  const segments = image.segments.filter(isLoadable)
  const start = Math.min(...segments.map(({ paddr }) => Number(paddr)))
  const end = Math.max(...segments.map(({ paddr, memsz }) => Number(paddr + memsz)))
  const entry = readXenNotes(image).phys32Entry
  if (entry === undefined || end > RAMDISK) {
    throw new UserError(
      'Cannot make a disk that boots the kernel.',
      entry === undefined ? 'It has no PVH entry.' : 'It is too large.',
      "Use one of Debian's.",
    )
  }
  const module = readFileSync(ramdisk)
  const kernelChunks = Math.ceil((end - start) / CHUNK)
  const ramdiskChunks = Math.ceil(module.length / CHUNK)
  const loader = assemble(`${disk}.loader`, {
    KERNEL: start,
    KERNEL_CHUNKS: kernelChunks,
    ENTRY: Number(entry),
    RAMDISK,
    RAMDISK_CHUNKS: ramdiskChunks,
    RAMDISK_BYTES: module.length,
    COMMAND_LINE: `"${commandLine}"`,
  })
  const chunks = loader.length / CHUNK + kernelChunks + ramdiskChunks
  const bytes = new Uint8Array(Math.ceil((chunks * CHUNK) / CYLINDER) * CYLINDER)
  bytes.set(loader)
  for (const { paddr, data } of segments) {
    bytes.set(data, loader.length + Number(paddr) - start)
  }
  bytes.set(module, loader.length + kernelChunks * CHUNK)
  writeFileSync(disk, bytes)
}

function assemble(output: string, values: Readonly<Record<string, string | number>>): Uint8Array {
  const source = join(import.meta.dirname, 'boot-disk.asm')
  const definitions = Object.entries(values).map(([name, value]) => `-D${name}=${value}`)
  execFileSync('nasm', ['-f', 'bin', ...definitions, '-o', output, source], { stdio: 'pipe' })
  return readFileSync(output)
}
