// The LZMA algorithm (the LZMA specification of the LZMA SDK): a range coder over adaptive bit
// models, which chooses among literals, matches and repeated distances. Used by `lzma.ts` (the
// .lzma file) and `lzma2.ts` (the chunks inside .xz).
//
// The range coder's state lives in a typed array, not in fields: 32-bit unsigned values in fields
// would be boxed. Literals, the bulk of the work, keep it in locals.

import { copyMatch } from './lz4.ts'
import { damaged, type Output } from './output.ts'

const RANGE = 0
const CODE = 1
const AT = 2

const HALF = 0x400
const TOP = 0x1000000

// Places of the bit models in one array.
const IS_MATCH = 0
const IS_REP = IS_MATCH + 12 * 16
const IS_REP_G0 = IS_REP + 12
const IS_REP_G1 = IS_REP_G0 + 12
const IS_REP_G2 = IS_REP_G1 + 12
const IS_REP0_LONG = IS_REP_G2 + 12
const DISTANCE_SLOT = IS_REP0_LONG + 12 * 16
const DISTANCE_SPECIAL = DISTANCE_SLOT + 4 * 64
const DISTANCE_ALIGN = DISTANCE_SPECIAL + 128
const MATCH_LENGTH = DISTANCE_ALIGN + 16
const REP_LENGTH = MATCH_LENGTH + 514
const LITERAL = REP_LENGTH + 514

// Places within the models of a length.
const CHOICE = 0
const CHOICE_2 = 1
const LOW = 2
const MID = LOW + 16 * 8
const HIGH = MID + 16 * 8

const FIRST_MATCH_STATE = 7
const END_MARK = 0xffffffff

/** Decodes LZMA data behind `out.length`; keeps its models from one call to the next. */
export class LzmaDecoder {
  readonly #out: Output
  readonly #coder = new Uint32Array(3)
  /** Distances of the last four matches, less one. */
  readonly #reps = new Uint32Array(4)
  #models = new Uint16Array(LITERAL)
  #lc = 0
  #lpMask = 0
  #pbMask = 0
  #state = 0
  #windowStart: number

  constructor(out: Output) {
    this.#out = out
    this.#windowStart = out.length
  }

  /**
   * Sets lc, lp and pb from the properties byte and resets all models.
   * @throws UserError when the byte is none
   */
  setProperties(byte: number): void {
    if (byte >= 9 * 5 * 5) damaged('lzma', `Its properties byte ${byte} does not exist.`)
    this.#lc = byte % 9
    const lp = Math.floor(byte / 9) % 5
    this.#lpMask = (1 << lp) - 1
    this.#pbMask = (1 << Math.floor(byte / 45)) - 1
    this.#models = new Uint16Array(LITERAL + (0x300 << (this.#lc + lp)))
    this.resetState()
  }

  /** Forgets what the models learnt, but not the window. */
  resetState(): void {
    this.#models.fill(HALF)
    this.#reps.fill(0)
    this.#state = 0
  }

  /** No later match may reach back beyond this point. */
  resetWindow(): void {
    this.#windowStart = this.#out.length
  }

  /**
   * Decodes `input` until `target` bytes are in the output, or an end mark when `target` is
   * undefined. Returns the offset behind the last byte read.
   * @throws UserError when the data are damaged, cut short, or grow beyond the limit
   */
  decode(input: Uint8Array, start: number, target: number | undefined): number {
    if (start + 5 > input.length || input[start] !== 0) {
      damaged('lzma', 'The first bytes of the range coder are wrong.')
    }
    const coder = this.#coder
    coder[RANGE] = 0xffffffff
    coder[CODE] = 0
    for (let i = 1; i < 5; i++) coder[CODE] = (coder[CODE] << 8) | (input[start + i] as number)
    coder[AT] = start + 5
    const finished = this.#symbols(input, target ?? Number.POSITIVE_INFINITY)
    if (!finished && target === undefined) damaged('lzma', 'The end mark is missing.')
    normalize(coder, input)
    const end = coder[AT]
    if (end > input.length) damaged('lzma', 'It ends in the middle of the data.')
    return end
  }

