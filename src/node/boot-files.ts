// What a domain boots: a kernel and a ramdisk that the host has, or those of the domain's own disk.

import { open } from 'node:fs/promises'
import { basename } from 'node:path'
import { UserError } from '../base/errors.ts'
import { bootFromDisk } from '../toolstack/bootloader/boot-from-disk.ts'
import type { GuestDisk } from '../toolstack/guest-disks.ts'
import type { GuestImages } from '../toolstack/guest-domain.ts'
import { openKernel } from '../toolstack/image/kernel.ts'
import { nodeDecompressors } from './decompressors.ts'
import type { DomainConfig } from './host-types.ts'
import { kernelSymbols } from './kernel-symbols.ts'

export interface BootFiles extends GuestImages {
  readonly commandLine: string
  /** What was found on the disk, in words. */
  readonly chosen: string | undefined
}

interface NamedBytes {
  readonly name: string
  readonly bytes: Uint8Array
}

/**
 * @param wantsSymbols the kernel's own symbols are of use, if none are given
 * @throws UserError
 */
export async function readBootFiles(
  config: DomainConfig,
  disks: readonly GuestDisk[],
  wantsSymbols = false,
): Promise<BootFiles> {
  const { kernel, ramdisk, commandLine, chosen } = config.bootloader
    ? readFromDisk(config, disks[0])
    : await readFromHost(config)
  const image = await openKernel(kernel.bytes, kernel.name, nodeDecompressors)
  const symbols =
    wantsSymbols || config.symbols !== undefined
      ? await kernelSymbols(image, config.symbols)
      : undefined
  return { kernel: image, ramdisk, commandLine, chosen, symbols }
}

interface Found {
  readonly kernel: NamedBytes
  readonly ramdisk: NamedBytes | undefined
  readonly commandLine: string
  readonly chosen: string | undefined
}

function readFromDisk(config: DomainConfig, disk: GuestDisk | undefined): Found {
  if (!disk) {
    throw new UserError(
      `Domain "${config.name}" cannot boot from its disk.`,
      'It has none.',
      'Give it a disk, or a kernel of the host.',
    )
  }
  const options = config.bootloader ?? {}
  const args = options.args ?? config.cmdline
  const memoryBytes = (config.maxMemoryMiB ?? config.memoryMiB) * 2 ** 20
  const found = bootFromDisk(disk, { ...options, args }, memoryBytes)
  return { ...found, chosen: `${found.chosen} of ${disk.vdev}` }
}

async function readFromHost({ name, kernel, ramdisk, cmdline }: DomainConfig): Promise<Found> {
  if (kernel === undefined) {
    throw new UserError(
      `Domain "${name}" cannot be built.`,
      'It has neither a kernel nor a boot loader.',
      'Give it a kernel, or let it boot from its disk.',
    )
  }
  return {
    kernel: await fileOf('kernel', kernel),
    ramdisk: ramdisk === undefined ? undefined : await fileOf('ramdisk', ramdisk),
    commandLine: cmdline,
    chosen: undefined,
  }
}

async function fileOf(what: string, source: string | Uint8Array): Promise<NamedBytes> {
  if (typeof source !== 'string') return { name: what, bytes: source }
  try {
    return { name: basename(source), bytes: await contentsOf(source) }
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    throw new UserError(
      `Cannot read the ${what} ${source}.`,
      `${why}.`,
      'Check the path and its rights.',
    )
  }
}

/**
 * A whole file, in one piece: readFile() reads half a MiB at a time, and between two pieces a host
 * that is busy with its guests lets them run for some milliseconds.
 */
async function contentsOf(path: string): Promise<Uint8Array> {
  const file = await open(path)
  try {
    const { size } = await file.stat()
    const bytes = Buffer.allocUnsafeSlow(size)
    const { bytesRead } = await file.read(bytes, 0, size, 0)
    // It was cut meanwhile, or is none that can be read like that: a pipe, or a file of /proc.
    return size > 0 && bytesRead === size ? bytes : await file.readFile()
  } finally {
    await file.close()
  }
}
