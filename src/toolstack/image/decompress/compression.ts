// Which compression some data use, by their first bytes, and one way to undo any of them.

import { decompressBzip2 } from './bzip2.ts'
import type { Decompressors } from './decompressors.ts'
import { decompressLz4 } from './lz4.ts'
import { decompressLzma } from './lzma.ts'
import { decompressLzo } from './lzo.ts'
import type { OutputSize } from './output.ts'
import { decompressXz, XZ_MAGIC } from './xz.ts'

export type Compression = 'gzip' | 'xz' | 'zstd' | 'lz4' | 'lzma' | 'lzo' | 'bzip2'

const MAGICS: readonly (readonly [Compression, readonly number[]])[] = [
  ['gzip', [0x1f, 0x8b]],
  ['xz', XZ_MAGIC],
  ['zstd', [0x28, 0xb5, 0x2f, 0xfd]],
  ['lz4', [0x02, 0x21, 0x4c, 0x18]],
  ['lz4', [0x04, 0x22, 0x4d, 0x18]],
  ['lzo', [0x89, 0x4c, 0x5a, 0x4f, 0x00, 0x0d, 0x0a, 0x1a, 0x0a]],
  ['bzip2', [0x42, 0x5a, 0x68]],
  // No true magic: the usual properties byte, and a dictionary size with a zero low word.
  ['lzma', [0x5d, 0x00, 0x00]],
]

/** The compression of the data, or undefined when they look like none. */
export function detectCompression(bytes: Uint8Array): Compression | undefined {
  return MAGICS.find(([, magic]) => magic.every((byte, i) => bytes[i] === byte))?.[0]
}

/**
 * Decompresses data of a known format.
 * @throws UserError when they are damaged, cut short, or grow beyond the limit
 */
export async function decompress(
  format: Compression,
  input: Uint8Array,
  size: OutputSize,
  decompressors: Decompressors,
): Promise<Uint8Array> {
  switch (format) {
    case 'gzip':
      return decompressors.gzip(input, size)
    case 'zstd':
      return decompressors.zstd(input, size)
    case 'xz':
      return decompressXz(input, size)
    case 'lz4':
      return decompressLz4(input, size)
    case 'lzma':
      return decompressLzma(input, size)
    case 'lzo':
      return decompressLzo(input, size)
    case 'bzip2':
      return decompressBzip2(input, size)
  }
}
