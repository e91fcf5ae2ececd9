// What lies in a partition whose contents we cannot read, by its magic numbers, so that an error says
// more than that there is nothing.

import type { ByteSource } from './disk-reader.ts'

const MAGICS: readonly (readonly [offset: number, magic: string, what: string])[] = [
  [0, 'XFSB', 'an XFS file system'],
  [0x10040, '_BHRfS_M', 'a Btrfs file system'],
  [0x10, '-rvs', 'a Bcachefs file system'],
  [0x8001, 'CD001', 'an ISO 9660 file system'],
  [0, 'hsqs', 'a squashfs file system'],
  [0x36, 'FAT', 'a FAT file system'],
  [0x52, 'FAT', 'a FAT file system'],
  [3, 'NTFS', 'an NTFS file system'],
  [3, 'EXFAT', 'an exFAT file system'],
  [0x400, '\x10\x20\xf5\xf2', 'an F2FS file system'],
  [0xff6, 'SWAPSPACE2', 'swap space'],
  [0, 'LUKS\xba\xbe', 'encrypted data (LUKS)'],
  [0x218, 'LVM2 001', 'a volume of LVM'],
  [0x1000, '\xfc\x4e\x2b\xa9', 'a part of a RAID'],
]

/** In words, to follow "has". */
export function foreignContents(source: ByteSource): string {
  for (const [offset, magic, what] of MAGICS) {
    if (offset + magic.length > source.size) continue
    const bytes = source.read(offset, magic.length)
    if (String.fromCharCode(...bytes) === magic) return `${what}, which is not supported`
  }
  return 'no file system that we know'
}
