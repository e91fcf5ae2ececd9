// Records what the processor underneath answers to floating-point instructions, for hosts that
// cannot ask one: writes test/float-vectors.bin.gz. Run it with FLOAT_SEED to get other operands.
//
// Of many random records only few are kept, and those as unlike as can be: they are sorted into
// buckets by control, status, kind of the result and sparseness of the operands (where the ties
// are), and taken at even distances from the list of the buckets, sorted by their size.

import { writeFileSync } from 'node:fs'
import { gzipSync } from 'node:zlib'
import { randomControlWord, randomMxcsr, randomRecords, seedOf } from '../test/float-check.ts'
import { FloatOracle, RECORD } from '../test/float-oracle.ts'
import type { Random } from '../test/float-operands.ts'
import { SSE_OPERATIONS } from '../test/float-sse.ts'
import { type FloatOperation, TRANSCENDENTAL, X87_OPERATIONS } from '../test/float-x87.ts'

const POOL = 20_000

/** So many records of an instruction: most where rounding is all, few of what has 32 forms. */
function countOf(name: string): number {
  if (/^(fadd|fsub|fmul|fdiv|fsqrt|fst_m|addsd|mulsd|divsd|sqrtsd|cvtsd2ss)/.test(name)) return 120
  return name.startsWith('cmp') ? 10 : 40
}

function ones(word: number): number {
  let count = 0
  for (let rest = word >>> 0; rest !== 0; rest &= rest - 1) count++
  return count
}

/** Zero, denormal, least or greatest normal exponent, infinity or NaN, or in between. */
function kindOf(exponent: number, top: number): number {
  if (exponent <= 1) return exponent
  return exponent >= top - 1 ? exponent - top + 4 : 2
}

function bucketOf(isX87: boolean, record: DataView, result: DataView, at: number): string {
  const control = record.getUint32(at, true)
  const kind = isX87
    ? kindOf(result.getUint16(at + 16, true) & 0x7fff, 0x7fff)
    : kindOf((result.getUint32(at + 12, true) >>> 20) & 0x7ff, 0x7ff) * 8 +
      kindOf((result.getUint32(at + 8, true) >>> 23) & 0xff, 0xff)
  const low = ones(record.getUint32(at + 8, true)) + ones(record.getUint32(at + 24, true))
  const high = ones(record.getUint32(at + 12, true)) + ones(record.getUint32(at + 28, true))
  const sparseness = Math.min(3, Math.floor((low + (isX87 ? high : 0)) / 4))
  const isPowerOfTwo = isX87
    ? ones(record.getUint32(at + 24, true)) + ones(record.getUint32(at + 28, true)) === 1
    : (record.getUint32(at + 24, true) | (record.getUint32(at + 28, true) & 0xfffff)) === 0
  // The rounding and, on x87, the precision; of the masks whether all are set.
  const mode = isX87 ? (control >> 8) & 15 : (control >> 13) & 7
  const isMasked = isX87 ? (control & 0x3f) === 0x3f : (control & 0x1f80) === 0x1f80
  return [
    result.getUint32(at, true) & 0x823f,
    kind,
    sparseness,
    mode,
    isMasked,
    isPowerOfTwo,
  ].join()
}

/** The places of `count` records that are as unlike as can be. */
function choose(isX87: boolean, records: Uint8Array, results: Uint8Array, count: number): number[] {
  const record = new DataView(records.buffer, records.byteOffset)
  const result = new DataView(results.buffer, results.byteOffset)
  const buckets = new Map<string, number[]>()
  for (let at = 0; at < records.length; at += RECORD) {
    const bucket = bucketOf(isX87, record, result, at)
    const places = buckets.get(bucket)
    if (places) places.push(at)
    else buckets.set(bucket, [at])
  }
  const order = [...buckets.values()].toSorted((a, b) => a.length - b.length)
  const stride = order.length / count
  return Array.from({ length: count }, (_, i) => {
    const bucket = order[Math.floor(i * stride)] as number[]
    return bucket[i % bucket.length] as number
  })
}

const oracle = FloatOracle.open()
if (oracle === undefined) throw new Error('gcc and an x86-64 Linux are needed')
const chunks: Uint8Array[] = []

function record(
  name: string,
  operation: FloatOperation,
  control: (random: Random) => number,
): void {
  if (oracle === undefined) return
  const records = randomRecords(operation, control, POOL, seedOf(name))
  const results = oracle.run(name, records)
  const chosen = choose(control === randomControlWord, records, results, countOf(name))
  chunks.push(new Uint8Array([name.length, ...new TextEncoder().encode(name), chosen.length, 0]))
  for (const from of [records, results]) {
    for (const at of chosen) chunks.push(from.subarray(at, at + RECORD))
  }
}

for (const [name, operation] of Object.entries({ ...X87_OPERATIONS, ...TRANSCENDENTAL })) {
  record(name, operation, randomControlWord)
}
for (const [name, operation] of Object.entries(SSE_OPERATIONS)) record(name, operation, randomMxcsr)
oracle.close()
const packed = gzipSync(Buffer.concat(chunks), { level: 9 })
writeFileSync(new URL('../test/float-vectors.bin.gz', import.meta.url), packed)
console.log(`test/float-vectors.bin.gz: ${packed.length} bytes`)
