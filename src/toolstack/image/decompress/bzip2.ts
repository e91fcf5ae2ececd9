// The .bz2 file: Burrows-Wheeler blocks of up to 900 kB behind Huffman codes. Block checksums are
// verified. Randomised blocks, which nothing has written since 1996, are left out.

import { damaged, Output, type OutputSize } from './output.ts'

const BLOCK_MAGIC = 0x314159265359
const END_MAGIC = 0x177245385090
const GROUP = 50
const MAX_BITS = 20
const SHORT_BITS = 10
const RUN_A = 0
const RUN_B = 1

/** CRC-32 with the polynomial of ISO 3309, most significant bit first. */
const CRC = Int32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte << 24
  for (let i = 0; i < 8; i++) crc = (crc << 1) ^ (0x04c11db7 & (crc >> 31))
  return crc
})

/**
 * Decompresses a .bz2 file; what follows the first stream is ignored.
 * @throws UserError when it is damaged, cut short, or grows beyond the limit
 */
export function decompressBzip2(input: Uint8Array, size: OutputSize): Uint8Array<ArrayBuffer> {
  const bits = new BitReader(input)
  if (bits.take(24) !== 0x425a68) damaged('bzip2', 'The magic bytes are missing.')
  const level = bits.take(8) - 0x30
  if (level < 1 || level > 9) damaged('bzip2', 'The block size is impossible.')
  const out = new Output(size)
  const block = new Int32Array(level * 100_000)
  for (;;) {
    const magic = bits.take(24) * 2 ** 24 + bits.take(24)
    const checksum = bits.take(16) * 2 ** 16 + bits.take(16)
    if (magic === END_MAGIC) return out.finish()
    if (magic !== BLOCK_MAGIC) damaged('bzip2', 'The start of a block is missing.')
    if (bits.take(1) !== 0) damaged('bzip2', 'It uses randomised blocks, which are not supported.')
    const origin = bits.take(24)
    const length = readBlock(bits, block)
    if (origin >= length) damaged('bzip2', 'A block starts outside itself.')
    if (writeBlock(block, length, origin, out) !== checksum) {
      damaged('bzip2', 'The checksum of a block is wrong.')
    }
  }
}

