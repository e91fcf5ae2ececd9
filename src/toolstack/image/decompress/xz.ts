// The .xz file (The .xz File Format 1.1.0): streams of blocks, each through LZMA2 and perhaps the
// x86 or delta filter. Header, block and CRC-32 or CRC-64 checks are verified; SHA-256 checks and
// the index are skipped (the index repeats sizes that were already used).

import { crc32, crc64 } from './crc.ts'
import { LzmaDecoder } from './lzma-decoder.ts'
import { damaged, Output, type OutputSize } from './output.ts'
import { undoX86Filter } from './x86-filter.ts'

export const XZ_MAGIC: readonly number[] = [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00]

const FILTER_DELTA = 0x03
const FILTER_X86 = 0x04
const FILTER_LZMA2 = 0x21
const CHECK_SIZES: readonly number[] = [0, 4, 4, 4, 8, 8, 8, 16, 16, 16, 32, 32, 32, 64, 64, 64]
const CHECK_CRC32 = 1
const CHECK_CRC64 = 4

type Undo = (bytes: Uint8Array) => void

/**
 * Decompresses an .xz file: one stream or several in a row, with zero padding behind them.
 * @throws UserError when it is damaged, cut short, uses another filter, or grows beyond the limit
 */
export function decompressXz(input: Uint8Array, size: OutputSize): Uint8Array<ArrayBuffer> {
  const out = new Output(size)
  let at = 0
  do {
    at = stream(input, at, out)
    while (at + 4 <= input.length && u32(input, at) === 0) at += 4
  } while (at < input.length)
  return out.finish()
}

function u32(input: Uint8Array, at: number): number {
  if (at + 4 > input.length) damaged('xz', 'It ends in the middle.')
  return new DataView(input.buffer, input.byteOffset).getUint32(at, true)
}

function stream(input: Uint8Array, start: number, out: Output): number {
  if (!XZ_MAGIC.every((byte, i) => input[start + i] === byte)) {
    damaged('xz', `There is no stream at offset ${start}.`)
  }
  if (u32(input, start + 8) !== crc32(input.subarray(start + 6, start + 8))) {
    damaged('xz', 'The checksum of the stream header is wrong.')
  }
  const check = (input[start + 7] as number) & 15
  let at = start + 12
  for (;;) {
    const sizeByte = input[at]
    if (sizeByte === undefined) damaged('xz', 'It ends in the middle.')
    if (sizeByte === 0) return skipIndex(input, at)
    at = block(input, at, (sizeByte + 1) * 4, check, out)
  }
}

function block(input: Uint8Array, start: number, size: number, check: number, out: Output): number {
  const header = input.subarray(start, start + size - 4)
  if (u32(input, start + size - 4) !== crc32(header)) {
    damaged('xz', 'The checksum of a block header is wrong.')
  }
  const undo = filters(header)
  const before = out.length
  let at = lzma2(input, start + size, out)
  at += -(at - start) & 3
  const data = out.bytes.subarray(before, out.length)
  for (const one of undo) one(data)
  const isRight =
    check === CHECK_CRC32
      ? u32(input, at) === crc32(data)
      : check !== CHECK_CRC64 || crc64Matches(input, at, data)
  if (!isRight) damaged('xz', 'The checksum of a block is wrong.')
  return at + (CHECK_SIZES[check] as number)
}

function crc64Matches(input: Uint8Array, at: number, data: Uint8Array): boolean {
  const { low, high } = crc64(data)
  return u32(input, at) === low && u32(input, at + 4) === high
}

/** What has to be done to the data of a block after LZMA2, in this order. */
function filters(header: Uint8Array): Undo[] {
  const flags = header[1] as number
  if ((flags & 0x3c) !== 0) damaged('xz', 'A block header uses reserved flags.')
  const reader = new VliReader(header, 2)
  if ((flags & 0x40) !== 0) reader.next()
  if ((flags & 0x80) !== 0) reader.next()
  const undo: Undo[] = []
  const count = (flags & 3) + 1
  for (let i = 0; i < count; i++) {
    const id = reader.next()
    const properties = reader.bytes(reader.next())
    const isLast = i === count - 1
    if ((id === FILTER_LZMA2) !== isLast) damaged('xz', 'The filters of a block are in disorder.')
    if (id === FILTER_X86) {
      const start = properties.length === 4 ? u32(properties, 0) : 0
      undo.unshift((bytes) => undoX86Filter(bytes, start))
    } else if (id === FILTER_DELTA) {
      const distance = (properties[0] ?? 0) + 1
      undo.unshift((bytes) => undoDelta(bytes, distance))
    } else if (id !== FILTER_LZMA2) {
      damaged('xz', `It uses filter ${id}; only x86 (4), delta (3) and LZMA2 (33) are supported.`)
    }
  }
  return undo
}

