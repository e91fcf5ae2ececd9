// Compares our floating-point operations with the processor underneath and with recorded results.
//
// The recorded file (float-vectors.bin.gz; tools/record-float-vectors.ts writes it) is, unpacked, a
// sequence of: u8 length of the name, the name, u16 count, that many records, as many results.

import { readFileSync } from 'node:fs'
import { gunzipSync } from 'node:zlib'
import { type FloatOracle, RECORD } from './float-oracle.ts'
import { Random } from './float-operands.ts'
import type { FloatOperation } from './float-x87.ts'
import { vendorUnderneath } from './processor-underneath.ts'

/** Cases for each instruction; more for a long run: FLOAT_CASES=1000000. */
export const CASES = Number(process.env['FLOAT_CASES'] ?? 20000)

/** Random operands are the same at every run, unless FLOAT_SEED says otherwise. */
const SEED = Number(process.env['FLOAT_SEED'] ?? 1)

// Bytes of a result that mean something.
const RESULT = 56

/** A random x87 control word, half of them with all exceptions masked. */
export function randomControlWord(random: Random): number {
  const masks = random.below(2) === 0 ? 0x3f : random.below(64)
  return masks | 0x40 | (random.below(16) << 8)
}

/** A random MXCSR, half of them with all exceptions masked, some with DAZ, more with FTZ. */
export function randomMxcsr(random: Random): number {
  const masks = random.below(2) === 0 ? 0x3f : random.below(64)
  const daz = random.below(8) === 0 ? 0x40 : 0
  const ftz = random.below(4) === 0 ? 0x8000 : 0
  return (masks << 7) | daz | (random.below(4) << 13) | ftz
}

/** Random records for an operation. */
export function randomRecords(
  operation: FloatOperation,
  control: (random: Random) => number,
  count: number,
  seed: number,
): Uint8Array<ArrayBuffer> {
  const random = new Random(seed)
  const records = new Uint8Array(count * RECORD)
  const view = new DataView(records.buffer)
  for (let i = 0; i < count; i++) {
    operation.operands(view, i * RECORD, random)
    view.setUint32(i * RECORD, control(random), true)
  }
  return records
}

/** Whether two results agree; `at` is where both lie, and what they are results of in `record`. */
export type Agreement = (wanted: DataView, got: DataView, at: number, record: DataView) => boolean

/** Every bit is the same. */
export function isSame(wanted: DataView, got: DataView, at: number): boolean {
  for (let i = 0; i < RESULT; i += 4) {
    if (wanted.getUint32(at + i, true) !== got.getUint32(at + i, true)) return false
  }
  return true
}

/**
 * Registers ST(0) and ST(1) are within one unit in the last place, and everything else but C1 (which
 * tells how a processor rounded its own approximation) is the same.
 */
export function isNear(wanted: DataView, got: DataView, at: number): boolean {
  const status = wanted.getUint32(at, true) ^ got.getUint32(at, true)
  if ((status & ~0x200) !== 0) return false
  return unitsApart(wanted, got, at + 8) <= 1 && unitsApart(wanted, got, at + 24) <= 1
}

// Of the status word: underflow, an unmasked exception (twice), how was rounded.
const UE = 0x10
const ES = 0x8080
const C1 = 0x200

/**
 * Whether two results differ because an x87 number is tiny for AMD and not for Intel: FSCALE and
 * FPREM give an operand back that needs no arithmetic, and approximations the smallest normal number
 * instead of the one below it. Where underflow is not masked, tiny results are scaled as well.
 */
function isTinyForAmdOnly(wanted: DataView, got: DataView, at: number, record: DataView): boolean {
  const status = wanted.getUint32(at, true)
  const ours = got.getUint32(at, true)
  if ((status & UE) !== 0 || (ours & UE) === 0) return false
  if (((status ^ ours) & ~(UE | ES | C1)) !== 0) return false
  const isOperand =
    wanted.getBigUint64(at + 8, true) === record.getBigUint64(at + 8, true) &&
    wanted.getUint16(at + 16, true) === record.getUint16(at + 16, true)
  return isOperand || isSmallestNormal(wanted, at + 8) || isSmallestNormal(wanted, at + 24)
}