/** Takes bits from the most significant end. */
class BitReader {
  readonly #bytes: Uint8Array
  #at = 0
  #held = 0
  #bits = 0

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
  }

  /** The next `count` bits, at most 24, without taking them; zeros behind the end. */
  peek(count: number): number {
    while (this.#bits < count) {
      this.#held = (this.#held << 8) | (this.#bytes[this.#at++] ?? 0)
      this.#bits += 8
    }
    return (this.#held >>> (this.#bits - count)) & ((1 << count) - 1)
  }

  /** Takes bits that were peeked at. */
  skip(count: number): void {
    this.#bits -= count
    if (this.#at - (this.#bits >>> 3) > this.#bytes.length)
      damaged('bzip2', 'It ends in the middle.')
  }

  /** `count` bits, at most 24. */
  take(count: number): number {
    const value = this.peek(count)
    this.skip(count)
    return value
  }
}

/** Reads one block up to its end symbol: its last column, in `block`. Returns its length. */
function readBlock(bits: BitReader, block: Int32Array): number {
  const symbols = usedBytes(bits)
  const end = symbols.length + 1
  const groups = bits.take(3)
  const count = bits.take(15)
  if (symbols.length === 0 || groups < 2 || groups > 6 || count === 0) {
    damaged('bzip2', 'The header of a block is impossible.')
  }
  const selectors = readSelectors(bits, count, groups)
  const codes = Array.from({ length: groups }, () => readCode(bits, end + 1))
  let length = 0
  let run = 0
  let runBit = 1
  for (let i = 0; ; i++) {
    const code = codes[selectors[Math.floor(i / GROUP)] ?? damaged('bzip2', 'A block has no end.')]
    const symbol = (code as HuffmanCode).read(bits)
    if (symbol === RUN_A || symbol === RUN_B) {
      // Run lengths are written in bijective base 2, the lowest digit first.
      run += runBit << symbol
      runBit *= 2
      if (run > block.length) damaged('bzip2', 'A run is longer than a block.')
      continue
    }
    if (length + run > block.length) damaged('bzip2', 'A block is longer than it may be.')
    block.fill(symbols[0] as number, length, length + run)
    length += run
    run = 0
    runBit = 1
    if (symbol === end) return length
    if (length === block.length) damaged('bzip2', 'A block is longer than it may be.')
    const byte = symbols[symbol - 1] as number
    symbols.copyWithin(1, 0, symbol - 1)
    symbols[0] = byte
    block[length++] = byte
  }
}

/** The bytes that occur, by a two-level bit map: the initial list for move-to-front. */
function usedBytes(bits: BitReader): Uint8Array {
  const used: number[] = []
  const rows = bits.take(16)
  for (let row = 0; row < 16; row++) {
    if (((rows >>> (15 - row)) & 1) === 0) continue
    const columns = bits.take(16)
    for (let column = 0; column < 16; column++) {
      if (((columns >>> (15 - column)) & 1) === 1) used.push(row * 16 + column)
    }
  }
  return Uint8Array.from(used)
}

/** Which code each group of 50 symbols uses; move-to-front, in unary. */
function readSelectors(bits: BitReader, count: number, groups: number): Uint8Array {
  const order = Uint8Array.from({ length: groups }, (_, i) => i)
  return Uint8Array.from({ length: count }, () => {
    let place = 0
    while (bits.take(1) === 1) {
      place++
      if (place >= groups) damaged('bzip2', 'A block names a code that it does not have.')
    }
    const chosen = order[place] as number
    order.copyWithin(1, 0, place)
    order[0] = chosen
    return chosen
  })
}

function readCode(bits: BitReader, symbols: number): HuffmanCode {
  let length = bits.take(5)
  const lengths = Array.from({ length: symbols }, () => {
    while (bits.take(1) === 1) length += bits.take(1) === 0 ? 1 : -1
    if (length < 1 || length > MAX_BITS) damaged('bzip2', 'A Huffman code is impossible.')
    return length
  })
  return new HuffmanCode(lengths)
}

/** A canonical Huffman code: codes of one length are consecutive, in the order of symbols. */
class HuffmanCode {
  /** By the next 10 bits: symbol times 32 plus length; 0 for a longer code. */
  readonly #short = new Uint16Array(1 << SHORT_BITS)
  /** By length: the first code behind those of this length. */
  readonly #end = new Int32Array(MAX_BITS + 1)
  /** By length: what to add to a code to find its place in `#sorted`. */
  readonly #bias = new Int32Array(MAX_BITS + 1)
  readonly #sorted: number[] = []

  constructor(lengths: readonly number[]) {
    let code = 0
    for (let length = 1; length <= MAX_BITS; length++) {
      code *= 2
      this.#bias[length] = this.#sorted.length - code
      for (const [symbol, own] of lengths.entries()) {
        if (own !== length) continue
        this.#sorted.push(symbol)
        const spare = SHORT_BITS - length
        if (spare >= 0) this.#short.fill(symbol * 32 + length, code << spare, (code + 1) << spare)
        code++
      }
      this.#end[length] = code
    }
  }

  read(bits: BitReader): number {
    const short = this.#short[bits.peek(SHORT_BITS)] as number
    if (short !== 0) {
      bits.skip(short & 31)
      return short >>> 5
    }
    for (let length = SHORT_BITS + 1; length <= MAX_BITS; length++) {
      const code = bits.peek(length)
      if (code >= (this.#end[length] as number)) continue
      bits.skip(length)
      return this.#sorted[code + (this.#bias[length] as number)] ?? this.#unknown()
    }
    return this.#unknown()
  }

  #unknown(): never {
    damaged('bzip2', 'A Huffman code is unknown.')
  }
}

/**
 * Undoes the Burrows-Wheeler transform and the first run-length coding (four equal bytes are
 * followed by a count of more). Returns the checksum of what was written.
 */
function writeBlock(block: Int32Array, length: number, origin: number, out: Output): number {
  const starts = firstPlaces(block, length)
  // The upper bits of each entry become the place of its successor.
  for (let i = 0; i < length; i++) {
    const byte = (block[i] as number) & 0xff
    const place = starts[byte] as number
    starts[byte] = place + 1
    block[place] = (block[place] as number) | (i << 8)
  }
  let entry = block[origin] as number
  let crc = -1
  let previous = -1
  let equal = 0
  for (let i = 0; i < length; i++) {
    entry = block[entry >>> 8] as number
    const byte = entry & 0xff
    const copies = equal === 4 ? byte : 1
    const value = equal === 4 ? previous : byte
    equal = equal === 4 ? 0 : byte === previous ? equal + 1 : 1
    if (copies !== byte || equal !== 0) previous = byte
    out.reserve(copies)
    out.bytes.fill(value, out.length, out.length + copies)
    out.length += copies
    for (let n = 0; n < copies; n++) crc = (crc << 8) ^ (CRC[(crc >>> 24) ^ value] as number)
  }
  return ~crc >>> 0
}

/** For each byte, the place of its first occurrence when the block is sorted. */
function firstPlaces(block: Int32Array, length: number): Int32Array {
  const counts = new Int32Array(256)
  for (let i = 0; i < length; i++) {
    const byte = block[i] as number
    counts[byte] = (counts[byte] as number) + 1
  }
  let sum = 0
  return counts.map((count) => {
    sum += count
    return sum - count
  })
}
