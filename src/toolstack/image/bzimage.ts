// The Linux boot image: the header of the x86 boot protocol (Linux's Documentation/arch/x86/
// boot.rst) and the payload that it names, which is the kernel's ELF file, usually compressed.
// The real-mode code in front and the decompressor around the payload are not run: Xen's builder
// takes the ELF file out, and so do we.

import { CheckedBytes, rejectImage } from './checked-bytes.ts'
import { stringAt } from './elf.ts'

const BOOT_FLAG_OFFSET = 0x1fe
const BOOT_FLAG = 0xaa55
const HEADER_MAGIC = 0x53726448 // "HdrS"
const PAYLOAD_SINCE = 0x208

export interface BzImage {
  /** Boot protocol version: major in the high byte. */
  readonly protocol: number
  /** Such as `6.1.0-18-amd64 (debian-kernel@…) #1 SMP …`; empty when the header has none. */
  readonly version: string
  /** Longest command line, without the terminating NUL. */
  readonly commandLineLimit: number
  /** The kernel, as a rule compressed: a view. */
  readonly payload: Uint8Array
}

/** Whether the file has the header of a Linux boot image. */
export function isBzImage(bytes: Uint8Array): boolean {
  const file = new CheckedBytes(bytes, '')
  if (bytes.length < 0x250) return false
  return file.u16(BOOT_FLAG_OFFSET, '') === BOOT_FLAG && file.u32(0x202, '') === HEADER_MAGIC
}

/**
 * Reads the header and finds the payload.
 * @throws UserError when the image is truncated or older than protocol 2.08 (Linux 2.6.26)
 */
export function parseBzImage(bytes: Uint8Array, name: string): BzImage {
  const file = new CheckedBytes(bytes, name)
  const protocol = file.u16(0x206, 'the protocol version')
  if (protocol < PAYLOAD_SINCE) {
    rejectImage(
      name,
      `Its boot protocol ${protocol >> 8}.${protocol & 0xff} does not say where the kernel lies.`,
      'Give a kernel of Linux 2.6.26 or newer, or its vmlinux.',
    )
  }
  // Zero means four, for historical reasons.
  const setupSectors = file.u8(0x1f1, 'setup_sects') || 4
  const start = (setupSectors + 1) * 512
  const payloadOffset = file.u32(0x248, 'payload_offset')
  const payloadLength = file.u32(0x24c, 'payload_length')
  const versionOffset = file.u16(0x20e, 'kernel_version')
  return {
    protocol,
    version: versionOffset === 0 ? '' : stringAt(bytes, versionOffset + 0x200),
    commandLineLimit: file.u32(0x238, 'cmdline_size'),
    payload: file.range(start + payloadOffset, payloadLength, 'the compressed kernel'),
  }
}
