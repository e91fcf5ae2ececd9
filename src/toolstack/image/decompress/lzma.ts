// The .lzma file ("LZMA alone"): properties byte, dictionary size, uncompressed size (all ones
// when unknown: an end mark follows the data), LZMA data.

import { LzmaDecoder } from './lzma-decoder.ts'
import { damaged, Output, type OutputSize } from './output.ts'

const UNKNOWN_SIZE = 0xffffffffffffffffn

/**
 * Decompresses a .lzma file; what follows the data is ignored.
 * @throws UserError when it is damaged, cut short, or grows beyond the limit
 */
export function decompressLzma(input: Uint8Array, size: OutputSize): Uint8Array<ArrayBuffer> {
  if (input.length < 18) damaged('lzma', 'It is shorter than a header.')
  const view = new DataView(input.buffer, input.byteOffset, input.byteLength)
  const claimed = view.getBigUint64(5, true)
  const isKnown = claimed !== UNKNOWN_SIZE
  if (isKnown && claimed > BigInt(size.limit)) {
    damaged('lzma', `It claims ${claimed} bytes, beyond the limit of ${size.limit}.`)
  }
  const target = isKnown ? Number(claimed) : undefined
  const out = new Output({ limit: size.limit, expected: target ?? size.expected })
  const decoder = new LzmaDecoder(out)
  decoder.setProperties(input[0] as number)
  decoder.decode(input, 13, target)
  return out.finish()
}