function isSmallestNormal(view: DataView, at: number): boolean {
  return (view.getUint16(at + 8, true) & 0x7fff) === 1 && view.getBigUint64(at, true) === 1n << 63n
}

/** How many x87 numbers lie between two; Infinity if one is a NaN and the other something else. */
export function unitsApart(wanted: DataView, got: DataView, at: number): number {
  const first = rank(wanted, at)
  const second = rank(got, at)
  if (first !== undefined && second !== undefined) return Math.abs(Number(first - second))
  const same =
    wanted.getBigUint64(at, true) === got.getBigUint64(at, true) &&
    wanted.getUint16(at + 8, true) === got.getUint16(at + 8, true)
  return same ? 0 : Number.POSITIVE_INFINITY
}

// The place of a number among all x87 numbers; undefined for a NaN.
function rank(view: DataView, at: number): bigint | undefined {
  const se = view.getUint16(at + 8, true)
  const significand = view.getBigUint64(at, true)
  const exponent = se & 0x7fff
  if (exponent === 0x7fff && significand !== 1n << 63n) return undefined
  const magnitude = (BigInt(Math.max(exponent, 1)) << 63n) + significand
  return se & 0x8000 ? -magnitude : magnitude
}

/** A mix of a name into the seed, so that operations get operands of their own. */
export function seedOf(name: string): number {
  let seed = SEED
  for (const c of name) seed = Math.imul(seed ^ (c.codePointAt(0) as number), 0x01000193)
  return seed
}

/** Runs an operation on the processor and by our functions; returns the cases that differ. */
export function compareWithProcessor(
  oracle: FloatOracle,
  name: string,
  operation: FloatOperation,
  control: (random: Random) => number,
  agrees: Agreement,
): string[] {
  const isIntel = vendorUnderneath() === 'GenuineIntel'
  const agreesHere: Agreement = (...results) =>
    agrees(...results) || (isIntel && isTinyForAmdOnly(...results))
  const differing: string[] = []
  const batch = 100_000
  for (let done = 0; done < CASES; done += batch) {
    const count = Math.min(batch, CASES - done)
    const records = randomRecords(operation, control, count, seedOf(name) + done)
    differing.push(...compare(name, operation, records, oracle.run(name, records), agreesHere))
  }
  return differing
}

/** Runs our functions on records and returns a line for each result that differs. */
export function compare(
  name: string,
  operation: FloatOperation,
  records: Uint8Array,
  results: Uint8Array,
  agrees: Agreement,
): string[] {
  const record = viewOf(records)
  const wanted = viewOf(results)
  const got = new DataView(new ArrayBuffer(records.length))
  const differing: string[] = []
  for (let at = 0; at < records.length; at += RECORD) {
    operation.run(record, at, got)
    if (agrees(wanted, got, at, record)) continue
    differing.push(
      `${name} of ${show(record, at)}\n  processor ${show(wanted, at)}\n  ours      ${show(got, at)}`,
    )
  }
  return differing
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

// The words of a record or a result: two of four bytes and three of sixteen, high digits first.
function show(view: DataView, at: number): string {
  const hex = (from: number, bytes: number): string => {
    let text = ''
    for (let i = bytes - 1; i >= 0; i--) {
      text += view
        .getUint8(at + from + i)
        .toString(16)
        .padStart(2, '0')
    }
    return text
  }
  return [hex(0, 4), hex(4, 4), hex(8, 16), hex(24, 16), hex(40, 16)].join(' ')
}

/** Recorded records and results of one operation. */
export interface Recorded {
  readonly records: Uint8Array
  readonly results: Uint8Array
}

/** Reads the recorded file: by operation, what an AMD processor (Zen 4) answered. */
export function readRecorded(): Map<string, Recorded> {
  const bytes = gunzipSync(readFileSync(new URL('float-vectors.bin.gz', import.meta.url)))
  const recorded = new Map<string, Recorded>()
  for (let at = 0; at < bytes.length; ) {
    const start = at + 1 + bytes.readUInt8(at)
    const name = bytes.toString('ascii', at + 1, start)
    const length = bytes.readUInt16LE(start) * RECORD
    const middle = start + 2 + length
    at = middle + length
    recorded.set(name, {
      records: bytes.subarray(start + 2, middle),
      results: bytes.subarray(middle, at),
    })
  }
  return recorded
}
