// Recorded cases with the outcomes of a processor, in one compressed file:
//
//   u32 bytes of the header, header (JSON: format, vendor and CPUID features of the processor, cases)
//   the cases, then the outcomes as differences to the cases (exclusive or)
//
// Cases are stored and not made again from a seed, so that they outlive changes of the generator.
// Only few contents of registers and memory occur, which is what makes the file small.

import { join } from 'node:path'
import { brotliCompressSync, brotliDecompressSync, constants } from 'node:zlib'
import type { CpuVendor } from '../../src/x86/cpuid/models.ts'
import { instructions } from '../../src/x86/decode/define.ts'
import '../../src/x86/instructions/all.ts'
import { Generator } from './generate.ts'
import { RECORD_BYTES, Records } from './layout.ts'
import type { NativeProcessor } from './native.ts'
import { type Variant, variantsOf } from './variants.ts'

export const VECTORS_FILE = join(import.meta.dirname, 'vectors.br')

const FORMAT = 2
const FILLINGS = 48
/** 2^24 bytes of the past are searched for repetitions. */
const WINDOW_BITS = 24
const QUALITY = 9

export interface Vectors {
  /** CPUID features of the processor that was recorded. */
  readonly features: ReadonlySet<string>
  readonly vendor: CpuVendor
  readonly cases: Records
  readonly outcomes: Records
}

interface Header {
  readonly format: number
  readonly cases: number
  readonly vendor: CpuVendor
  readonly features: readonly string[]
}

/** Makes cases spread over all variants and runs them. */
export function recordVectors(native: NativeProcessor, count: number, seed: number): Vectors {
  const variants = variantsOf(instructions.rows, { features: native.features })
  const generator = new Generator(seed, FILLINGS)
  const cases = Records.ofCount(count)
  // A step that shares no factor with the number of variants visits all of them.
  const step = coprime(Math.max(1, Math.floor((variants.length / count) * 0.618)), variants.length)
  for (let i = 0; i < count; i++) {
    generator.make(cases, i, i, variants[(i * step) % variants.length] as Variant)
  }
  const { features, vendor } = native
  return { features, vendor, cases, outcomes: native.run(cases) }
}

function coprime(from: number, to: number): number {
  const gcd = (a: number, b: number): number => (b === 0 ? a : gcd(b, a % b))
  let step = from
  while (gcd(step, to) !== 1) step++
  return step
}

/** Compresses vectors. */
export function encodeVectors({ features, vendor, cases, outcomes }: Vectors): Uint8Array {
  const header: Header = {
    format: FORMAT,
    cases: cases.count,
    vendor,
    features: [...features].toSorted(),
  }
  const text = new TextEncoder().encode(JSON.stringify(header))
  const body = new Uint8Array(4 + text.length + 2 * cases.u8.length)
  new DataView(body.buffer).setUint32(0, text.length, true)
  body.set(text, 4)
  body.set(cases.u8, 4 + text.length)
  const at = 4 + text.length + cases.u8.length
  for (let i = 0; i < cases.u8.length; i++) {
    body[at + i] = (cases.u8[i] as number) ^ (outcomes.u8[i] as number)
  }
  return brotliCompressSync(body, {
    params: {
      [constants.BROTLI_PARAM_LGWIN]: WINDOW_BITS,
      [constants.BROTLI_PARAM_QUALITY]: QUALITY,
      [constants.BROTLI_PARAM_SIZE_HINT]: body.length,
    },
  })
}

/** Reads vectors. Throws an Error about a file of another format. */
export function decodeVectors(bytes: Uint8Array): Vectors {
  const body = brotliDecompressSync(bytes)
  const length = body.readUInt32LE(0)
  const header = JSON.parse(body.subarray(4, 4 + length).toString()) as Header
  if (header.format !== FORMAT) throw new Error(`vectors of format ${header.format}`)
  const size = header.cases * RECORD_BYTES
  const start = 4 + length
  const cases = new Records(Uint8Array.from(body.subarray(start, start + size)))
  const outcomes = new Records(Uint8Array.from(body.subarray(start + size, start + 2 * size)))
  for (let i = 0; i < size; i++) {
    outcomes.u8[i] = (outcomes.u8[i] as number) ^ (cases.u8[i] as number)
  }
  return { features: new Set(header.features), vendor: header.vendor, cases, outcomes }
}
