// Which compression some data use, by their first bytes, and one way to undo any of them.

import { decompressBzip2 } from './bzip2.ts'
import type { Decompressors } from './decompressors.ts'
import { decompressLz4 } from './lz4.ts'
import { decompressLzma } from './lzma.ts'
import { decompressLzo } from './lzo.ts'
import type { OutputSize } from './output.ts'
import { decompressXz, XZ_MAGIC } from './xz.ts'

/** LZ4's and LZO's best; xz and bzip2 do better on zeroes alone. */
const PLAUSIBLE_RATIO = 255

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
  claimed: OutputSize,
  decompressors: Decompressors,
): Promise<Uint8Array> {
  const size = plausible(claimed, input.length)
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

/** An expected size that no honest file of this length has is not worth a buffer of that size. */
function plausible({ limit, expected }: OutputSize, inputSize: number): OutputSize {
  const isPlausible = expected !== undefined && expected <= PLAUSIBLE_RATIO * inputSize
  return { limit, expected: isPlausible ? expected : undefined }
}
