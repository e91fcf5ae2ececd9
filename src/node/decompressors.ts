// gzip and zstd by node:zlib, on its thread pool. What follows the compressed data is ignored, as
// gzip(1) does with padding: kernels append their size to the payload.

import { promisify } from 'node:util'
import { constants, gunzip, zstdDecompress } from 'node:zlib'
import { UserError } from '../base/errors.ts'
import type { Decompressors } from '../toolstack/image/decompress/decompressors.ts'
import type { OutputSize } from '../toolstack/image/decompress/output.ts'

const gunzipAsync = promisify(gunzip)
const unzstdAsync = promisify(zstdDecompress)

/** The decompressors that Node brings along. */
export const nodeDecompressors: Decompressors = {
  async gzip(input, size) {
    try {
      return await gunzipAsync(input, { maxOutputLength: size.limit, chunkSize: chunkSize(size) })
    } catch (cause) {
      throw explain('gzip', size, cause)
    }
  },
  async zstd(input, size) {
    // A frame may ask for a window of 2 GiB; kernels (zstd -22) use 128 MiB at most.
    const params = { [constants.ZSTD_d_windowLogMax]: 27 }
    try {
      const options = { maxOutputLength: size.limit, chunkSize: chunkSize(size), params }
      return await unzstdAsync(input, options)
    } catch (cause) {
      throw explain('zstd', size, cause)
    }
  },
}

/** One chunk of the right size saves joining hundreds of small ones. */
function chunkSize({ expected, limit }: OutputSize): number {
  return Math.max(64, Math.min(expected ?? 1 << 20, limit))
}

function explain(format: string, size: OutputSize, cause: unknown): UserError {
  const code = cause instanceof Error && 'code' in cause ? cause.code : undefined
  if (code === 'ERR_BUFFER_TOO_LARGE') {
    return new UserError(
      `Cannot decompress the ${format} data.`,
      `It grows beyond ${size.limit} bytes.`,
      'Check the file; if it is right, decompress it yourself and give the result.',
    )
  }
  return new UserError(
    `Cannot decompress the ${format} data.`,
    cause instanceof Error ? `zlib says: ${cause.message}.` : String(cause),
    'The file is damaged or cut short: fetch or build it again.',
  )
}
