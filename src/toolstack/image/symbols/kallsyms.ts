// The symbols that a Linux kernel carries for /proc/kallsyms, found in its image by their structure
// (linux/scripts/kallsyms.c, kernel/kallsyms.c), as nothing says where they lie. Tables, each aligned
// to 8 bytes, little-endian; newer kernels have the first two behind all others:
//
//   offsets        i32 a symbol, sorted by the address that they give
//   relative_base  u64
//   num_syms       u32
//   names          for each symbol its length, one byte or two, and so many numbers of tokens
//   markers        u32, where in `names` each 256th symbol begins
//   seqs_of_names  3 bytes a symbol, to find one by its name; here, at the end, or not there
//   token_table    256 texts, each ended by a NUL
//   token_index    u16, where in `token_table` each text begins
//
// A token that names only itself is that character, so that the digits stand in a row in
// token_table: that is what is looked for. Left out: kernels of 32 bits or with less than 257
// symbols, and those that store whole addresses (before 4.6, or without KALLSYMS_BASE_RELATIVE).

import type { CodeSymbol } from './symbol-table.ts'

const TOKENS = 256
const DIGIT_0 = 0x30
const DIGITS = 10
const MARKED = 256
const INDEX_BYTES = TOKENS * 2
/** Bytes of a name with its length, at most; in tokens it is never longer than in characters. */
const MOST_NAME = 514
/** More symbols than any kernel has: some hundred thousand. */
const MOST_SYMBOLS = 1_000_000
/** Addresses of a kernel lie in the upper half. */
const UPPER_HALF = 0xffff800000000000n
/** Names that are read at most to find the tables, whatever somebody has put into the image. */
const MOST_WORK = 20_000_000
/** First characters of a name: the types of code. */
const CODE = /^[tTwW]/

/** Where the names lie, and how many there are. */
interface Names {
  readonly at: number
  readonly count: number
}

/** Where the tables lie in the image. */
interface Tables extends Names {
  readonly offsets: number
  readonly relativeBase: bigint
  readonly tokens: readonly string[]
}

/** The functions of a kernel's image; undefined if there are no such tables in it. */
export function readKallsyms(image: Uint8Array): CodeSymbol[] | undefined {
  return new KallsymsReader(image).read()
}

class KallsymsReader {
  readonly #image: Uint8Array
  readonly #view: DataView
  #work = MOST_WORK

  constructor(image: Uint8Array) {
    this.#image = image
    this.#view = new DataView(image.buffer, image.byteOffset, image.byteLength)
  }

