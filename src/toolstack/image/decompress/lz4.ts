// LZ4: the legacy frame, which Linux kernels and `lz4 -l` use (magic 0x184C2102: blocks of at
// most 8 MiB, each preceded by its size), and the modern frame (LZ4 Frame Format 1.6: block and
// content checksums are verified). Dictionaries are left out.

import { damaged, Output, type OutputSize } from './output.ts'
import { xxh32 } from './xxh32.ts'

const LEGACY_MAGIC = 0x184c2102
const FRAME_MAGIC = 0x184d2204
const SKIPPABLE_MAGIC = 0x184d2a50
const LEGACY_BLOCK = 8 << 20
const MIN_MATCH = 4

/**
 * Decompresses a whole LZ4 file: one frame or several in a row.
 * @throws UserError when it is damaged, cut short, or grows beyond the limit
 */
export function decompressLz4(input: Uint8Array, size: OutputSize): Uint8Array<ArrayBuffer> {
  const view = new DataView(input.buffer, input.byteOffset, input.byteLength)
  const out = new Output(size)
  let at = 0
  while (at < input.length) {
    const magic = u32(view, at)
    if (magic === LEGACY_MAGIC) at = legacyFrame(input, view, at + 4, out)
    else if (magic === FRAME_MAGIC) at = modernFrame(input, view, at + 4, out)
    else if ((magic & 0xfffffff0) >>> 0 === SKIPPABLE_MAGIC) at += 8 + u32(view, at + 4)
    else damaged('lz4', `There is no frame at offset ${at}.`)
  }
  return out.finish()
}

function u32(view: DataView, at: number): number {
  if (at + 4 > view.byteLength) damaged('lz4', 'It ends in the middle of a frame.')
  return view.getUint32(at, true)
}

/** A legacy frame has no end mark: it ends with the file or where the next frame begins. */
function legacyFrame(input: Uint8Array, view: DataView, start: number, out: Output): number {
  let at = start
  while (at < input.length) {
    const size = u32(view, at)
    if (size === LEGACY_MAGIC || size === FRAME_MAGIC) break
    const before = out.length
    decodeBlock(blockAt(input, at + 4, size), out, before)
    if (out.length - before > LEGACY_BLOCK) damaged('lz4', 'A block is larger than 8 MiB.')
    at += 4 + size
  }
  return at
}

function blockAt(input: Uint8Array, at: number, size: number): Uint8Array {
  if (at + size > input.length) damaged('lz4', 'It ends in the middle of a block.')
  return input.subarray(at, at + size)
}

function modernFrame(input: Uint8Array, view: DataView, start: number, out: Output): number {
  const flags = input[start] ?? 0
  if (flags >>> 6 !== 1) damaged('lz4', `Frame version ${flags >>> 6} does not exist.`)
  const areBlocksIndependent = (flags & 0x20) !== 0
  const hasBlockChecksums = (flags & 0x10) !== 0
  const hasContentSize = (flags & 0x08) !== 0
  const hasContentChecksum = (flags & 0x04) !== 0
  if ((flags & 0x01) !== 0) damaged('lz4', 'It needs a dictionary, which is not supported.')
  let at = start + 2 + (hasContentSize ? 8 : 0)
  if (at >= input.length) damaged('lz4', 'It ends in the middle of a frame.')
  if (((xxh32(input.subarray(start, at)) >>> 8) & 0xff) !== input[at]) {
    damaged('lz4', 'The checksum of the frame header is wrong.')
  }
  const frameStart = out.length
  for (at += 1; ; ) {
    const word = u32(view, at)
    at += 4
    if (word === 0) break
    const size = word & 0x7fffffff
    const block = blockAt(input, at, size)
    at += size
    if (hasBlockChecksums && u32(view, at) !== xxh32(block)) {
      damaged('lz4', 'The checksum of a block is wrong.')
    }
    if (hasBlockChecksums) at += 4
    if (word >>> 31 === 1) out.append(block)
    else decodeBlock(block, out, areBlocksIndependent ? out.length : frameStart)
  }
  const content = out.bytes.subarray(frameStart, out.length)
  if (hasContentSize && view.getBigUint64(start + 2, true) !== BigInt(content.length)) {
    damaged('lz4', 'The frame does not have the size it claims.')
  }
  if (!hasContentChecksum) return at
  if (u32(view, at) !== xxh32(content)) damaged('lz4', 'The checksum of the contents is wrong.')
  return at + 4
}

/**
 * Decodes one block behind `out.length`; matches may reach back to `windowStart`.
 * A block is a run of sequences: token, literals, 16-bit distance, match (LZ4 Block Format).
 */
function decodeBlock(block: Uint8Array, out: Output, windowStart: number): void {
  let at = 0
  const extended = (base: number): number => {
    if (base !== 15) return base
    let total = base
    for (;;) {
      const byte = block[at++]
      if (byte === undefined) return damaged('lz4', 'A block ends in the middle of a length.')
      total += byte
      if (byte !== 255) return total
    }
  }
  for (;;) {
    const token = block[at++]
    if (token === undefined) damaged('lz4', 'A block ends without its last literals.')
    const literals = extended(token >>> 4)
    if (at + literals > block.length) damaged('lz4', 'Literals run over the end of a block.')
    out.reserve(literals)
    copyShort(block, at, out.bytes, out.length, literals)
    at += literals
    out.length += literals
    if (at === block.length) return
    const low = block[at]
    const high = block[at + 1]
    if (low === undefined || high === undefined) damaged('lz4', 'A block ends in a distance.')
    at += 2
    const distance = low | (high << 8)
    const length = extended(token & 15) + MIN_MATCH
    if (distance === 0 || distance > out.length - windowStart) {
      damaged('lz4', `A match reaches ${distance} bytes back, before the start of the data.`)
    }
    out.reserve(length)
    copyMatch(out.bytes, out.length, distance, length)
    out.length += length
  }
}

/** Most runs have a few bytes: a loop beats `set` and its new view by far below some 32 bytes. */
function copyShort(
  from: Uint8Array,
  start: number,
  to: Uint8Array,
  at: number,
  size: number,
): void {
  if (size > 32) {
    to.set(from.subarray(start, start + size), at)
    return
  }
  for (let i = 0; i < size; i++) to[at + i] = from[start + i] as number
}

/** Copies from `distance` bytes back; the source may overlap what is written. */
export function copyMatch(bytes: Uint8Array, at: number, distance: number, length: number): void {
  if (distance >= length && length > 32) {
    bytes.copyWithin(at, at - distance, at - distance + length)
    return
  }
  const from = at - distance
  for (let i = 0; i < length; i++) bytes[at + i] = bytes[from + i] as number
}