  /** Returns whether it met an end mark. */
  #symbols(input: Uint8Array, target: number): boolean {
    const out = this.#out
    const coder = this.#coder
    const models = this.#models
    const reps = this.#reps
    let state = this.#state
    while (out.length < target) {
      if ((coder[AT] as number) > input.length)
        damaged('lzma', 'It ends in the middle of the data.')
      const position = out.length - this.#windowStart
      const positionState = position & this.#pbMask
      if (bit(coder, models, IS_MATCH + (state << 4) + positionState, input) === 0) {
        out.reserve(1)
        this.#literal(input, state, position)
        state = state < 4 ? 0 : state < 10 ? state - 3 : state - 6
        continue
      }
      let length = 0
      if (bit(coder, models, IS_REP + state, input) === 0) {
        length = this.#length(input, MATCH_LENGTH, positionState)
        reps.copyWithin(1, 0, 3)
        reps[0] = this.#distance(input, length)
        state = state < FIRST_MATCH_STATE ? 7 : 10
        if (reps[0] === END_MARK) {
          this.#state = state
          return true
        }
      } else if (this.#chooseRep(input, state, positionState)) {
        length = 1
        state = state < FIRST_MATCH_STATE ? 9 : 11
      } else {
        length = this.#length(input, REP_LENGTH, positionState)
        state = state < FIRST_MATCH_STATE ? 8 : 11
      }
      const distance = (reps[0] as number) + 1
      if (distance > position) {
        damaged('lzma', `A match reaches ${distance} bytes back, before the start of the data.`)
      }
      if (length > target - out.length) damaged('lzma', 'A match runs over the end of its chunk.')
      out.reserve(length)
      copyMatch(out.bytes, out.length, distance, length)
      out.length += length
    }
    this.#state = state
    return false
  }

  #literal(input: Uint8Array, state: number, position: number): void {
    const out = this.#out
    const bytes = out.bytes
    const models = this.#models
    const coder = this.#coder
    const previous = position === 0 ? 0 : (bytes[out.length - 1] as number)
    const context = ((position & this.#lpMask) << this.#lc) | (previous >> (8 - this.#lc))
    const base = LITERAL + 0x300 * context
    let symbol = 1
    if (state >= FIRST_MATCH_STATE) {
      // Behind a match, the byte that it would have continued with is the better guide.
      const guide = bytes[out.length - 1 - (this.#reps[0] as number)] as number
      let shifted = guide << 1
      for (let offset = 0x100; symbol < 0x100; shifted <<= 1) {
        const expected = shifted & offset
        const got = bit(coder, models, base + offset + expected + symbol, input)
        symbol = (symbol << 1) | got
        offset = got === 1 ? expected : offset & ~expected
      }
    } else {
      let range = coder[RANGE] as number
      let code = coder[CODE] as number
      let at = coder[AT] as number
      do {
        if (range < TOP) {
          range = (range << 8) >>> 0
          code = ((code << 8) | (input[at++] as number)) >>> 0
        }
        const model = models[base + symbol] as number
        const bound = Math.imul(range >>> 11, model) >>> 0
        if (code < bound) {
          range = bound
          models[base + symbol] = model + ((2048 - model) >> 5)
          symbol <<= 1
        } else {
          range = (range - bound) >>> 0
          code = (code - bound) >>> 0
          models[base + symbol] = model - (model >> 5)
          symbol = (symbol << 1) | 1
        }
      } while (symbol < 0x100)
      coder[RANGE] = range
      coder[CODE] = code
      coder[AT] = at
    }
    bytes[out.length] = symbol
    out.length += 1
  }

  /** Moves the chosen earlier distance to the front; true for a match of a single byte. */
  #chooseRep(input: Uint8Array, state: number, positionState: number): boolean {
    const coder = this.#coder
    const models = this.#models
    const reps = this.#reps
    if (bit(coder, models, IS_REP_G0 + state, input) === 0) {
      return bit(coder, models, IS_REP0_LONG + (state << 4) + positionState, input) === 0
    }
    let chosen = 1
    if (bit(coder, models, IS_REP_G1 + state, input) === 1) {
      chosen = 2 + bit(coder, models, IS_REP_G2 + state, input)
    }
    const distance = reps[chosen] as number
    reps.copyWithin(1, 0, chosen)
    reps[0] = distance
    return false
  }

  /** 2 to 273. */
  #length(input: Uint8Array, base: number, positionState: number): number {
    const coder = this.#coder
    const models = this.#models
    if (bit(coder, models, base + CHOICE, input) === 0) {
      return 2 + tree(coder, models, base + LOW + positionState * 8, 3, input)
    }
    if (bit(coder, models, base + CHOICE_2, input) === 0) {
      return 10 + tree(coder, models, base + MID + positionState * 8, 3, input)
    }
    return 18 + tree(coder, models, base + HIGH, 8, input)
  }

  /** The distance less one; 0xffffffff is the end mark. */
  #distance(input: Uint8Array, length: number): number {
    const coder = this.#coder
    const models = this.#models
    const slotBase = DISTANCE_SLOT + Math.min(length - 2, 3) * 64
    const slot = tree(coder, models, slotBase, 6, input)
    if (slot < 4) return slot
    const lowBits = (slot >> 1) - 1
    const high = ((2 | (slot & 1)) << lowBits) >>> 0
    if (slot < 14) {
      const base = DISTANCE_SPECIAL + high - slot
      return high + reverseTree(coder, models, base, lowBits, input)
    }
    const middle = directBits(coder, lowBits - 4, input) * 16
    return high + middle + reverseTree(coder, models, DISTANCE_ALIGN, 4, input)
  }
}

