// The two cyclic redundancy checks of .xz and .gz files: CRC-32 (ISO 3309) and CRC-64 (ECMA-182),
// both reflected. CRC-32 takes eight bytes a step ("slicing by 8"): a kernel has 60 MB to check.

const CRC32_POLYNOMIAL = 0xedb88320
const CRC64_LOW = 0xd7870f42
const CRC64_HIGH = 0xc96c5795

/** Table k, entry b: the effect of byte b followed by k zero bytes; eight tables of 256. */
const CRC32 = makeCrc32Tables()

function makeCrc32Tables(): Int32Array {
  const tables = new Int32Array(8 * 256)
  for (let byte = 0; byte < 256; byte++) {
    let crc = byte
    for (let i = 0; i < 8; i++) crc = (crc >>> 1) ^ (CRC32_POLYNOMIAL & -(crc & 1))
    tables[byte] = crc
  }
  for (let i = 256; i < tables.length; i++) {
    const before = tables[i - 256] as number
    tables[i] = (before >>> 8) ^ (tables[before & 0xff] as number)
  }
  return tables
}

/** The CRC-32 of `bytes`, unsigned. */
export function crc32(bytes: Uint8Array): number {
  const t = CRC32
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  let crc = -1
  let at = 0
  for (; at + 8 <= bytes.length; at += 8) {
    const a = view.getInt32(at, true) ^ crc
    const b = view.getInt32(at + 4, true)
    crc =
      (t[0x700 + (a & 0xff)] as number) ^
      (t[0x600 + ((a >>> 8) & 0xff)] as number) ^
      (t[0x500 + ((a >>> 16) & 0xff)] as number) ^
      (t[0x400 + (a >>> 24)] as number) ^
      (t[0x300 + (b & 0xff)] as number) ^
      (t[0x200 + ((b >>> 8) & 0xff)] as number) ^
      (t[0x100 + ((b >>> 16) & 0xff)] as number) ^
      (t[b >>> 24] as number)
  }
  for (; at < bytes.length; at++) {
    crc = (crc >>> 8) ^ (t[(crc ^ (bytes[at] as number)) & 0xff] as number)
  }
  return ~crc >>> 0
}

/** Halves of the table for CRC-64: 256 low words, then 256 high words. */
const CRC64 = makeCrc64Table()

function makeCrc64Table(): Int32Array {
  const table = new Int32Array(2 * 256)
  for (let byte = 0; byte < 256; byte++) {
    let low = byte
    let high = 0
    for (let i = 0; i < 8; i++) {
      const mask = -(low & 1)
      low = ((low >>> 1) | (high << 31)) ^ (CRC64_LOW & mask)
      high = (high >>> 1) ^ (CRC64_HIGH & mask)
    }
    table[byte] = low
    table[256 + byte] = high
  }
  return table
}

/** The CRC-64 of `bytes` as two unsigned words. */
export function crc64(bytes: Uint8Array): { low: number; high: number } {
  let low = -1
  let high = -1
  for (let at = 0; at < bytes.length; at++) {
    const index = (low ^ (bytes[at] as number)) & 0xff
    low = ((low >>> 8) | (high << 24)) ^ (CRC64[index] as number)
    high = (high >>> 8) ^ (CRC64[256 + index] as number)
  }
  return { low: ~low >>> 0, high: ~high >>> 0 }
}
