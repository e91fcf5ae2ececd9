// Opens what a guest file calls its kernel: a raw ELF image, a Linux bzImage, or either of them
// compressed as a whole (as xen.gz is). Gives the ELF image inside and its notes for Xen.

import { UserError } from '../../base/errors.ts'
import { isBzImage, parseBzImage } from './bzimage.ts'
import { rejectImage } from './checked-bytes.ts'
import { type Compression, decompress, detectCompression } from './decompress/compression.ts'
import type { Decompressors } from './decompress/decompressors.ts'
import { ELF_MAGIC, type ElfImage, parseElf } from './elf.ts'
import { readXenNotes, type XenNotes } from './notes.ts'

/** A kernel's ELF file may have this many bytes when decompressed; Debian's have 66 million. */
export const MAX_KERNEL_BYTES = 1 << 30

export interface KernelImage {
  /** The file as the user knows it. */
  readonly name: string
  /** Size of the file, in bytes. */
  readonly fileBytes: number
  readonly container: 'ELF' | 'bzImage'
  /** How the file, or the kernel inside the bzImage, is compressed. */
  readonly compression: Compression | undefined
  /** From the bzImage's header: such as `6.1.0-18-amd64 (…) #1 SMP …`; else empty. */
  readonly version: string
  /** Longest command line in bytes, without the NUL; undefined when the image does not say. */
  readonly commandLineLimit: number | undefined
  readonly elf: ElfImage
  readonly notes: XenNotes
}

/**
 * Opens a kernel image.
 * @throws UserError when it is of an unknown kind, truncated or damaged, or grows beyond
 *   {@link MAX_KERNEL_BYTES}
 */
export async function openKernel(
  bytes: Uint8Array,
  name: string,
  decompressors: Decompressors,
): Promise<KernelImage> {
  const whole = detectCompression(bytes)
  const file = whole ? await unpack(whole, bytes, undefined, name, decompressors) : bytes
  if (isBzImage(file)) {
    const image = parseBzImage(file, name)
    const { compression, kernel } = await unpackPayload(image.payload, name, decompressors)
    return {
      ...describe(bytes, kernel, name),
      container: 'bzImage',
      compression,
      version: image.version,
      commandLineLimit: image.commandLineLimit,
    }
  }
  if (!ELF_MAGIC.every((byte, i) => file[i] === byte)) rejectUnknown(file, name)
  return { ...describe(bytes, file, name), container: 'ELF', compression: whole }
}

function describe(file: Uint8Array, kernel: Uint8Array, name: string): KernelImage {
  const elf = parseElf(kernel, name)
  return {
    name,
    fileBytes: file.length,
    container: 'ELF',
    compression: undefined,
    version: '',
    commandLineLimit: undefined,
    elf,
    notes: readXenNotes(elf),
  }
}

/**
 * The payload of a bzImage ends with its uncompressed size: gzip has it anyway, and the kernel's
 * build appends it to all others.
 */
async function unpackPayload(
  payload: Uint8Array,
  name: string,
  decompressors: Decompressors,
): Promise<{ compression: Compression | undefined; kernel: Uint8Array }> {
  if (ELF_MAGIC.every((byte, i) => payload[i] === byte)) {
    return { compression: undefined, kernel: payload }
  }
  const compression = detectCompression(payload)
  if (!compression || payload.length < 8) {
    const start = Array.from(payload.subarray(0, 4), (b) => b.toString(16).padStart(2, '0'))
    rejectImage(
      name,
      `The kernel inside is compressed in an unknown way (it begins with ${start.join(' ')}).`,
      'Give a kernel compressed with gzip, bzip2, lzma, xz, lzo, lz4 or zstd, or its vmlinux.',
    )
  }
  const view = new DataView(payload.buffer, payload.byteOffset, payload.byteLength)
  const expected = view.getUint32(payload.length - 4, true)
  const data = compression === 'gzip' ? payload : payload.subarray(0, -4)
  const kernel = await unpack(compression, data, expected, name, decompressors)
  if (kernel.length !== expected) {
    rejectImage(
      name,
      `The kernel inside has ${kernel.length} bytes, but should have ${expected}.`,
      'The file is damaged: fetch or build it again.',
    )
  }
  return { compression, kernel }
}

async function unpack(
  format: Compression,
  input: Uint8Array,
  expected: number | undefined,
  name: string,
  decompressors: Decompressors,
): Promise<Uint8Array> {
  try {
    return await decompress(format, input, { limit: MAX_KERNEL_BYTES, expected }, decompressors)
  } catch (cause) {
    if (!(cause instanceof UserError)) throw cause
    throw new UserError(
      `Cannot use the image ${name}.`,
      `${format} data: ${cause.why}`,
      cause.remedy,
    )
  }
}

const OTHER_KINDS: readonly (readonly [string, number, string])[] = [
  ['!<arch>\n', 0, 'a Debian package'],
  ['070701', 0, 'a cpio archive (a ramdisk?)'],
  ['QFI\xfb', 0, 'a qcow2 disk image'],
  ['conectix', 0, 'a VHD disk image'],
  ['CD001', 0x8001, 'a CD image'],
  ['ARM\x64', 56, 'an ARM64 kernel'],
  ['#!', 0, 'a script'],
  ['MZ', 0, 'an EFI program'],
]

function rejectUnknown(bytes: Uint8Array, name: string): never {
  const kind = OTHER_KINDS.find(([magic, offset]) =>
    Array.from(magic).every((char, i) => bytes[offset + i] === char.charCodeAt(0)),
  )?.[2]
  const size = bytes.length === 0 ? 'The file is empty.' : undefined
  rejectImage(
    name,
    size ?? `It is ${kind ?? 'neither an ELF file nor a Linux bzImage'}.`,
    'Give a kernel: an ELF image with Xen’s notes, or a Linux bzImage such as /boot/vmlinuz-*.',
  )
}