  read(): CodeSymbol[] | undefined {
    const image = this.#image
    for (let at = image.indexOf(DIGIT_0); at >= 0; at = image.indexOf(DIGIT_0, at + 1)) {
      if (!this.#hasDigits(at)) continue
      const tables = this.#tablesAround(at)
      if (tables) return [...this.#symbols(tables)]
      if (this.#work <= 0) return undefined
    }
    return undefined
  }

  /** The texts "0" to "9", one behind the other. */
  #hasDigits(at: number): boolean {
    for (let i = 0; i < DIGITS; i++) {
      if (this.#image[at + 2 * i] !== DIGIT_0 + i || this.#image[at + 2 * i + 1] !== 0) return false
    }
    return true
  }

  /** All tables, if the digits at `digits` are those of a token_table. */
  #tablesAround(digits: number): Tables | undefined {
    let end = digits
    for (let token = DIGIT_0; token < TOKENS; token++) {
      end = this.#image.indexOf(0, end) + 1
      if (end === 0) return undefined
    }
    const index = align8(end)
    if (index + INDEX_BYTES > this.#image.length) return undefined
    const start = digits - this.#view.getUint16(index + 2 * DIGIT_0, true)
    const tokens = this.#tokensAt(start, index)
    const names = tokens && this.#namesBefore(start)
    if (!names) return undefined
    const { at, count } = names
    const isBehind = this.#addressesAt(index + INDEX_BYTES, count)
    const addresses = isBehind ?? this.#addressesAt(at - 16 - align8(4 * count), count)
    return addresses && { ...names, tokens, ...addresses }
  }

  /** The texts of the tokens; undefined if they do not lie as token_index says. */
  #tokensAt(start: number, index: number): string[] | undefined {
    const tokens: string[] = []
    let at = start
    for (let token = 0; token < TOKENS; token++) {
      const begin = this.#view.getUint16(index + 2 * token, true)
      if (at < 0 || at >= index || begin !== at - start) return undefined
      const end = this.#image.indexOf(0, at)
      tokens.push(String.fromCharCode(...this.#image.subarray(at, end)))
      at = end + 1
    }
    return align8(at) === index ? tokens : undefined
  }

  /** Where the names lie whose markers end at `end`, or are followed by seqs_of_names there. */
  #namesBefore(end: number): Names | undefined {
    for (let markers = 2; (markers - 1) * MARKED < MOST_SYMBOLS; markers++) {
      const start = end - align8(4 * markers)
      const leastGap = align8(3 * ((markers - 1) * MARKED + 1))
      for (let gap = leastGap; gap <= 3 * markers * MARKED; gap += 8) {
        const names = this.#namesOf(start - gap, markers)
        if (names && align8(3 * names.count) === gap) return names
      }
      const names = this.#namesOf(start, markers)
      if (names) return names
    }
    return undefined
  }

  /** The names that so many markers at `end` belong to. */
  #namesOf(end: number, markers: number): Names | undefined {
    const view = this.#view
    if (end < 0 || view.getUint32(end, true) !== 0) return undefined
    for (let i = 1; i < markers; i++) {
      const size = view.getUint32(end + 4 * i, true) - view.getUint32(end + 4 * i - 4, true)
      if (size < MARKED || size > MARKED * MOST_NAME) return undefined
    }
    const least = (markers - 1) * MARKED
    const last = view.getUint32(end + 4 * (markers - 1), true)
    const farthest = Math.max(8, end - last - MARKED * MOST_NAME)
    for (let at = (end - last) & -8; at >= farthest && this.#work > 0; at -= 8) {
      const count = view.getUint32(at - 8, true)
      if (count <= least || count > least + MARKED) continue
      if (this.#areNames(at, count, end)) return { at, count }
    }
    return undefined
  }

  /** Do these names fill the bytes up to their markers, and are the markers right. */
  #areNames(start: number, count: number, end: number): boolean {
    let at = start
    for (let i = 0; i < count; i++) {
      this.#work--
      if (at >= end) return false
      const isMarked = i % MARKED === 0
      if (isMarked && this.#view.getUint32(end + (4 * i) / MARKED, true) !== at - start) {
        return false
      }
      const { first, length } = this.#nameAt(at)
      at = first + length
    }
    return align8(at) === end
  }

  /** Where the tokens of a name begin, and how many they are. */
  #nameAt(at: number): { first: number; length: number } {
    const low = this.#image[at] as number
    if ((low & 0x80) === 0) return { first: at + 1, length: low }
    return { first: at + 2, length: (low & 0x7f) | ((this.#image[at + 1] as number) << 7) }
  }

  /** Offsets and relative_base, if they can lie here. */
  #addressesAt(at: number, count: number): Pick<Tables, 'offsets' | 'relativeBase'> | undefined {
    const base = at + align8(4 * count)
    if (at < 0 || base + 8 > this.#view.byteLength) return undefined
    const relativeBase = this.#view.getBigUint64(base, true)
    return relativeBase >= UPPER_HALF ? { offsets: at, relativeBase } : undefined
  }

  *#symbols({ at: names, count, offsets, relativeBase, tokens }: Tables): Generator<CodeSymbol> {
    const offsetOf = (i: number) => this.#view.getInt32(offsets + 4 * i, true)
    // Where per-processor variables are counted from 0, all that is not one of them is negative.
    let hasPerCpu = false
    for (let i = 0; i < count; i++) hasPerCpu ||= offsetOf(i) < 0
    let at = names
    for (let i = 0; i < count; i++) {
      const { first, length } = this.#nameAt(at)
      at = first + length
      const offset = offsetOf(i)
      const isVariable = hasPerCpu && offset >= 0
      if (isVariable || !CODE.test(tokens[this.#image[first] as number] as string)) continue
      let name = ''
      for (let token = first; token < at; token++) {
        name += tokens[this.#image[token] as number] as string
      }
      const address = hasPerCpu ? relativeBase - 1n - BigInt(offset) : relativeBase + BigInt(offset)
      yield { address, name: name.slice(1) }
    }
  }
}

function align8(at: number): number {
  return (at + 7) & -8
}
