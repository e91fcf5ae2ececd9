// The string comparisons of SSE4.2 element by element, as SDM vol. 1, 12.10.3 and vol. 2, 4.1
// describe them: what emitted code is compared with.

import { FLAG_CF, FLAG_OF, FLAG_SF, FLAG_ZF } from '../../src/x86/registers.ts'

const EQUAL_ANY = 0x00
const RANGES = 0x04
const EQUAL_EACH = 0x08

/** A text: the elements of a vector, and how many of them belong to it. */
interface Text {
  readonly elements: readonly number[]
  readonly length: number
}

/** What a comparison leaves; the flags are an RFLAGS image. */
export interface Outcome {
  readonly index: number
  readonly mask: Uint8Array
  readonly flags: number
}

function text(vector: Uint8Array, immediate: number, length: bigint | undefined): Text {
  const view = new DataView(vector.buffer, vector.byteOffset, 16)
  const isSigned = (immediate & 2) !== 0
  const elements =
    (immediate & 1) !== 0
      ? Array.from({ length: 8 }, (_, i) =>
          isSigned ? view.getInt16(2 * i, true) : view.getUint16(2 * i, true),
        )
      : Array.from({ length: 16 }, (_, i) => (isSigned ? view.getInt8(i) : view.getUint8(i)))
  const end = elements.indexOf(0)
  if (length === undefined) return { elements, length: end < 0 ? elements.length : end }
  const magnitude = length < 0n ? -length : length
  const isLong = magnitude > BigInt(elements.length)
  return { elements, length: isLong ? elements.length : Number(magnitude) }
}

function holds(a: Text, b: Text, j: number, mode: number): boolean {
  const inA = a.elements.slice(0, a.length)
  const value = b.elements[j] as number
  switch (mode) {
    case EQUAL_ANY:
      return j < b.length && inA.includes(value)
    case RANGES:
      return j < b.length && inA.some((low, i) => i % 2 === 0 && isWithin(low, inA[i + 1], value))
    case EQUAL_EACH:
      if (j >= a.length || j >= b.length) return j >= a.length && j >= b.length
      return a.elements[j] === value
    default:
      return inA.every(
        (element, i) =>
          i + j >= b.elements.length || (i + j < b.length && b.elements[i + j] === element),
      )
  }
}

function isWithin(low: number, high: number | undefined, value: number): boolean {
  return high !== undefined && low <= value && value <= high
}

/** Compares two vectors of 16 bytes. `lengths`: those in rAX and rDX of the explicit forms. */
export function compareStrings(
  vectors: readonly [Uint8Array, Uint8Array],
  immediate: number,
  lengths?: readonly [bigint, bigint],
): Outcome {
  const a = text(vectors[0], immediate, lengths?.[0])
  const b = text(vectors[1], immediate, lengths?.[1])
  const count = a.elements.length
  const found = a.elements.map((_, j) => {
    const isFound = holds(a, b, j, immediate & 0x0c)
    if ((immediate & 0x10) === 0) return isFound
    return (immediate & 0x20) === 0 || j < b.length ? !isFound : isFound
  })
  const isOther = (immediate & 0x40) !== 0
  const index = isOther ? found.lastIndexOf(true) : found.indexOf(true)
  const mask = new Uint8Array(16)
  for (const [j, isFound] of found.entries()) {
    if (!isFound) continue
    if (isOther) mask.fill(0xff, (j * 16) / count, ((j + 1) * 16) / count)
    else mask[j >> 3] = (mask[j >> 3] as number) | (1 << (j & 7))
  }
  const flags =
    (index < 0 ? 0 : FLAG_CF) |
    (b.length < count ? FLAG_ZF : 0) |
    (a.length < count ? FLAG_SF : 0) |
    (found[0] ? FLAG_OF : 0)
  return { index: index < 0 ? count : index, mask, flags }
}
