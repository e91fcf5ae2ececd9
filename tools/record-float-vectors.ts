// Records what the processor underneath answers to floating-point instructions, for hosts that
// cannot ask one: writes test/float-vectors.bin.gz. Run it with FLOAT_SEED to get other operands.

import { writeFileSync } from 'node:fs'
import { gzipSync } from 'node:zlib'
import {
  randomControlWord,
  randomMxcsr,
  randomRecords,
  seedOf,
} from '../test/float-check.ts'
import { FloatOracle } from '../test/float-oracle.ts'
import { SSE_OPERATIONS } from '../test/float-sse.ts'
import { TRANSCENDENTAL, X87_OPERATIONS } from '../test/float-x87.ts'

// So many records of each instruction, and fewer of those that exist in 32 or more forms.
const COUNT = 36
const FEW = 14

const oracle = FloatOracle.open()
if (oracle === undefined) throw new Error('gcc and an x86-64 Linux are needed')
const chunks: Uint8Array[] = []
for (const [operations, control] of [
  [X87_OPERATIONS, randomControlWord],
  [TRANSCENDENTAL, randomControlWord],
  [SSE_OPERATIONS, randomMxcsr],
] as const) {
  for (const [name, operation] of Object.entries(operations)) {
    const count = name.startsWith('cmp') ? FEW : COUNT
    const records = randomRecords(operation, control, count, seedOf(name))
    const head = new Uint8Array([name.length, ...new TextEncoder().encode(name), count, 0])
    chunks.push(head, records, oracle.run(name, records))
  }
}
oracle.close()
const packed = gzipSync(Buffer.concat(chunks), { level: 9 })
writeFileSync(new URL('../test/float-vectors.bin.gz', import.meta.url), packed)
console.log(`test/float-vectors.bin.gz: ${packed.length} bytes`)