function undoDelta(bytes: Uint8Array, distance: number): void {
  for (let i = distance; i < bytes.length; i++) {
    bytes[i] = (bytes[i] as number) + (bytes[i - distance] as number)
  }
}

/** Reads the format's variable-length integers: seven bits a byte, the lowest first. */
class VliReader {
  readonly #bytes: Uint8Array
  #at: number

  constructor(bytes: Uint8Array, at: number) {
    this.#bytes = bytes
    this.#at = at
  }

  get at(): number {
    return this.#at
  }

  next(): number {
    let value = 0
    for (let scale = 1; scale <= 2 ** 49; scale *= 128) {
      const byte = this.#bytes[this.#at++]
      if (byte === undefined) damaged('xz', 'It ends in the middle of a number.')
      value += (byte & 0x7f) * scale
      if (byte < 0x80) return value
    }
    return damaged('xz', 'A number in it is absurdly large.')
  }

  bytes(size: number): Uint8Array {
    if (this.#at + size > this.#bytes.length) damaged('xz', 'A block header is too short.')
    this.#at += size
    return this.#bytes.subarray(this.#at - size, this.#at)
  }
}

/** LZMA2: chunks, each either stored or LZMA, with a control byte in front. */
function lzma2(input: Uint8Array, start: number, out: Output): number {
  const decoder = new LzmaDecoder(out)
  let at = start
  let hasWindow = false
  let hasProperties = false
  for (;;) {
    const control = input[at]
    if (control === undefined) damaged('xz', 'It ends in the middle of a block.')
    if (control === 0) return at + 1
    if (control === 1 || control >= 0xe0) {
      decoder.resetWindow()
      hasWindow = true
    }
    if (!hasWindow) damaged('xz', 'A block does not begin with a fresh window.')
    const low16 = ((input[at + 1] ?? 0) << 8) | (input[at + 2] ?? 0)
    if (control < 0x80) {
      if (control > 2) damaged('xz', `LZMA2 control byte ${control} does not exist.`)
      const end = at + 3 + low16 + 1
      if (end > input.length) damaged('xz', 'It ends in the middle of a block.')
      out.append(input.subarray(at + 3, end))
      at = end
      continue
    }
    const size = (((control & 0x1f) << 16) | low16) + 1
    const packed = (((input[at + 3] ?? 0) << 8) | (input[at + 4] ?? 0)) + 1
    at += 5
    if (control >= 0xc0) {
      decoder.setProperties(input[at++] ?? 0xff)
      hasProperties = true
    } else if (control >= 0xa0) {
      decoder.resetState()
    }
    if (!hasProperties) damaged('xz', 'A block does not begin with properties.')
    if (at + packed > input.length) damaged('xz', 'It ends in the middle of a block.')
    out.reserve(size)
    const chunk = input.subarray(at, at + packed)
    if (decoder.decode(chunk, 0, out.length + size) !== packed) {
      damaged('xz', 'An LZMA2 chunk does not end where it should.')
    }
    at += packed
  }
}

/** The index has no size of its own; the footer behind it does, but its fields must be walked. */
function skipIndex(input: Uint8Array, start: number): number {
  const reader = new VliReader(input, start + 1)
  const records = reader.next()
  for (let i = 0; i < 2 * records; i++) reader.next()
  const padded = reader.at + (-(reader.at - start) & 3)
  const footer = padded + 4
  if (input[footer + 10] !== 0x59 || input[footer + 11] !== 0x5a) {
    damaged('xz', 'The footer of a stream is missing.')
  }
  return footer + 12
}
