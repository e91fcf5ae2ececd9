// CRC-32C (Castagnoli, reflected), as ext4 uses it: neither the start value nor the result is
// inverted here (Linux, Documentation/filesystems/ext4/checksums.rst).

const POLYNOMIAL = 0x82f63b78

/** What a checksum starts from that is not based on another one. */
export const CRC32C_START = 0xffffffff

const TABLE = makeTable()

function makeTable(): Int32Array {
  const table = new Int32Array(256)
  for (let byte = 0; byte < 256; byte++) {
    let crc = byte
    for (let i = 0; i < 8; i++) crc = (crc >>> 1) ^ (POLYNOMIAL & -(crc & 1))
    table[byte] = crc
  }
  return table
}

/** Goes on from `crc` over `bytes`; unsigned. */
export function crc32c(crc: number, bytes: Uint8Array): number {
  let state = crc
  for (const byte of bytes) state = (state >>> 8) ^ (TABLE[(state ^ byte) & 0xff] as number)
  return state >>> 0
}

/** Goes on over one word, lowest byte first. */
export function crc32cOfWord(crc: number, word: number): number {
  return crc32c(crc, new Uint8Array(new Uint32Array([word]).buffer))
}
