// What the host's JavaScript decompresses for us: the pure layers have no zlib. Node implements
// it over node:zlib, a page over what it ships. All other formats are decoded here.

import type { OutputSize } from './output.ts'

/** Each throws a UserError when the data are damaged or grow beyond `size.limit`. */
export interface Decompressors {
  gzip(input: Uint8Array, size: OutputSize): Promise<Uint8Array>
  zstd(input: Uint8Array, size: OutputSize): Promise<Uint8Array>
}