function normalize(coder: Uint32Array, input: Uint8Array): void {
  if ((coder[RANGE] as number) >= TOP) return
  coder[RANGE] = (coder[RANGE] as number) << 8
  coder[CODE] = ((coder[CODE] as number) << 8) | (input[coder[AT] as number] as number)
  coder[AT] = (coder[AT] as number) + 1
}

/** Decodes one bit with the model at `index`, and teaches the model. */
function bit(coder: Uint32Array, models: Uint16Array, index: number, input: Uint8Array): number {
  let range = coder[RANGE] as number
  let code = coder[CODE] as number
  if (range < TOP) {
    const at = coder[AT] as number
    range = (range << 8) >>> 0
    code = ((code << 8) | (input[at] as number)) >>> 0
    coder[AT] = at + 1
  }
  const model = models[index] as number
  const bound = Math.imul(range >>> 11, model) >>> 0
  if (code < bound) {
    coder[RANGE] = bound
    coder[CODE] = code
    models[index] = model + ((2048 - model) >> 5)
    return 0
  }
  coder[RANGE] = range - bound
  coder[CODE] = code - bound
  models[index] = model - (model >> 5)
  return 1
}

/** `bits` bits, the highest first, each with a model chosen by those before it. */
function tree(
  coder: Uint32Array,
  models: Uint16Array,
  base: number,
  bits: number,
  input: Uint8Array,
): number {
  let symbol = 1
  for (let i = 0; i < bits; i++) symbol = (symbol << 1) | bit(coder, models, base + symbol, input)
  return symbol - (1 << bits)
}

/** As {@link tree}, the lowest bit first. */
function reverseTree(
  coder: Uint32Array,
  models: Uint16Array,
  base: number,
  bits: number,
  input: Uint8Array,
): number {
  let node = 1
  let value = 0
  for (let i = 0; i < bits; i++) {
    const got = bit(coder, models, base + node, input)
    node = (node << 1) | got
    value |= got << i
  }
  return value
}

/** Bits that are equally likely: no model. */
function directBits(coder: Uint32Array, bits: number, input: Uint8Array): number {
  let value = 0
  for (let i = 0; i < bits; i++) {
    normalize(coder, input)
    const range = (coder[RANGE] as number) >>> 1
    const code = coder[CODE] as number
    const got = code >= range ? 1 : 0
    coder[RANGE] = range
    coder[CODE] = got === 1 ? code - range : code
    value = value * 2 + got
  }
  return value
}
